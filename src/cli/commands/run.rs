//! `goldsmith run IMAGE`.

use crate::base::failure::{AnyFailure, Class, Failure};
use crate::base::size::rounded;
use crate::base::text::{counted, printable};
use crate::cli::args::Run;
use crate::cli::terminal::{self, Terminal};
use crate::cli::{Context, printer};
use crate::image::Firmware;
use crate::machine::spec::Accelerator;
use crate::run::{self, Attended, Facts, LocalVm, Options, Streams};

/// Start a local VM and be its console until it ends.
///
/// # Errors
/// Whatever kept it from starting, or ended it but a power-off.
pub async fn run(args: &Run, context: &Context) -> Result<(), AnyFailure> {
    if context.json {
        return Err(NoJson.into());
    }
    let options = Options { keep: args.keep, ssh: args.ssh, memory: args.memory, cpus: args.cpus };
    let mut vm = run::start(&args.image, &options).await?;
    printer::err(&greeting(vm.facts(), args, terminal::is_there()));
    // After the machine, and so dropped before it: whatever hangs in the machine's end, the terminal is as it was.
    let (terminal, mut streams) = Terminal::open()?;
    let ended: Result<(), AnyFailure> = tokio::select! {
        ended = attend(&mut vm, &mut streams, &terminal, args.keep) => ended,
        ended = terminal::hung_up() => Err(ended.into()),
    };
    vm.end(&mut streams).await;
    let written = terminal.close(streams).await;
    ended?;
    Ok(written?)
}

/// Be the console until the guest is off or the user wants the end.
async fn attend(vm: &mut LocalVm, streams: &mut Streams, terminal: &Terminal, keep: bool) -> Result<(), AnyFailure> {
    let mut pressed = false;
    loop {
        match vm.attend(streams).await? {
            // A disk that is kept is worth an orderly end.
            Attended::Escaped if keep && !pressed => {
                vm.power_button().await?;
                pressed = true;
                terminal.say("the power button is pressed; ctrl-] again cuts the power");
            }
            Attended::PoweredOff | Attended::Escaped | Attended::Unheard => return Ok(()),
        }
    }
}

fn greeting(facts: &Facts, args: &Run, terminal: bool) -> String {
    let mut text = String::new();
    if facts.probe.accelerator == Accelerator::Tcg {
        text.push_str(&format!("{}\n", printable(&facts.probe.to_string())));
    }
    let firmware = match facts.firmware {
        Firmware::Bios => "BIOS",
        Firmware::Uefi => "UEFI",
    };
    let cpus = counted(usize::try_from(facts.cpus).unwrap_or(usize::MAX), "CPU");
    text.push_str(&format!("{}: {cpus}, {} of memory, {firmware}; ", facts.name, rounded(args.memory.bytes())));
    text.push_str(&match &facts.kept {
        None => "what it changes is thrown away when it ends\n".to_owned(),
        Some(kept) => {
            let place = printable(&kept.overlay.to_string_lossy());
            format!("{} {place}\n", if kept.continued { "continued on" } else { "what it changes is kept in" })
        }
    });
    if let Some(port) = args.ssh {
        text.push_str(&format!("ssh -p {port} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null root@127.0.0.1\n"));
    }
    text.push_str(match (terminal, args.keep) {
        (true, false) => "the serial console follows; ctrl-] ends the machine\n",
        (true, true) => "the serial console follows; ctrl-] presses the power button\n",
        (false, _) => "the serial console follows, until the guest powers off\n",
    });
    text
}

#[derive(Debug, thiserror::Error)]
#[error("`run` has no JSON: standard output is the guest's console")]
struct NoJson;

impl Failure for NoJson {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn remedy(&self) -> Option<String> {
        Some("leave out --json".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::size::ByteSize;
    use crate::machine::probe::Probe;
    use crate::run::Kept;

    #[test]
    fn the_greeting_says_what_runs_and_how_to_reach_and_end_it() {
        let probe = |reason: Option<&str>| Probe {
            accelerator: if reason.is_some() { Accelerator::Tcg } else { Accelerator::Kvm },
            reason: reason.map(str::to_owned),
        };
        let args = Run { image: "x".into(), keep: false, ssh: None, memory: ByteSize::gib(2), cpus: None };
        let facts = Facts { name: "debian".into(), probe: probe(None), cpus: 2, firmware: Firmware::Bios, kept: None };
        let plain = "debian: 2 CPUs, 2.00 GiB of memory, BIOS; what it changes is thrown away when it ends\n";
        let end = "the serial console follows; ctrl-] ends the machine\n";
        assert_eq!(greeting(&facts, &args, true), format!("{plain}{end}"));
        let kept = Some(Kept { overlay: "/d/x.run.qcow2".into(), continued: true });
        let facts = Facts { probe: probe(Some("why")), cpus: 1, firmware: Firmware::Uefi, kept, ..facts };
        let args = Run { keep: true, ssh: Some(2222), ..args };
        let expected = "\
no usable KVM, so the machines are emulated and several times slower: why
debian: 1 CPU, 2.00 GiB of memory, UEFI; continued on /d/x.run.qcow2
ssh -p 2222 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null root@127.0.0.1
the serial console follows, until the guest powers off
";
        assert_eq!(greeting(&facts, &args, false), expected);
    }
}
