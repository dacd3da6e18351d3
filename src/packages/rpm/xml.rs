//! Reads the XML files of a repository, one element after the other. It builds no tree and keeps only one element at a time.

use std::borrow::Cow;

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event as Raw};

use crate::packages::error::{IndexError, Problem, malformed};
use crate::packages::input::Input;

/// Elements within elements; repodata has five.
const DEPTH: usize = 32;

/// A file of repodata that is being read. Errors are [`Problem`]s until [`Xml::error`] gives them their place.
pub(super) struct Xml<'a> {
    reader: quick_xml::Reader<Input<'a>>,
    buffer: Vec<u8>,
    /// Elements that are open.
    depth: usize,
    /// The tag of the element opened last, without its angle brackets, and how much of it is the name.
    tag: String,
    name: usize,
    /// The text of the element at `text_of`.
    text: String,
    text_of: Option<usize>,
    /// The name in errors of the package or group that is being read.
    pub(super) entry: Option<String>,
}

/// What comes next.
pub(super) enum Event<'a> {
    /// An element begins. It is read to its end by [`Xml::text`], [`Xml::skip`] or as many calls of [`Xml::next`] as it takes.
    Open(Element<'a>),
    /// The innermost open element ends.
    Close,
    /// The file ends.
    End,
}

/// The beginning of an element.
pub(super) struct Element<'a>(BytesStart<'a>);

/// As [`Event`]; the element's tag is in [`Xml::tag`].
#[derive(Clone, Copy)]
enum Step {
    Open,
    Close,
    End,
}

