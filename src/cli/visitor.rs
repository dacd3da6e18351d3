//! `--keep-on-failure`: the user's terminal for a guest that failed.

use std::io;

use super::terminal::{self, Terminal};
use super::{printer, report};
use crate::base::failure::Failure;
use crate::machine::visit::{Visit, Visitor};

/// Lines and columns of a terminal that does not tell them, as of the VT220.
const USUAL_SIZE: (u16, u16) = (24, 80);

/// The user, who sits at the terminal that goldsmith was started on.
#[derive(Debug)]
struct User {
    colour: bool,
}

static PLAIN: User = User { colour: false };
static COLOURED: User = User { colour: true };

/// The user, when keys and screen are a terminal.
pub fn at_terminal(colour: bool) -> Option<&'static dyn Visitor> {
    let user: &'static dyn Visitor = if colour { &COLOURED } else { &PLAIN };
    (terminal::is_there() && printer::stdout_is_terminal()).then_some(user)
}

impl Visitor for User {
    fn size(&self) -> (u16, u16) {
        let told = rustix::termios::tcgetwinsize(io::stdin()).map(|size| (size.ws_row, size.ws_col));
        // A pseudo-terminal whose size nobody has set has none.
        told.ok().filter(|(rows, columns)| *rows > 0 && *columns > 0).unwrap_or(USUAL_SIZE)
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
