//! `goldsmith man`.

use std::io;
use std::path::{Path, PathBuf};

use clap::CommandFactory;

use crate::base::atomic;
use crate::base::failure::AnyFailure;
use crate::cli::args::{Args, Man};
use crate::cli::file_error::FileError;
use crate::cli::printer;
use crate::cli::topics::{TOPICS, Topic, escaped};

/// Print goldsmith(1), or write into a directory: that page, a page for each command and one for each topic.
///
/// # Errors
/// The output cannot be written.
pub fn run(args: &Man) -> Result<(), AnyFailure> {
    let mut command = Args::command();
    command.build();
    let Some(dir) = &args.output else {
        return Ok(printer::out(&page(&command)?)?);
    };
    std::fs::create_dir_all(dir).map_err(|source| unwritten(dir, source))?;
    write(&command, dir)?;
    for topic in &TOPICS {
        put(&dir.join(format!("goldsmith-{}.7", topic.name)), &topic_page(topic))?;
    }
    Ok(())
}

fn write(command: &clap::Command, dir: &Path) -> Result<(), FileError> {
    put(&dir.join(clap_mangen::Man::new(command.clone()).get_filename()), &page(command)?)?;
    command.get_subcommands().filter(|sub| !sub.is_hide_set()).try_for_each(|sub| write(sub, dir))
}

fn put(path: &Path, text: &str) -> Result<(), FileError> {
    atomic::write(path, text.as_bytes()).map_err(|source| unwritten(path, source))
}

/// The page of a command, in the order of man-pages(7). The sections that are equal for all commands come from the topics.
fn page(command: &clap::Command) -> Result<String, FileError> {
    let man = clap_mangen::Man::new(command.clone()).source(concat!("goldsmith ", env!("CARGO_PKG_VERSION"))).manual("goldsmith");
    let path = PathBuf::from(man.get_filename());
    let mut page = Vec::new();
    let mut render = || {
        man.render_title(&mut page)?;
        man.render_name_section(&mut page)?;
        man.render_synopsis_section(&mut page)?;
        man.render_description_section(&mut page)?;
        man.render_options_section(&mut page)?;
        if command.has_subcommands() {
            man.render_subcommands_section(&mut page)?;
        }
        Ok(())
    };
    render().map_err(|source| unwritten(&path, source))?;
    let mut text = String::from_utf8_lossy(&page).into_owned();
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    if let Some((_, examples)) = help.split_once("Examples:\n") {
        let examples: Vec<_> = examples.lines().map(|line| escaped(line.trim())).collect();
        text.push_str(&format!(".SH EXAMPLES\n.nf\n{}\n.fi\n", examples.join("\n")));
    }
    for (heading, topic) in [("EXIT STATUS", "exit-codes"), ("ENVIRONMENT", "environment"), ("FILES", "store")] {
        let topic = Topic::named(topic).map(Topic::roff_section).unwrap_or_default();
        text.push_str(&format!(".SH \"{heading}\"\n{topic}"));
    }
    let pages: Vec<_> = TOPICS.iter().map(|topic| format!("\\fBgoldsmith\\-{}\\fR(7)", escaped(topic.name))).collect();
    text.push_str(&format!(".SH \"SEE ALSO\"\n{}\n", pages.join(",\n")));
    Ok(text)
}

/// The page of a topic.
fn topic_page(topic: &Topic) -> String {
    let name = format!("goldsmith-{}", topic.name);
    let version = env!("CARGO_PKG_VERSION");
    format!(
        ".TH {name} 7 \"\" \"goldsmith {version}\" \"goldsmith\"\n.SH NAME\n{} \\- {}\n.SH DESCRIPTION\n{}.SH \"SEE ALSO\"\n\\fBgoldsmith\\fR(1)\n",
        escaped(&name),
        escaped(topic.about),
        topic.roff()
    )
}

/// A page could not be written.
fn unwritten(path: &Path, source: io::Error) -> FileError {
    FileError::new(path, source, "choose a directory you may write to with -o DIR")
}
