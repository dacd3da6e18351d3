//! The clients of a supervisor, all served at the same time.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::sync::{Mutex, oneshot, watch};

use super::control::{Answer, Change, FRAME_BYTES, Kind, Request, State, Status, read_frame, read_line, write_frame, write_line};
use super::name::Name;
use crate::machine::Onlooker;
use crate::machine::runner::output::{Lost, Output};
use crate::machine::runner::resident::{Session, Words};
use crate::machine::seat::Size;

/// Why there is no answer of a supervisor's loop.
const ENDED: &str = "it has just ended";

/// An order to the supervisor's own loop.
pub(super) enum Order {
    /// Begin a command.
    Open {
        /// The command.
        words: Words,
        /// Its terminal.
        size: Option<Size>,
        /// The session, or why there is none.
        reply: oneshot::Sender<Result<Session, String>>,
    },
    /// All that a command will read has been written.
    EndInput {
        /// The command's slot.
        slot: usize,
        /// Its number.
        number: u64,
    },
    /// The terminal of a command has another size.
    Resize {
        /// The command's slot.
        slot: usize,
        /// The size.
        size: Size,
    },
    /// A session is over for its user.
    Close {
        /// Its slot.
        slot: usize,
        /// Its number.
        number: u64,
    },
    /// Connect an onlooker to the console.
    Console {
        /// The place.
        reply: oneshot::Sender<Onlooker>,
    },
    /// Take a picture of the screen.
    Screen {
        /// The file, or why there is none.
        reply: oneshot::Sender<Result<PathBuf, String>>,
    },
    /// Change the snapshots of the disk.
    Snapshot {
        /// How.
        change: Change,
        /// The snapshot's name.
        name: Name,
        /// The result, or why it was not done.
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// End the machine.
    Stop {
        /// The time for an orderly shutdown.
        within: Duration,
    },
}

/// The data that the supervisor's loop shares with the tasks that serve its clients.
pub(super) struct Shared {
    status: std::sync::Mutex<Status>,
    orders: UnboundedSender<Order>,
}

impl Shared {
    pub(super) fn new(orders: UnboundedSender<Order>) -> Self {
        let status =
            Status { state: State::Starting, detail: String::new(), qemu: None, unreachable: None, services_start: false, cold: None };
        Self { status: std::sync::Mutex::new(status), orders }
    }

    /// The machine's status.
    pub(super) fn status(&self) -> Status {
        self.lock().clone()
    }

    /// The state of the machine.
    pub(super) fn state(&self) -> State {
        self.lock().state
    }

    /// Change the state.
    pub(super) fn enter(&self, state: State, detail: impl Into<String>) {
        self.change(|status| (status.state, status.detail) = (state, detail.into()));
    }

    /// Change the status.
    pub(super) fn change(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.lock());
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        // No code panics while it holds the lock, and after a panic the status would still be whole.
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn order(&self, order: Order) {
        // If the supervisor's loop has ended, the order's reply tells so, or there is nothing left to do.
        let _ = self.orders.send(order);
    }
}

/// Serve each client that connects, without end.
pub(super) async fn serve(listener: UnixListener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(answer(stream, Arc::clone(&shared)))),
            // Too many files are open at the moment.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Serve one client.
///
/// # Errors
/// The client has gone: it needs no answer.
async fn answer(stream: UnixStream, shared: Arc<Shared>) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    match read_line::<Request>(&mut reader).await? {
        Request::Status => write_line(&mut writer, &Answer::Status(shared.status())).await,
        Request::Stop { seconds } => {
            shared.order(Order::Stop { within: Duration::from_secs(seconds) });
            write_line(&mut writer, &Answer::Done).await
        }
        Request::Screen => {
            let (reply, picture) = oneshot::channel();
            shared.order(Order::Screen { reply });
            let picture = picture.await.unwrap_or_else(|_| Err(ENDED.to_owned()));
            write_line(&mut writer, &picture.map_or_else(Answer::Refused, Answer::Screen)).await
        }
        Request::Snapshot { change, name } => {
            let (reply, done) = oneshot::channel();
            shared.order(Order::Snapshot { change, name, reply });
            let done = done.await.unwrap_or_else(|_| Err(ENDED.to_owned()));
            write_line(&mut writer, &done.map_or_else(Answer::Refused, |()| Answer::Done)).await
        }
        Request::Console => look_on(reader, writer, &shared).await,
        Request::Open { words, size } => {
            let (reply, session) = oneshot::channel();
            let words = Words::new(words.iter().map(String::as_str));
            shared.order(Order::Open { words, size, reply });
            match session.await.unwrap_or_else(|_| Err(ENDED.to_owned())) {
                Ok(session) => attend(session, reader, writer, &shared).await,
                Err(why) => write_line(&mut writer, &Answer::Refused(why)).await,
            }
        }
    }
}

