//! `--keep-on-failure`: connects the user's terminal to a guest that failed.

use super::terminal::{self, Terminal};
use super::{printer, report};
use crate::base::failure::Failure;
use crate::machine::seat::Size;
use crate::machine::visit::{Visit, Visitor};

/// The user at the terminal on which goldsmith was started.
#[derive(Debug)]
struct User {
    colour: bool,
}

static PLAIN: User = User { colour: false };
static COLOURED: User = User { colour: true };

/// The user, when standard input and output are a terminal.
pub fn at_terminal(colour: bool) -> Option<&'static dyn Visitor> {
    let user: &'static dyn Visitor = if colour { &COLOURED } else { &PLAIN };
    (terminal::is_there() && printer::stdout_is_terminal()).then_some(user)
}

impl Visitor for User {
    fn size(&self) -> Size {
        terminal::size()
    }

    fn enter(&self, failure: &dyn Failure, how: &str) -> Option<Visit> {
        printer::err(&report::text(failure, self.colour));
        printer::err(&format!("{how}\n"));
        match Terminal::open() {
            Ok((terminal, streams)) => Some(Visit { streams, terminal: Box::new(terminal) }),
            Err(error) => {
                printer::err(&format!("warning: there is no shell: {error}\n"));
                None
            }
        }
    }
}
