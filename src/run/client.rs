//! Requests to the supervisor of a machine.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use super::control::{Answer, Change, FRAME_BYTES, Kind, Request, Status, read_frame, read_line, write_frame, write_line};
use super::error::RunError;
use super::name::Name;
use super::record::Place;
use super::socket;
use crate::machine::seat::Size;

/// For a supervisor's answer, which comes at once.
const ANSWER: Duration = Duration::from_secs(10);
/// For the answer about a snapshot, which is written to the host's disk first.
const SNAPSHOT: Duration = Duration::from_secs(120);
/// For a supervisor that has just taken the lock to listen.
const LISTENS: Duration = Duration::from_secs(5);
/// After the time for an end in order, for QEMU to close its files.
const CLOSES: Duration = Duration::from_secs(30);
/// The pause between two looks.
pub(super) const LOOK: Duration = Duration::from_millis(50);

/// The machine's status; `None` when it does not run.
///
/// # Errors
/// Its supervisor does not answer.
pub async fn status(place: &Place) -> Result<Option<Status>, RunError> {
    let Some((mut reader, mut writer)) = connect(place).await? else { return Ok(None) };
    match ask(place, &Request::Status, &mut reader, &mut writer).await {
        Ok(Answer::Status(status)) => Ok(Some(status)),
        Ok(other) => Err(mute(place, format!("it said {other:?}"))),
        // It ended meanwhile.
        Err(_) if !place.runs()? => Ok(None),
        Err(error) => Err(error),
    }
}

/// End the machine: by an orderly shutdown within `seconds`, or else by cutting its power. False when it did not run.
///
/// # Errors
/// Its supervisor does not answer, or does not end.
pub async fn stop(place: &Place, seconds: u64) -> Result<bool, RunError> {
    let Some((mut reader, mut writer)) = connect(place).await? else { return Ok(false) };
    let asked = ask(place, &Request::Stop { seconds }, &mut reader, &mut writer).await;
    let patience = Instant::now() + Duration::from_secs(seconds) + CLOSES;
    while place.runs()? {
        // It may have ended before it could answer.
        if let Err(error) = &asked
            && patience.saturating_duration_since(Instant::now()) < CLOSES
        {
            return Err(mute(place, error.to_string()));
        }
        if Instant::now() > patience {
            return Err(mute(place, "it was told to end, and did not".to_owned()));
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(true)
}

/// Take a picture of the machine's screen. Gives the file, which the next picture replaces.
///
/// # Errors
/// The machine does not run, or QEMU gives no picture.
pub async fn screenshot(place: &Place) -> Result<PathBuf, RunError> {
    let Some((mut reader, mut writer)) = connect(place).await? else { return Err(off(place)) };
    match ask(place, &Request::Screen, &mut reader, &mut writer).await? {
        Answer::Screen(path) => Ok(path),
        Answer::Refused(why) => Err(mute(place, why)),
        other => Err(mute(place, format!("it said {other:?}"))),
    }
}

/// Have the machine's QEMU take or remove a snapshot of its disk.
///
/// # Errors
/// The machine does not run, or QEMU refuses.
pub(super) async fn snapshot(place: &Place, change: Change, name: &Name) -> Result<(), RunError> {
    let Some((mut reader, mut writer)) = connect(place).await? else { return Err(off(place)) };
    let request = Request::Snapshot { change, name: name.clone() };
    match ask_within(SNAPSHOT, place, &request, &mut reader, &mut writer).await? {
        Answer::Done => Ok(()),
        Answer::Refused(why) => Err(RunError::Refused { name: place.name().clone(), why }),
        other => Err(mute(place, format!("it said {other:?}"))),
    }
}

/// A command that runs in a machine.
#[derive(Debug)]
pub struct Command {
    /// Its input.
    pub feed: Feed,
    /// Its output and status.
    pub hearing: Hearing,
}

/// Run `words` as root in the machine: on a terminal of this size, or on pipes.
///
/// # Errors
/// The machine does not run, or cannot run commands now.
pub async fn command(place: &Place, words: Vec<String>, size: Option<Size>) -> Result<Command, RunError> {
    opened(place, &Request::Open { words, size }).await
}

/// Connect to the machine's console, beside others. It ends when the machine is off.
///
/// # Errors
/// The machine does not run.
pub async fn console(place: &Place) -> Result<Command, RunError> {
    opened(place, &Request::Console).await
}

async fn opened(place: &Place, request: &Request) -> Result<Command, RunError> {
    let Some((mut reader, mut writer)) = connect(place).await? else { return Err(off(place)) };
    match ask(place, request, &mut reader, &mut writer).await? {
        Answer::Opened => Ok(Command { feed: Feed { writer }, hearing: Hearing { reader } }),
        Answer::Refused(why) => Err(RunError::Refused { name: place.name().clone(), why }),
        other => Err(mute(place, format!("it said {other:?}"))),
    }
}

/// The input of a command.
#[derive(Debug)]
pub struct Feed {
    writer: OwnedWriteHalf,
}

impl Feed {
    /// Bytes for it to read.
    ///
    /// # Errors
    /// The command has ended, or the machine.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.chunks(FRAME_BYTES) {
            write_frame(&mut self.writer, Kind::Input, piece).await?;
        }
        Ok(())
    }

    /// End the input.
    ///
    /// # Errors
    /// As [`Feed::send`].
    pub async fn end(&mut self) -> io::Result<()> {
        write_frame(&mut self.writer, Kind::InputEnds, &[]).await
    }

    /// Its terminal has another size.
    ///
    /// # Errors
    /// As [`Feed::send`].
    pub async fn resize(&mut self, Size { rows, columns }: Size) -> io::Result<()> {
        write_frame(&mut self.writer, Kind::Resize, &[rows.to_le_bytes(), columns.to_le_bytes()].concat()).await
    }
}

