//! `goldsmith exec NAME -- COMMAND`, `goldsmith shell NAME` and `goldsmith console NAME`.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::base::failure::{AnyFailure, Class, Failure};
use crate::cli::args::{Exec, OfMachine};
use crate::cli::terminal::{self, Terminal};
use crate::cli::{Context, exit, printer};
use crate::machine::seat::{ESCAPE, Streams};
use crate::run::{self, Feed, Heard, Hearing, Place};

/// A shell as after a log-in. Only the shell itself is a program of the machine.
const SHELL: &str = "shell=/bin/sh; [ ! -x /bin/bash ] || shell=/bin/bash; SHELL=$shell exec \"$shell\" -il";
/// The owner of standard output, for a message.
const OUTPUT: &str = "the command's own";
/// The `TERM` instead of one that the guest may not know.
const PLAIN_TERMINAL: &str = "vt220";

/// Run a command as root in a machine. Gives the command's exit status.
///
/// # Errors
/// The command could not be started, or its exit status did not arrive.
pub async fn exec(args: &Exec, context: &Context) -> Result<u8, AnyFailure> {
    context.refuse_json("exec", OUTPUT)?;
    let place = super::place(&args.name, context)?;
    if !args.terminal {
        return attend(&place, run::command(&place, args.command.clone(), None).await?, false).await;
    }
    let words = on_terminal(args.command.clone(), context);
    attend(&place, run::command(&place, words, Some(terminal::size())).await?, true).await
}

/// Run a shell as root in a machine, on this terminal. Gives the shell's exit status.
///
/// # Errors
/// As [`exec`].
pub async fn shell(args: &OfMachine, context: &Context) -> Result<u8, AnyFailure> {
    context.refuse_json("shell", OUTPUT)?;
    let place = super::place(&args.name, context)?;
    let words = ["/bin/sh", "-c", SHELL].map(str::to_owned).to_vec();
    let words = on_terminal(words, context);
    attend(&place, run::command(&place, words, Some(terminal::size())).await?, true).await
}

/// Connect to a machine's serial console, which others may use at the same time, until the machine is off or the user leaves with ctrl-].
///
/// # Errors
/// The machine does not run, or its supervisor ended.
pub async fn console(args: &OfMachine, context: &Context) -> Result<u8, AnyFailure> {
    context.refuse_json("console", "the console's")?;
    let place = super::place(&args.name, context)?;
    let console = run::console(&place).await?;
    printer::err(&format!("the console of {}; ctrl-] leaves it, and return shows a prompt\n", place.name()));
    let left = attend(&place, console, true).await;
    // The guest's last line may have no line end.
    printer::err("\n");
    left
}

/// The command, with the `TERM` of this terminal.
fn on_terminal(words: Vec<String>, context: &Context) -> Vec<String> {
    let term = context.environment.terminal.as_deref().unwrap_or(PLAIN_TERMINAL);
    ["/usr/bin/env".to_owned(), format!("TERM={term}")].into_iter().chain(words).collect()
}

/// Pass input and output between the user and a command until it ends or the user leaves. On leaving, the connection is closed.
async fn attend(place: &Place, run::Command { feed, hearing }: run::Command, on_terminal: bool) -> Result<u8, AnyFailure> {
    // The terminal is declared after the command and so dropped before it. It is then restored even when something hangs.
    let (terminal, mut streams) = if on_terminal { Terminal::open()? } else { Terminal::open_lines()? };
    let Streams { input, output, escape } = &mut streams;
    let ended: Result<u8, AnyFailure> = tokio::select! {
        biased;
        ended = hear(hearing, output, place) => ended,
        () = give(feed, input, *escape) => Ok(exit::DONE),
        // ssh(1) sends its ProxyCommand a SIGHUP when it is done. That is not an error to report.
        _ = terminal::hung_up() => Ok(exit::TERMINATED),
    };
    let written = terminal.close(streams).await;
    let status = ended?;
    written?;
    Ok(status)
}

/// Show the output of the command until it ends.
async fn hear(mut hearing: Hearing, output: &tokio::sync::mpsc::Sender<Vec<u8>>, place: &Place) -> Result<u8, AnyFailure> {
    loop {
        match hearing.next().await {
            Heard::Output(bytes) => {
                // Standard output is closed, so the connection is closed too.
                if output.send(bytes).await.is_err() {
                    return Ok(exit::DONE);
                }
            }
            Heard::Errors(bytes) => printer::pass_err(&bytes),
            // A shell has the low eight bits of a status (wait(2)).
            Heard::Exit(status) => return Ok(u8::try_from(status).unwrap_or(u8::MAX)),
            Heard::Broken(why) => return Err(NoStatus { name: place.name().to_string(), why }.into()),
        }
    }
}

/// Pass on what the user types and how large the terminal is. Returns when the user leaves with ctrl-].
async fn give(mut feed: Feed, input: &mut tokio::sync::mpsc::Receiver<Vec<u8>>, escape: bool) {
    let mut resized = signal(SignalKind::window_change()).ok();
    let mut open = true;
    loop {
        let sent = tokio::select! {
            typed = input.recv(), if open => match typed {
                Some(bytes) => {
                    let left = bytes.iter().position(|byte| escape && *byte == ESCAPE);
                    let sent = feed.send(&bytes[..left.unwrap_or(bytes.len())]).await;
                    if left.is_some() {
                        return;
                    }
                    sent
                }
                None => {
                    open = false;
                    feed.end().await
                }
            },
            () = window_change(&mut resized) => feed.resize(terminal::size()).await,
        };
        if sent.is_err() {
            // The other future notices the command's end.
            std::future::pending::<()>().await;
        }
    }
}

async fn window_change(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        // If the signal cannot be received, nothing happens here.
        None => std::future::pending().await,
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the command in `{name}` has no exit status: {why}")]
struct NoStatus {
    name: String,
    why: String,
}

impl Failure for NoStatus {
    fn class(&self) -> Class {
        Class::Machine
    }

    fn remedy(&self) -> Option<String> {
        Some(format!("see how the machine is: goldsmith ps; what its console says: goldsmith logs {}", self.name))
    }
}
