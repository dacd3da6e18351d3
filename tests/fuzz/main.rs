//! Runs every reader of untrusted text on damaged text for a while. `ci/full` and `cargo test --test fuzz` run it.
//!
//! It needs no other compiler than the tests. Without instrumentation, an input counts as new when its answer (the fixed words of an error,
//! or the approximate number of things found) did not occur before; such an input is damaged further. Each target runs in a separate
//! process, which writes every input to a file before it is tried and prints a line every second. A panic, a signal, more memory than
//! [`MEMORY`], a condition that does not hold, or [`SILENCE`] without a line is a finding: its input is kept below `target/tmp/`, and the
//! run fails.
//!
//! ```text
//! FUZZ_SECONDS=20    for each target
//! FUZZ_SEED=1        where the dice begin; by default the time, and it is printed
//! FUZZ_TARGETS=a,b   only these
//! FUZZ_REPLAY=FILE   try one input of the only target, once
//! ```

mod boots;
mod databases;
mod disks;
mod looked;
mod mutate;
mod targets;
mod xfs;

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

use mutate::{Dice, mutated};
use targets::{TARGETS, Target};

/// The most memory of a target, in bytes.
const MEMORY: u64 = 1 << 30;
/// The longest time of one input, on a busy machine and without optimisation.
const SILENCE: Duration = Duration::from_secs(30);
/// The largest size of an input, in bytes.
const LONGEST: usize = 64 << 10;
/// The most inputs that are kept for their answers.
const POOL: usize = 4_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, word, name, seed, seconds, current] = &arguments[..]
        && word == "target"
    {
        child(target(name), seed.parse().unwrap(), Duration::from_secs(seconds.parse().unwrap()), Path::new(current));
        return ExitCode::SUCCESS;
    }
    let names = std::env::var("FUZZ_TARGETS").unwrap_or_else(|_| TARGETS.iter().map(|target| target.name).collect::<Vec<_>>().join(","));
    let chosen: Vec<_> = names.split(',').map(target).collect();
    if let (Some(file), [only]) = (std::env::var_os("FUZZ_REPLAY"), &chosen[..]) {
        say(&format!("{}: {}", only.name, (only.run)(&fs::read(file).unwrap())));
        return ExitCode::SUCCESS;
    }
    let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs());
    let seed = std::env::var("FUZZ_SEED").map_or(now, |seed| seed.parse().unwrap());
    let seconds = std::env::var("FUZZ_SECONDS").map_or(20, |seconds| seconds.parse().unwrap());
    say(&format!("FUZZ_SEED={seed} FUZZ_SECONDS={seconds}"));
    let failed = chosen.iter().filter(|target| !parent(target, seed, seconds)).count();
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn target(name: &str) -> &'static Target {
    TARGETS.iter().find(|target| target.name == name).unwrap_or_else(|| panic!("there is no target `{name}`"))
}

/// Write to standard output and flush it.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).unwrap();
}

/// Run a target in a separate process. Returns whether nothing was found.
fn parent(target: &Target, seed: u64, seconds: u64) -> bool {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let current = dir.join(format!("fuzz-{}-{}", target.name, std::process::id()));
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["target", target.name, &seed.to_string(), &seconds.to_string()]).arg(&current);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (sender, signs) = mpsc::channel();
    let reader = std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(sender.send(line))));
    let mut last = String::new();
    let hung = loop {
        match signs.recv_timeout(SILENCE) {
            Ok(line) => last = line,
            Err(RecvTimeoutError::Disconnected) => break false,
            Err(RecvTimeoutError::Timeout) => break true,
        }
    };
    if hung {
        let _ = child.kill();
    }
    let status = child.wait().unwrap();
    reader.join().unwrap();
    say(&format!("{}: {last}", target.name));
    if status.success() {
        fs::remove_file(&current).unwrap();
        return true;
    }
    let kept = dir.join(format!("fuzz-{}-finding-{seed}", target.name));
    fs::rename(&current, &kept).unwrap();
    let what = match status.signal() {
        _ if hung => format!("an input takes more than {} s", SILENCE.as_secs()),
        Some(signal) => format!("signal {signal}"),
        None => "a panic or a broken law, see above".to_owned(),
    };
    say(&format!("{}: FOUND: {what}\n  FUZZ_TARGETS={} FUZZ_REPLAY={} cargo test --test fuzz", target.name, target.name, kept.display()));
    false
}

/// Try one input after the other.
fn child(target: &Target, seed: u64, time: Duration, current: &Path) {
    let limit = rustix::process::Rlimit { current: Some(MEMORY), maximum: Some(MEMORY) };
    rustix::process::setrlimit(rustix::process::Resource::As, limit).unwrap();
    let current = File::create(current).unwrap();
    let (mut dice, mut answers) = (Dice::new(seed), HashSet::new());
    let mut pool = seeds(target);
    let (first, start, mut said) = (pool.len(), Instant::now(), Instant::now());
    let mut count = 0_u64;
    // Try every seed unchanged once.
    let mut fresh = pool.clone();
    loop {
        let input = fresh.pop().unwrap_or_else(|| mutated(&mut dice, &pool, target.words, LONGEST));
        current.set_len(input.len() as u64).and_then(|()| current.write_all_at(&input, 0)).unwrap();
        let answer = (target.run)(&input);
        count += 1;
        if answers.insert(answer) && pool.len() < POOL {
            pool.push(input);
        }
        if said.elapsed() >= Duration::from_secs(1) || start.elapsed() >= time {
            let seconds = start.elapsed().as_secs_f64();
            let rate = count as f64 / seconds;
            say(&format!("{count} inputs in {seconds:.0} s ({rate:.0}/s) from {first} seeds, {} different answers", answers.len()));
            said = Instant::now();
        }
        if start.elapsed() >= time {
            return;
        }
    }
}

fn seeds(target: &Target) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut files: Vec<PathBuf> = Vec::new();
    for place in target.seeds {
        let path = root.join(place);
        if path.is_dir() {
            files.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            files.push(path);
        }
    }
    files.sort();
    let texts: Vec<_> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    match target.prepare {
        Some(prepare) => texts.iter().flat_map(|text| prepare(text)).collect(),
        None => texts,
    }
}