/// Pass bytes between a client and the console until the machine is off or the client goes away. After a reboot the machine has a new
/// console.
async fn look_on(reader: BufReader<OwnedReadHalf>, mut writer: OwnedWriteHalf, shared: &Shared) -> io::Result<()> {
    write_line(&mut writer, &Answer::Opened).await?;
    let (typed, keys) = watch::channel(None);
    let shown = async {
        while let Some(Onlooker { begun, mut heard, typed: place }) = place(shared).await {
            // This fails if the client has gone; then nothing more is typed.
            let _ = typed.send(place);
            write_frame(&mut writer, Kind::Output, &begun).await?;
            loop {
                match heard.recv().await {
                    Ok(bytes) => write_frame(&mut writer, Kind::Output, &bytes).await?,
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => break,
                }
            }
        }
        io::Result::Ok(())
    };
    tokio::select! {
        shown = shown => shown?,
        // The client has gone.
        gone = type_on(reader, keys) => return gone,
    }
    write_frame(&mut writer, Kind::Exit, &0_i32.to_le_bytes()).await?;
    writer.shutdown().await
}

/// The console of this boot, or of the next one; nothing when there will be none.
async fn place(shared: &Shared) -> Option<Onlooker> {
    let (reply, place) = oneshot::channel();
    shared.order(Order::Console { reply });
    place.await.ok()
}

/// Pass on what the client types, until it goes away.
async fn type_on(mut reader: BufReader<OwnedReadHalf>, keys: watch::Receiver<Option<mpsc::Sender<Vec<u8>>>>) -> io::Result<()> {
    loop {
        if let (Kind::Input, bytes) = read_frame(&mut reader).await? {
            let typed = keys.borrow().clone();
            // Between two boots there is no console, so the keys are dropped.
            if let Some(typed) = typed {
                let _ = typed.send(bytes).await;
            }
        }
    }
}

/// Pass bytes between a client and its command until one of them has ended.
async fn attend(session: Session, reader: BufReader<OwnedReadHalf>, mut writer: OwnedWriteHalf, shared: &Shared) -> io::Result<()> {
    let (slot, number) = (session.slot, session.number);
    let ended = converse(session, reader, &mut writer, shared).await;
    shared.order(Order::Close { slot, number });
    match ended? {
        Ok(status) => write_frame(&mut writer, Kind::Exit, &status.to_le_bytes()).await?,
        Err(lost) => write_frame(&mut writer, Kind::Broken, lost.to_string().as_bytes()).await?,
    }
    writer.shutdown().await
}

/// The same, with the command's end: its exit status, or why it has none.
///
/// # Errors
/// The client has gone.
async fn converse(
    session: Session,
    reader: BufReader<OwnedReadHalf>,
    writer: &mut OwnedWriteHalf,
    shared: &Shared,
) -> io::Result<Result<i32, Lost>> {
    let Session { slot, number, input, output, errors } = session;
    write_line(writer, &Answer::Opened).await?;
    let writer = Mutex::new(writer);
    let outputs = async { tokio::try_join!(pass_on(output, Kind::Output, &writer), pass_on(errors, Kind::Errors, &writer)) };
    tokio::select! {
        biased;
        ended = outputs => match ended {
            Ok((status, _)) => Ok(Ok(status)),
            Err(Broken::Lost(lost)) => Ok(Err(lost)),
            Err(Broken::Client(error)) => Err(error),
        },
        gone = feed((slot, number), input, reader, shared) => gone.and(Err(io::ErrorKind::ConnectionReset.into())),
    }
}

/// Why an output is not passed on any more.
enum Broken {
    Lost(Lost),
    /// The client has gone.
    Client(io::Error),
}

/// Pass one of a command's outputs on, to its end. Gives the exit status.
async fn pass_on(mut output: Output, kind: Kind, writer: &Mutex<&mut OwnedWriteHalf>) -> Result<i32, Broken> {
    let mut bytes = Vec::new();
    loop {
        let status = output.read(&mut bytes).await.map_err(Broken::Lost)?;
        for piece in bytes.chunks(FRAME_BYTES) {
            write_frame(&mut **writer.lock().await, kind, piece).await.map_err(Broken::Client)?;
        }
        bytes.clear();
        if let Some(status) = status {
            return Ok(status);
        }
    }
}

/// Pass on what the client sends, until it goes away.
async fn feed(
    (slot, number): (usize, u64),
    mut input: UnixStream,
    mut reader: BufReader<OwnedReadHalf>,
    shared: &Shared,
) -> io::Result<()> {
    let mut open = true;
    loop {
        match read_frame(&mut reader).await? {
            // If the command reads no more, its outputs will tell its end.
            (Kind::Input, bytes) if open => open = input.write_all(&bytes).await.is_ok(),
            (Kind::InputEnds, _) => {
                open = false;
                // QEMU first passes on the bytes that are still on their way, then hangs up. For the guest the input only ends by this
                // order.
                shared.order(Order::EndInput { slot, number });
                let _ = input.shutdown().await;
            }
            (Kind::Resize, bytes) => {
                if let [a, b, c, d] = bytes[..] {
                    let size = Size { rows: u16::from_le_bytes([a, b]), columns: u16::from_le_bytes([c, d]) };
                    shared.order(Order::Resize { slot, size });
                }
            }
            _ => {}
        }
    }
}