/// The output and status of a command.
#[derive(Debug)]
pub struct Hearing {
    reader: BufReader<OwnedReadHalf>,
}

/// An event of a command.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// It wrote this.
    Output(Vec<u8>),
    /// It wrote this to its standard error.
    Errors(Vec<u8>),
    /// It ended with this status.
    Exit(i32),
    /// There will be no status.
    Broken(String),
}

impl Hearing {
    /// The next thing. Not safe to cancel.
    pub async fn next(&mut self) -> Heard {
        loop {
            match read_frame(&mut self.reader).await {
                Ok((Kind::Output, bytes)) => return Heard::Output(bytes),
                Ok((Kind::Errors, bytes)) => return Heard::Errors(bytes),
                Ok((Kind::Exit, bytes)) => {
                    let status = <[u8; 4]>::try_from(&bytes[..]).map(i32::from_le_bytes);
                    return status.map_or_else(|_| Heard::Broken("its exit status was cut short".to_owned()), Heard::Exit);
                }
                Ok((Kind::Broken, bytes)) => return Heard::Broken(String::from_utf8_lossy(&bytes).into_owned()),
                Ok(_) => {}
                Err(_) => return Heard::Broken("the machine ended before the command did".to_owned()),
            }
        }
    }
}

type Ends = (BufReader<OwnedReadHalf>, OwnedWriteHalf);

/// Connect to the machine's supervisor; nothing when it has none.
async fn connect(place: &Place) -> Result<Option<Ends>, RunError> {
    let patience = Instant::now() + LISTENS;
    let path = place.socket();
    loop {
        if !place.runs()? {
            return Ok(None);
        }
        match socket::connect(&path).await {
            Ok(stream) => {
                let (reader, writer) = UnixStream::into_split(stream);
                return Ok(Some((BufReader::new(reader), writer)));
            }
            Err(error) if Instant::now() > patience => return Err(mute(place, format!("its supervisor does not listen ({error})"))),
            Err(_) => tokio::time::sleep(LOOK).await,
        }
    }
}

async fn ask(
    place: &Place,
    request: &Request,
    reader: &mut BufReader<OwnedReadHalf>,
    writer: &mut OwnedWriteHalf,
) -> Result<Answer, RunError> {
    ask_within(ANSWER, place, request, reader, writer).await
}

async fn ask_within(
    limit: Duration,
    place: &Place,
    request: &Request,
    reader: &mut BufReader<OwnedReadHalf>,
    writer: &mut OwnedWriteHalf,
) -> Result<Answer, RunError> {
    let asked = async {
        write_line(writer, request).await?;
        read_line(reader).await
    };
    match timeout(limit, asked).await {
        Ok(answer) => answer.map_err(|error| mute(place, format!("its supervisor hung up ({error})"))),
        Err(_) => Err(mute(place, format!("its supervisor has said nothing for {} s", limit.as_secs()))),
    }
}

/// The error that the machine does not run, with how its last run ended.
pub(super) fn off(place: &Place) -> RunError {
    let how = place.ended().map(|ended| format!("{} at {}", ended.how, ended.at));
    RunError::Off { name: place.name().clone(), how }
}

pub(super) fn mute(place: &Place, why: String) -> RunError {
    RunError::Mute { name: place.name().clone(), why }
}
