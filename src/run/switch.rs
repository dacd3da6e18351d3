//! The switch of a private network: each machine's supervisor is a part of it, so that no common process is needed.
//!
//! ```text
//!   QEMU ─cable─ supervisor's port ──frame──▶ segment.sock of another supervisor ─cable─ its QEMU
//! ```
//!
//! A frame goes to the machine whose card has its address, or else to all others (IEEE 802.1Q, 8.6). A frame for a machine that is off or
//! does not take it is dropped, as in any switch.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::UnixDatagram;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

use super::socket;
use crate::base::atomic;
use crate::machine::spec::Mac;

/// Bytes of the longest frame: an IPv4 packet at its longest, and QEMU's own limit (`net/net.h`, `NET_BUFSIZE`).
const FRAME_BYTES: usize = 4096 + 65536;
/// Bytes of a frame's two addresses and its type, the least it has.
const HEADER_BYTES: usize = 14;
/// Frames that wait for one machine: at 1500 bytes each about what a TCP connection has under way.
const QUEUE: usize = 256;

/// Other machines by the address of their card, and the queues of frames for them.
type Peers = Arc<Mutex<BTreeMap<Mac, Peer>>>;

/// A machine's port to its network. It is closed when this is dropped.
#[derive(Debug)]
pub(super) struct Port {
    socket: PathBuf,
    peers: Peers,
    tasks: [JoinHandle<()>; 2],
}

/// The way to another machine.
#[derive(Debug)]
struct Peer {
    socket: PathBuf,
    queue: Sender<Vec<u8>>,
}

impl Port {
    /// Connect a machine's `cable` to the others, which reach it at `socket`.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub(super) fn open(cable: UnixDatagram, socket: &Path) -> io::Result<Self> {
        // A socket that is there is left over from a supervisor that was killed.
        atomic::remove(socket)?;
        let listening = socket::datagrams(socket)?;
        let (cable, peers) = (Arc::new(cable), Peers::default());
        let tasks = [tokio::spawn(send(Arc::clone(&cable), Arc::clone(&peers))), tokio::spawn(receive(listening, cable))];
        Ok(Self { socket: socket.to_owned(), peers, tasks })
    }

    /// From now on reach these other machines, and only these: the addresses of their cards, and their sockets.
    pub(super) fn reach(&self, others: impl IntoIterator<Item = (Mac, PathBuf)>) {
        let mut peers = lock(&self.peers);
        let mut before = std::mem::take(&mut *peers);
        for (mac, socket) in others {
            let kept = before.remove(&mac).filter(|peer| peer.socket == socket);
            peers.insert(mac, kept.unwrap_or_else(|| Peer::new(socket)));
        }
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        // A datagram that is sent meanwhile is refused either way.
        let _ = atomic::remove(&self.socket);
    }
}

impl Peer {
    fn new(socket: PathBuf) -> Self {
        let (queue, frames) = channel(QUEUE);
        // It ends with the queue.
        tokio::spawn(deliver(socket.clone(), frames));
        Self { socket, queue }
    }
}

fn lock(peers: &Peers) -> MutexGuard<'_, BTreeMap<Mac, Peer>> {
    // No code panics while it holds the lock, and after a panic the table would still be whole.
    peers.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Give the machine's frames to those they are for.
async fn send(cable: Arc<UnixDatagram>, peers: Peers) {
    let mut buffer = vec![0; FRAME_BYTES];
    // This ends when QEMU ends.
    while let Ok(length) = cable.recv(&mut buffer).await {
        let frame = &buffer[..length];
        let Some(to) = destination(frame) else { continue };
        let peers = lock(&peers);
        // A full queue drops the frame.
        match peers.get(&to) {
            Some(peer) => drop(peer.queue.try_send(frame.to_vec())),
            None => peers.values().for_each(|peer| drop(peer.queue.try_send(frame.to_vec()))),
        }
    }
}

/// The destination of a frame; `None` when the bytes are no frame.
fn destination(frame: &[u8]) -> Option<Mac> {
    (frame.len() >= HEADER_BYTES).then(|| frame.first_chunk().copied().map(Mac)).flatten()
}