impl Element<'_> {
    /// Its name without the name space's prefix, which is the writer's choice.
    pub(super) fn name(&self) -> &str {
        self.0.local_name().into_inner()
    }

    /// Call `each` with the name (without prefix) and value of each attribute, in their order.
    pub(super) fn attributes<'b>(&'b self, mut each: impl FnMut(&'b str, Cow<'b, str>) -> Result<(), Problem>) -> Result<(), Problem> {
        for attribute in self.0.attributes().with_checks(false) {
            let attribute = attribute.map_err(|error| malformed(format_args!("in <{}>: {error}", self.name())))?;
            let value = attribute.normalized_value(XmlVersion::Implicit1_0);
            let value = value.map_err(|error| malformed(format_args!("in <{}>: {error}", self.name())))?;
            each(attribute.key.local_name().into_inner(), value)?;
        }
        Ok(())
    }

    /// The value of the attribute `name`.
    pub(super) fn attribute(&self, name: &str) -> Result<Option<Cow<'_, str>>, Problem> {
        let mut found = None;
        self.attributes(|key, value| {
            if key == name {
                found = Some(value);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// The value of the attribute `name`, which must be there.
    pub(super) fn required(&self, name: &str) -> Result<Cow<'_, str>, Problem> {
        self.attribute(name)?.ok_or_else(|| malformed(format_args!("<{}> has no attribute `{name}`", self.name())))
    }
}

impl<'a> Xml<'a> {
    /// Read `input`, whose outermost element is `root`.
    ///
    /// # Errors
    /// It begins with another element, or with none.
    pub(super) fn open(input: Input<'a>, root: &str) -> Result<Self, IndexError> {
        let mut reader = quick_xml::Reader::from_reader(input);
        reader.config_mut().expand_empty_elements = true;
        let (tag, text) = (String::new(), String::new());
        let mut xml = Self { reader, buffer: Vec::new(), depth: 0, tag, name: 0, text, text_of: None, entry: None };
        let found = match xml.next() {
            Ok(Event::Open(element)) if element.name() == root => return Ok(xml),
            Ok(Event::Open(element)) => malformed(format_args!("it begins with <{}> and not with <{root}>", element.name())),
            Ok(_) => malformed(format_args!("it has no <{root}>")),
            Err(problem) => problem,
        };
        Err(xml.error(found))
    }

    /// What comes next; text between elements is passed over.
    pub(super) fn next(&mut self) -> Result<Event<'_>, Problem> {
        Ok(match self.step()? {
            Step::Open => Event::Open(Element(BytesStart::from_content(self.tag.as_str(), self.name))),
            Step::Close => Event::Close,
            Step::End => Event::End,
        })
    }

    /// The text of the element that was just opened, which is read to its end. Elements in it are passed over.
    pub(super) fn text(&mut self) -> Result<&str, Problem> {
        self.text.clear();
        self.text_of = Some(self.depth);
        let done = self.skip();
        self.text_of = None;
        done.map(|()| self.text.trim_ascii())
    }

    /// Read the element that was just opened to its end.
    pub(super) fn skip(&mut self) -> Result<(), Problem> {
        let around = self.depth.saturating_sub(1);
        while self.depth > around {
            self.step()?;
        }
        Ok(())
    }

    /// The error for `problem`, with the present place.
    pub(super) fn error(&mut self, problem: Problem) -> IndexError {
        let entry = self.entry.take();
        self.reader.get_mut().error(entry, problem)
    }

    /// The file has been read to its end: check it as a whole.
    pub(super) fn finish(self) -> Result<(), IndexError> {
        self.reader.into_inner().finish()
    }

    fn step(&mut self) -> Result<Step, Problem> {
        loop {
            self.buffer.clear();
            self.reader.get_mut().begin_entry();
            // An error of the input itself is reported by `Input::error`.
            match self.reader.read_event_into(&mut self.buffer).map_err(malformed)? {
                Raw::Start(_) if self.depth == DEPTH => {
                    return Err(malformed(format_args!("it has more than {DEPTH} elements within each other")));
                }
                Raw::Start(start) => {
                    self.depth += 1;
                    self.tag.clear();
                    self.tag.push_str(&start);
                    self.name = start.name().as_ref().len();
                    return Ok(Step::Open);
                }
                Raw::End(_) => {
                    self.depth = self.depth.saturating_sub(1);
                    return Ok(Step::Close);
                }
                Raw::Text(text) if self.text_of == Some(self.depth) => self.text.push_str(&text.xml10_content()),
                Raw::CData(text) if self.text_of == Some(self.depth) => self.text.push_str(&text.xml10_content()),
                Raw::GeneralRef(reference) if self.text_of == Some(self.depth) => push_reference(&mut self.text, &reference)?,
                Raw::Decl(declaration) => known_encoding(&declaration)?,
                // A reference to such an entity would be refused anyway. Real repodata declares none.
                Raw::DocType(text) if text.contains('[') => return Err(malformed("it declares entities of its own")),
                Raw::Eof if self.depth == 0 => return Ok(Step::End),
                Raw::Eof => return Err(malformed("it ends in the middle of an element")),
                // Empty elements come as a start and an end.
                Raw::Empty(_) | Raw::Text(_) | Raw::CData(_) | Raw::GeneralRef(_) => {}
                Raw::Comment(_) | Raw::PI(_) | Raw::DocType(_) => {}
            }
        }
    }
}

/// XML 1.0, section 4.1: characters by number, and the five entities that need no declaration.
fn push_reference(text: &mut String, reference: &BytesRef<'_>) -> Result<(), Problem> {
    match reference.resolve_char_ref().map_err(malformed)? {
        Some(character) => text.push(character),
        None => text.push_str(resolve_xml_entity(reference).ok_or_else(|| malformed(format_args!("unknown entity `&{};`", &**reference)))?),
    }
    Ok(())
}

/// All writers of repodata write UTF-8.
fn known_encoding(declaration: &BytesDecl<'_>) -> Result<(), Problem> {
    match declaration.encoding().transpose().map_err(malformed)? {
        Some(name) if !["utf-8", "utf8", "us-ascii"].iter().any(|known| name.eq_ignore_ascii_case(known)) => {
            Err(malformed(format_args!("its encoding is `{name}` and not UTF-8")))
        }
        _ => Ok(()),
    }
}
