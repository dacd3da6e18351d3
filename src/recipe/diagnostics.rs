//! All errors of a recipe at once, shown in rustc's style.

use std::collections::BTreeSet;
use std::fmt;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};

use super::mask::hide;
use super::tree::{KeyPath, Node, Place, Source};
use crate::base::failure::{Class, Failure, Finding};
use crate::base::text::{counted, printable};

/// How many errors are kept; further ones are only counted. A text of a megabyte can hold a hundred thousand.
const MAX_PROBLEMS: usize = 50;

/// All errors of a recipe.
#[derive(Debug)]
pub struct Diagnostics {
    reference: String,
    sources: Vec<Source>,
    problems: Vec<Problem>,
    unshown: usize,
}

impl Diagnostics {
    /// The findings about the recipe called `reference`, in the order of its text.
    pub(super) fn new(reference: &str, mut sources: Vec<Source>, findings: Findings) -> Self {
        let Findings { mut problems, unshown, hidden, .. } = findings;
        for place in hidden {
            if let Some(source) = sources.get_mut(place.source) {
                source.shown = hide(&source.shown, &place);
            }
        }
        problems.sort_by(|a, b| a.labels.first().map(|label| &label.place).cmp(&b.labels.first().map(|label| &label.place)));
        Self { reference: printable(reference), sources, problems, unshown }
    }

    /// All errors as text for a terminal, with a final line break. Secrets are masked.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let mut text = String::new();
        for problem in &self.problems {
            text.push_str(&renderer.render(&[problem.group(&self.sources)]));
            text.push_str("\n\n");
        }
        if self.unshown > 0 {
            text.push_str(&renderer.render(&[Group::with_title(Level::ERROR.primary_title(format!("and {} more", self.unshown)))]));
            text.push_str("\n\n");
        }
        text.pop();
        text
    }

    /// How many errors there are.
    pub fn count(&self) -> usize {
        self.problems.len() + self.unshown
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in recipe `{}`", counted(self.count(), "error"), self.reference)
    }
}

impl std::error::Error for Diagnostics {}

impl Failure for Diagnostics {
    /// [`Class::Input`] when the only errors are missing files.
    fn class(&self) -> Class {
        let all = |class| self.problems.iter().all(|problem| problem.class == class);
        if self.problems.iter().any(|problem| problem.class == Class::Bug) {
            Class::Bug
        } else if all(Class::Input) {
            Class::Input
        } else {
            Class::Usage
        }
    }

    fn remedy(&self) -> Option<String> {
        Some(match self.class() {
            Class::Bug => "report this with the recipe; it is a fault of goldsmith".to_owned(),
            Class::Input => "correct the path, or put the file there".to_owned(),
            _ => "correct the lines shown; `goldsmith schema` describes every key".to_owned(),
        })
    }

    fn evidence(&self) -> Vec<String> {
        self.render(false).lines().map(str::to_owned).collect()
    }

    fn findings(&self) -> Vec<Finding> {
        self.problems.iter().map(|problem| problem.finding(&self.sources)).collect()
    }
}

/// The place of a value that may turn out wrong when the inputs are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    source: Source,
    place: Place,
}

impl Passage {
    /// The passage at `place` in one of these texts.
    pub(super) fn of(sources: &[Source], place: &Place) -> Option<Self> {
        let source = sources.get(place.source)?.clone();
        Some(Self { source, place: Place { source: 0, ..place.clone() } })
    }

    /// For machines: the error at this place, and what to do.
    pub fn finding(&self, what: &str, help: Option<String>) -> Finding {
        let problem = Problem::new(what).show(self.place.clone(), "");
        Finding { help: help.into_iter().collect(), ..problem.finding(std::slice::from_ref(&self.source)) }
    }

    /// For people: the file, the line and the place in it. The caller prints the error itself.
    pub fn shown(&self) -> Vec<String> {
        let problem = Problem::new("").show(self.place.clone(), "");
        let text = Renderer::plain().render(&[problem.group(std::slice::from_ref(&self.source))]);
        text.lines().skip(1).map(str::to_owned).collect()
    }
}

/// A single error.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    class: Class,
    title: String,
    labels: Vec<Label>,
    help: Vec<String>,
}

#[derive(Debug, Clone)]
struct Label {
    place: Place,
    text: String,
}

impl Problem {
    /// An error in the user's text.
    pub(super) fn new(title: impl Into<String>) -> Self {
        Self { class: Class::Usage, title: title.into(), labels: Vec::new(), help: Vec::new() }
    }

    /// Whose fault it is, when it is not the recipe's.
    pub(super) fn class(mut self, class: Class) -> Self {
        self.class = class;
        self
    }