/// Give frames to one machine, which may be off now and on later.
async fn deliver(socket: PathBuf, mut frames: Receiver<Vec<u8>>) {
    let mut connected: Option<UnixDatagram> = None;
    while let Some(frame) = frames.recv().await {
        // A machine that was started again has another socket under the same name.
        for _ in 0..2 {
            let sender = match connected.take().map_or_else(|| socket::to_datagrams(&socket), Ok) {
                Ok(sender) => sender,
                Err(_) => break,
            };
            if sender.send(&frame).await.is_ok() {
                connected = Some(sender);
                break;
            }
        }
    }
}

/// Give the machine what others send it.
async fn receive(listening: UnixDatagram, cable: Arc<UnixDatagram>) {
    let mut buffer = vec![0; FRAME_BYTES];
    while let Ok(length) = listening.recv(&mut buffer).await {
        if destination(&buffer[..length]).is_some() && cable.send(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn frame(to: Mac, byte: u8) -> Vec<u8> {
        [&to.0[..], &[byte; 58]].concat()
    }

    /// A machine's own end of its cable, and its port.
    fn machine(dir: &Path, number: u8) -> (UnixDatagram, Port) {
        let (theirs, ours) = UnixDatagram::pair().unwrap();
        (theirs, Port::open(ours, &dir.join(format!("s{number}"))).unwrap())
    }

    async fn within(patience: Duration, cable: &UnixDatagram) -> Option<u8> {
        let mut buffer = [0; FRAME_BYTES];
        let length = timeout(patience, cable.recv(&mut buffer)).await.ok()?.unwrap();
        (length == 64).then_some(buffer[63])
    }

    /// The next frame. It waits long enough for a busy host.
    async fn next(cable: &UnixDatagram) -> Option<u8> {
        within(Duration::from_secs(60), cable).await
    }

    async fn is_still(cable: &UnixDatagram) -> bool {
        within(Duration::from_millis(300), cable).await.is_none()
    }

    #[test]
    fn frames_reach_those_they_are_for_also_after_a_restart() {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let mac = |number| Mac([0x52, 0x54, 0, 0, 0, number]);
            let path = |number: u8| dir.path().join(format!("s{number}"));
            let (one, port) = machine(dir.path(), 1);
            let (two, other) = machine(dir.path(), 2);
            let (three, _third) = machine(dir.path(), 3);
            port.reach([(mac(2), path(2)), (mac(3), path(3)), (mac(4), path(4))]);
            // To one, to all, to a card that no machine has, to a machine that is off, and bytes that are no frame.
            one.send(&frame(mac(2), 1)).await.unwrap();
            assert!(next(&two).await == Some(1) && is_still(&three).await);
            for (to, byte) in [(Mac([0xff; 6]), 2), (mac(9), 3)] {
                one.send(&frame(to, byte)).await.unwrap();
                assert_eq!((next(&two).await, next(&three).await), (Some(byte), Some(byte)));
            }
            one.send(&frame(mac(4), 4)).await.unwrap();
            one.send(&[0xff; 13]).await.unwrap();
            assert!(is_still(&two).await && is_still(&three).await);
            // A machine that was started again can be reached.
            drop((two, other));
            assert!(!path(2).exists());
            one.send(&frame(mac(2), 5)).await.unwrap();
            let (two, _other) = machine(dir.path(), 2);
            one.send(&frame(mac(2), 6)).await.unwrap();
            // The frame before may have waited for it.
            let first = next(&two).await;
            assert_eq!(if first == Some(5) { next(&two).await } else { first }, Some(6));
            // One that has gone is not reached any more.
            port.reach([(mac(3), path(3))]);
            one.send(&frame(Mac([0xff; 6]), 7)).await.unwrap();
            assert!(next(&three).await == Some(7) && is_still(&two).await);
        });
    }

    #[test]
    fn a_machine_that_stands_still_holds_up_no_other() {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let (one, port) = machine(dir.path(), 1);
            let (two, _port) = machine(dir.path(), 2);
            // A socket that nothing reads.
            let _still = UnixDatagram::bind(dir.path().join("s3")).unwrap();
            let all = Mac([0xff; 6]);
            port.reach([2, 3].map(|number| (Mac([0x52, 0x54, 0, 0, 0, number]), dir.path().join(format!("s{number}")))));
            for round in 0..2000_u32 {
                one.send(&frame(all, 8)).await.unwrap();
                assert_eq!(next(&two).await, Some(8), "{round}");
            }
        });
    }
}
