//! Tests of the module beside this file: a real server, and some that lie.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixListener;
use std::thread;

use super::*;
use crate::base::process::{Invocation, Server, Tool};

const LONG: Duration = Duration::from_secs(60);

/// A socket, and a connection to it that is not accepted yet.
fn connection() -> (UnixListener, UnixStream) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let stream = UnixStream::connect(&path).unwrap();
    (listener, stream)
}

/// A real server for the raw disk `file`.
fn serve(file: &File) -> (Server, Client) {
    let descriptor = rustix::io::fcntl_dupfd_cloexec(file, 10).unwrap();
    let (listener, stream) = connection();
    let name = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&descriptor));
    let invocation = Invocation::new(Tool::QemuNbd).args(["--read-only", "--format=raw", &name]).inherit(descriptor);
    let server = invocation.serve(listener.into()).unwrap();
    (server, Client::new(stream, LONG).unwrap())
}

#[test]
fn a_real_server_shows_the_disk_and_its_holes() {
    let file = tempfile::tempfile().unwrap();
    // Longer than one question for bytes and one for zeros, and no whole sector.
    let size = (3 << 30) + 123;
    file.set_len(size).unwrap();
    let data: Vec<u8> = (0..9 << 20).map(|at: u32| (at / 3 % 251) as u8).collect();
    file.write_all_at(&data, 5 << 20).unwrap();
    file.write_all_at(b"the end", size - 7).unwrap();
    let (_server, client) = serve(&file);
    // QEMU shows whole sectors.
    assert_eq!(client.size(), size.next_multiple_of(512));
    for (offset, length) in [(0, 1), ((5 << 20) - 100, (9 << 20) + 200), (size - 7, 7), ((5 << 20) + 4097, 70_001), (1 << 30, 10 << 20)] {
        let (mut found, mut expected) = (vec![9; length], vec![0; length]);
        client.read(offset, &mut found).unwrap();
        file.read_exact_at(&mut expected, offset).unwrap();
        assert!(found == expected, "{offset} {length}");
    }
    let mib = |number: u64| number << 20;
    for (start, end, hole) in [
        (0, mib(5), true),
        (0, mib(5) + 1, false),
        (mib(5), mib(5) + 1, false),
        (mib(13), mib(14), false),
        (mib(14), mib(3000), true),
        (mib(14) - 1, mib(3000), false),
        (mib(1), mib(1), true),
    ] {
        assert_eq!(client.is_hole(start, end).unwrap(), hole, "{start} {end}");
    }
    // The server refuses a read behind the end, and answers the next question.
    let error = client.read(client.size(), &mut [0]).unwrap_err();
    assert!(matches!(&error, NbdError::Unreadable(source) if source.raw_os_error() == Some(22)), "{error}");
    client.read(0, &mut [0; 512]).unwrap();
}

#[test]
fn threads_take_turns() {
    let file = tempfile::tempfile().unwrap();
    let data: Vec<u8> = (0..2 << 20).map(|at: u32| (at / 512) as u8).collect();
    file.write_all_at(&data, 0).unwrap();
    let (_server, client) = serve(&file);
    thread::scope(|scope| {
        for number in 0..4_u64 {
            let (client, data) = (&client, &data);
            scope.spawn(move || {
                for at in (number * 512..data.len() as u64 - 5000).step_by(40_000) {
                    let mut part = [0; 5000];
                    client.read(at, &mut part).unwrap();
                    assert!(part[..] == data[at as usize..][..5000], "{at}");
                }
            });
        }
    });
}

#[test]
fn a_server_that_is_killed_is_told_as_that_every_time() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(1 << 20).unwrap();
    let (server, client) = serve(&file);
    client.read(0, &mut [0; 512]).unwrap();
    drop(server);
    for _ in 0..3 {
        assert!(matches!(client.read(0, &mut [0; 512]), Err(NbdError::Ended)));
    }
    assert!(matches!(client.is_hole(0, 512), Err(NbdError::Ended)));
}

