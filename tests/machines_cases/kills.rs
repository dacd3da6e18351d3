//! The command, supervisor or QEMU of a machine is killed at any moment.

use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::Home;
use crate::fixture::machines;
use crate::machine_qemu::{HANG, sector};

/// The number of kills.
const KILLS: u32 = 30;
/// A start on an idle host takes less time, so kills come before it, during it and after it.
const LATEST: Duration = Duration::from_millis(2500);

/// The process of the machine with `word` in its command line.
fn process(home: &Home, word: &str) -> Option<Pid> {
    let is_it = |pid: &i32| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(word));
    home.processes().into_iter().find(is_it).and_then(Pid::from_raw)
}

/// After every kill, `ps` soon shows the real state, `start` brings the machine up, and the image is unchanged.
#[test]
#[ignore = "starts a machine sixty times; ci/full runs it"]
fn whatever_is_killed_the_machine_is_told_as_it_is_and_starts_again() {
    let _slot = machines();
    let home = Home::new();
    let disk = home.dir.path().join("image.raw");
    // A system without the runner counts as up when its console has a log-in prompt.
    fs::write(&disk, [&sector("vm login: \r\n", HANG)[..], &[0; 1 << 20]].concat()).unwrap();
    let before = fs::read(&disk).unwrap();
    home.said(&["up", disk.to_str().unwrap(), "--name", "vm", "--memory", "64M"]);
    let (mut met, mut moment) = (0, 1u32);
    for round in 0..KILLS {
        home.said(&["stop", "vm", "--within", "0"]);
        home.has_no_process();
        let mut start = home.command(&["start", "vm"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Knuth's multiplicative hashing gives moments in the whole range, the same in each run.
        moment = moment.wrapping_mul(2_654_435_761).wrapping_add(round);
        thread::sleep(LATEST.mul_f64(f64::from(moment) / f64::from(u32::MAX)));
        let victim = ["start", "supervise", "qemu-system"][round as usize % 3];
        let pid = if victim == "start" { Some(Pid::from_child(&start)) } else { process(&home, victim) };
        met += u32::from(pid.is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok()));
        start.wait().unwrap();
        let patience = Instant::now() + Duration::from_secs(60);
        loop {
            let state = home.only()["state"].as_str().unwrap().to_owned();
            match (state.as_str(), home.processes().is_empty()) {
                ("off", true) | ("up", false) => break,
                _ => assert!(Instant::now() < patience, "{victim}, {moment}: `{state}` beside {:?}", home.processes()),
            }
        }
        home.said(&["start", "vm"]);
        assert_eq!(home.only()["state"].as_str(), Some("up"), "{victim}, {moment}");
    }
    // Some kills come before the process exists.
    assert!(met >= KILLS / 2, "{met} of {KILLS} were met");
    home.said(&["rm", "--force", "vm"]);
    home.has_no_process();
    assert!(fs::read(&disk).unwrap() == before && !home.machine("vm").exists());
}
