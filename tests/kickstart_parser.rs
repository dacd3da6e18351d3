//! The kickstart parser, tested with files with known verdicts, with ksvalidator, and with files made to break it.

mod cases;
mod differential;
mod found;
mod generate;
mod hostile;
mod reading;
mod verdicts;

use goldsmith::kickstart::{Document, parse};

/// No file is included.
fn nothing(_: &str, _: &str) -> Option<String> {
    None
}

fn read(text: &str) -> Document {
    parse("ks.cfg", text, &nothing)
}

/// All findings, one a line.
fn said(document: &Document) -> String {
    document.diagnostics().iter().map(|found| format!("{found}\n")).collect()
}