/// The answers of a server that agrees on a disk of `size` bytes.
fn agreement(size: u64) -> Vec<u8> {
    let reply = |option: u32, kind: u32, bytes: &[u8]| {
        let length = bytes.len() as u32;
        [&0x0003_e889_0455_65a9_u64.to_be_bytes()[..], &option.to_be_bytes(), &kind.to_be_bytes(), &length.to_be_bytes(), bytes].concat()
    };
    [
        b"NBDMAGICIHAVEOPT\0\x03".to_vec(),
        reply(8, 1, &[]),
        reply(10, 4, b"\0\0\0\x01base:allocation"),
        reply(10, 1, &[]),
        reply(7, 3, &[&[0; 2][..], &size.to_be_bytes(), &[0; 2]].concat()),
        reply(7, 1, &[]),
    ]
    .concat()
}

/// A chunk of the answer to question 1.
fn chunk(flags: u16, kind: u16, bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len() as u32;
    [&0x668e_33ef_u32.to_be_bytes()[..], &flags.to_be_bytes(), &kind.to_be_bytes(), &1_u64.to_be_bytes(), &length.to_be_bytes(), bytes]
        .concat()
}

/// A client, and a peer that sends `words` whatever is asked, and then either nothing more or hangs up.
fn told(words: Vec<u8>, hangs_up: bool, patience: Duration) -> Result<Client, NbdError> {
    let (listener, stream) = connection();
    thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        let _ = peer.write_all(&words);
        if hangs_up {
            peer.shutdown(std::net::Shutdown::Write).unwrap();
        }
        // Until the client hangs up.
        let _ = peer.read_to_end(&mut Vec::new());
    });
    Client::new(stream, patience)
}

#[test]
fn what_a_server_says_is_not_believed() {
    let data = |offset: u64, bytes: &[u8]| [&offset.to_be_bytes()[..], bytes].concat();
    let hole = |offset: u64, length: u32| [&offset.to_be_bytes()[..], &length.to_be_bytes()].concat();
    let zeros = vec![0; 500];
    // The answer to a read of 512 bytes from 1000 on, and the error for it.
    for (answer, expected) in [
        (chunk(1, 1, &data(1000, &[7; 512])), ""),
        ([chunk(0, 1, &data(1000, &[7; 12])), chunk(0, 2, &hole(1012, 500)), chunk(1, 0, &[])].concat(), ""),
        (chunk(1, 1, &data(1001, &[7; 511])), "it does not speak NBD: it sends other bytes"),
        (chunk(1, 1, &data(0, &[7; 512])), "it does not speak NBD: it sends other bytes"),
        (chunk(1, 1, &data(1000, &[7; 513])), "it does not speak NBD: it sends more bytes"),
        (chunk(1, 1, &data(1000, &[])), "it does not speak NBD: it sends more bytes"),
        (chunk(1, 2, &hole(1000, u32::MAX)), "it does not speak NBD: it sends more bytes"),
        (chunk(1, 2, &hole(1000, 0)), "it does not speak NBD: it sends more bytes"),
        (chunk(1, 1, &data(1000, &[7; 511])), "it does not speak NBD: it sends fewer bytes"),
        (chunk(1, 0, &[]), "it does not speak NBD: it sends fewer bytes"),
        (chunk(1, 1, &[1; 7]), "it does not speak NBD: a part of its answer is too short"),
        (chunk(1, 2, &[&hole(1000, 512)[..], &zeros].concat()), "it does not speak NBD: a part of its answer is too long"),
        (chunk(1, 0, &zeros), "it does not speak NBD: a part of its answer is too long"),
        (chunk(1, 5, &data(1000, &zeros)), "it does not speak NBD: it sends something else than data"),
        (chunk(1, 0x8001, &[0, 0, 0, 5, 0, 2, b'n', b'o']), "Input/output error (os error 5)"),
        (chunk(1, 0x8001, &[0, 0]), "it does not speak NBD: a part of its answer is too short"),
        (chunk(1, 0x8001, &vec![0; 20 << 10]), "it does not speak NBD: its error is too long"),
        (b"\x67\x44\x66\x98\0\0\0\0\0\0\0\0\0\0\0\x01".to_vec(), "it does not speak NBD: its answer is not structured"),
        (
            chunk(1, 0, &[]).iter().map(|byte| if *byte == 1 { 2 } else { *byte }).collect(),
            "it does not speak NBD: it answers another question",
        ),
        (chunk(1, 1, &data(1000, &[7; 100]))[..50].to_vec(), "it ended"),
        (Vec::new(), "it ended"),
    ] {
        let client = told([agreement(4096), answer.clone()].concat(), true, LONG).unwrap();
        assert_eq!(client.size(), 4096);
        let mut buf = [9; 512];
        let said = client.read(1000, &mut buf).err().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(said, expected, "{answer:?}");
        let is_answer = said.is_empty() || said.starts_with("Input");
        assert!(!said.is_empty() || buf[..12] == [7; 12] && !buf.contains(&9));
        // After a wrong answer nothing more is asked. A server that closed the connection is reported as that.
        let again = client.read(1000, &mut buf).err().unwrap();
        assert!(is_answer || matches!(again, NbdError::Ended), "{again}");
    }
    let status = |runs: &[(u32, u32)]| {
        let words: Vec<u8> = runs.iter().flat_map(|(length, flags)| [length.to_be_bytes(), flags.to_be_bytes()].concat()).collect();
        chunk(1, 5, &[&1_u32.to_be_bytes()[..], &words].concat())
    };
    for (answer, expected) in [
        (status(&[(1000, 0), (3096, 3)]), Ok(true)),
        (status(&[(1000, 0), (1000, 3), (1000, 2), (u32::MAX, 3)]), Ok(true)),
        (status(&[(4000, 1), (96, 3)]), Ok(false)),
        (status(&[(4096, 0)]), Ok(false)),
        (status(&[(1000, 0), (0, 3)]), Err("it does not speak NBD: its status ends nowhere")),
        (status(&[]), Err("it does not speak NBD: its status ends nowhere")),
        (chunk(1, 0, &[]), Err("it does not speak NBD: its status ends nowhere")),
        (chunk(1, 1, &[0; 12]), Err("it does not speak NBD: it sends something else than a status")),
        (chunk(1, 5, &vec![0; 2 << 20]), Err("it does not speak NBD: it sends something else than a status")),
    ] {
        let client = told([agreement(4096), answer].concat(), true, LONG).unwrap();
        let said = client.is_hole(1000, 4096).map_err(|error| error.to_string());
        assert_eq!(said, expected.map_err(str::to_owned));
    }
}