    /// Show a place; the first one is what the error is about, `text` may be empty.
    pub(super) fn show(mut self, place: Place, text: impl Into<String>) -> Self {
        self.labels.push(Label { place, text: text.into() });
        self
    }

    /// Add a remedy.
    pub(super) fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }

    /// For machines. The first place is the place of the error.
    fn finding(&self, sources: &[Source]) -> Finding {
        let place = self.labels.first().and_then(|label| Some((sources.get(label.place.source)?, label.place.start)));
        let place = place.map(|(source, start)| {
            let before = &source.shown[..source.shown.floor_char_boundary(start)];
            let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
            (source.name.clone(), 1 + before.matches('\n').count(), 1 + before[line_start..].chars().count())
        });
        let (file, line, column) = place.map_or((None, None, None), |(file, line, column)| (Some(file), Some(line), Some(column)));
        Finding { file, line, column, message: self.title.clone(), help: self.help.clone() }
    }

    fn group<'a>(&'a self, sources: &'a [Source]) -> Group<'a> {
        let mut group = Level::ERROR.primary_title(printable(&self.title).replace('\n', " ")).elements(None::<Snippet<'a, Annotation<'a>>>);
        let mut shown = BTreeSet::new();
        for label in &self.labels {
            if shown.insert(label.place.source) {
                let labels: Vec<_> = self.labels.iter().filter(|other| other.place.source == label.place.source).collect();
                if let Some(source) = sources.get(label.place.source) {
                    group = group.element(snippet(source, &labels, std::ptr::eq(label, &self.labels[0])));
                }
            }
        }
        group.elements(self.help.iter().map(|help| Level::HELP.message(printable(help))))
    }
}

/// The lines of `source` that `labels` are on. Only these are passed on, because the renderer scans all of its input.
fn snippet<'a>(source: &'a Source, labels: &[&'a Label], primary: bool) -> Snippet<'a, Annotation<'a>> {
    let text = source.shown.as_str();
    let line_end = |at: usize| text[at..].find('\n').map_or(text.len(), |length| at + length);
    let spans: Vec<_> = labels
        .iter()
        .map(|label| {
            let start = text.floor_char_boundary(label.place.start);
            // The first line is enough for a value that spans many.
            let end = text.floor_char_boundary(label.place.end).min(line_end(start)).max(start);
            (start, end)
        })
        .collect();
    let first = spans.iter().map(|span| span.0).min().unwrap_or(0);
    let last = spans.iter().map(|span| span.1).max().unwrap_or(0);
    let from = text[..first].rfind('\n').map_or(0, |newline| newline + 1);
    let annotations = labels.iter().zip(&spans).enumerate().map(|(index, (label, (start, end)))| {
        let kind = if primary && index == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
        let annotation = kind.span(start - from..end - from);
        if label.text.is_empty() { annotation } else { annotation.label(printable(&label.text)) }
    });
    Snippet::source(&text[from..line_end(last)])
        .line_start(1 + text[..from].matches('\n').count())
        .path(printable(&source.name))
        .annotations(annotations.collect::<Vec<_>>())
}

/// The errors so far, and the values that they have spoiled.
#[derive(Debug, Default)]
pub(super) struct Findings {
    problems: Vec<Problem>,
    spoiled: BTreeSet<KeyPath>,
    /// Places of strings that are not to be shown.
    hidden: Vec<Place>,
    unshown: usize,
}

impl Findings {
    /// Whether nothing is wrong.
    pub(super) fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// Note a problem.
    pub(super) fn push(&mut self, problem: Problem) {
        if self.problems.len() < MAX_PROBLEMS { self.problems.push(problem) } else { self.unshown += 1 }
    }

    /// Note a problem of `path`, unless that was spoiled before, and spoil it.
    pub(super) fn at(&mut self, tree: &Node, path: &KeyPath, problem: Problem) {
        if !self.is_spoiled(path) {
            self.push(problem.show(tree.place(path), ""));
            self.spoil(path.clone());
        }
    }

    /// Do not show the string at `place`, whichever problem points there.
    pub(super) fn hide(&mut self, place: Place) {
        self.hidden.push(place);
    }

    /// The value at `path` is not what the user meant: do not judge it any more.
    pub(super) fn spoil(&mut self, path: KeyPath) {
        self.spoiled.insert(path);
    }

    /// Whether `path`, or something it is part of, was spoiled.
    pub(super) fn is_spoiled(&self, path: &KeyPath) -> bool {
        (0..=path.0.len()).any(|length| self.spoiled.contains(&KeyPath(path.0[..length].to_vec())))
    }
}