#[test]
fn a_handshake_that_makes_no_sense_ends() {
    let good = agreement(4096);
    let with = |at: usize, bytes: &[u8]| {
        let mut words = good.clone();
        words[at..at + bytes.len()].copy_from_slice(bytes);
        words
    };
    for (words, expected) in [
        (b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n".to_vec(), "it does not speak NBD: it does not greet"),
        (with(17, &[2]), "it does not speak NBD: its handshake is an old one"),
        (with(18, &[1]), "it does not speak NBD: it answers another option"),
        (with(30, &[0x80]), "it does not speak NBD: it refuses an option"),
        (with(34, &[0xff; 4]), "it does not speak NBD: its answer is too long"),
        // The answer to the context, then only its end.
        ([&good[..38], &good[38 + 39..]].concat(), "it does not speak NBD: it does not know base:allocation"),
        (agreement(1 << 63), "it does not speak NBD: it does not say how large the disk is"),
        ([&good[..38], &good[38..38 + 39].repeat(100)].concat(), "it does not speak NBD: its answer has no end"),
    ] {
        let said = told(words, true, LONG).err().map(|error| error.to_string());
        assert_eq!(said.as_deref(), Some(expected));
    }
    for length in 0..good.len() {
        assert!(matches!(told(good[..length].to_vec(), true, LONG), Err(NbdError::Ended)), "{length}");
    }
}

#[test]
fn silence_has_an_end() {
    let short = Duration::from_millis(50);
    assert!(matches!(told(Vec::new(), false, short), Err(NbdError::Silent(_))));
    // Long enough for a busy host to hand over the agreement.
    let client = told([agreement(4096), chunk(0, 1, &[0; 20])[..25].to_vec()].concat(), false, Duration::from_secs(1)).unwrap();
    assert!(matches!(client.read(0, &mut [0; 512]), Err(NbdError::Silent(_))));
    assert!(matches!(client.read(0, &mut [0; 512]), Err(NbdError::Ended)));
    assert_eq!(NbdError::Silent(LONG).to_string(), "it has not answered for 60 s");
}
