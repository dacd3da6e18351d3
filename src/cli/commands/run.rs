//! `goldsmith run IMAGE`.

use crate::base::failure::AnyFailure;
use crate::base::size::rounded;
use crate::base::text::{counted, printable};
use crate::cli::args::Run;
use crate::cli::commands::build;
use crate::cli::terminal::{self, Terminal};
use crate::cli::{Context, host, printer};
use crate::image::Firmware;
use crate::machine::seat::Streams;
use crate::machine::spec::Accelerator;
use crate::run::{self, Attended, Facts, LocalVm, Logins, Options};

/// Start a local VM and show its console until it ends.
///
/// # Errors
/// The VM did not start, or it ended without a power-off.
pub async fn run(args: &Run, context: &Context) -> Result<(), AnyFailure> {
    context.refuse_json("run", "the guest's console")?;
    let image = build::image_of(&args.image, context).await?;
    let options = Options { keep: args.keep, autologin: args.autologin, ssh: args.ssh, given: args.vm.equipment() };
    let mut vm = run::start(&image, host::store_place(context).as_deref(), &options).await?;
    printer::err(&greeting(vm.facts(), args, terminal::is_there()));
    // The terminal is declared after the machine and so dropped before it. It is then restored even when the end of the machine hangs.
    let (terminal, mut streams) = Terminal::open()?;
    let ended: Result<(), AnyFailure> = tokio::select! {
        ended = attend(&mut vm, &mut streams, &terminal, args.keep) => ended,
        ended = terminal::hung_up() => Err(ended.into()),
    };
    let farewell = farewell(vm.facts());
    vm.end(&mut streams).await;
    let written = terminal.close(streams).await;
    printer::err(&farewell);
    ended?;
    Ok(written?)
}

/// Show the console until the guest is off or the user asks for the end.
async fn attend(vm: &mut LocalVm, streams: &mut Streams, terminal: &Terminal, keep: bool) -> Result<(), AnyFailure> {
    let mut pressed = false;
    loop {
        match vm.attend(streams).await? {
            // A disk that is kept needs an orderly shutdown.
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
    let boots = match facts.firmware {
        _ if args.autologin => "its own kernel started directly",
        Firmware::Bios => "BIOS",
        Firmware::Uefi => "UEFI",
    };
    let cpus = counted(usize::try_from(facts.cpus).unwrap_or(usize::MAX), "CPU");
    text.push_str(&format!("{}: {cpus}, {} of memory, {boots}; ", facts.name, rounded(facts.memory.bytes())));
    text.push_str(&match &facts.kept {
        None => "what it changes is thrown away when it ends\n".to_owned(),
        Some(kept) => {
            let place = printable(&kept.overlay.to_string_lossy());
            format!("{} {place}\n", if kept.continued { "continued on" } else { "what it changes is kept in" })
        }
    });
    if args.autologin {
        text.push_str("its consoles are root's without a log-in; nothing of that is in the image\n");
    }
    // A root shell is a way in already.
    let somebody = facts.logins.as_ref().is_none_or(|logins| logins.for_ssh().is_some());
    if !args.autologin || (args.ssh.is_some() && somebody) {
        text.push_str(&ways_in(facts.logins.as_ref(), args.ssh));
    }
    text.push_str(match (terminal, args.keep) {
        (true, false) => "the serial console follows; ctrl-] ends the machine\n",
        (true, true) => "the serial console follows; ctrl-] presses the power button\n",
        (false, _) => "the serial console follows, until the guest powers off\n",
    });
    text
}

/// The ways to log in, or a text that there is none.
fn ways_in(logins: Option<&Logins>, ssh: Option<u16>) -> String {
    let ssh_to = |who: &str| {
        let options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null";
        ssh.map(|port| format!("ssh -p {port} {options} {who}@127.0.0.1\n")).unwrap_or_default()
    };
    let Some(logins) = logins else { return ssh_to("root") };
    match (logins.for_ssh(), logins.by_password.as_slice()) {
        (None, _) => "warning: no one can log in: no account has a password or an ssh key. Start it with --autologin, or build the image\n\
                      with one, such as\n\
                      \x20   --set 'system.root={password_env=\"ROOT_PASSWORD\"}' or 'system.root={ssh_key_files=[\"id_ed25519.pub\"]}'\n"
            .to_owned(),
        (Some(who), []) if ssh.is_none() => {
            format!("{who} can log in by ssh key only: start it with --ssh 2222\n")
        }
        (Some(who), []) => ssh_to(who),
        (Some(who), with_password) => format!("log in as {} with a password\n{}", with_password.join(" or "), ssh_to(who)),
    }
}

/// A text about where the machine's changes are.
fn farewell(facts: &Facts) -> String {
    match &facts.kept {
        None => format!("{} has ended; what it changed is gone\n", facts.name),
        Some(kept) => {
            let place = printable(&kept.overlay.to_string_lossy());
            format!("{} has ended; what it changed is in {place}, and `goldsmith run --keep` goes on from there\n", facts.name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::size::ByteSize;
    use crate::cli::args::VmArgs;
    use crate::machine::probe::Probe;
    use crate::run::Kept;

    fn plain_args() -> Run {
        Run { image: "x".into(), keep: false, autologin: false, ssh: None, vm: VmArgs { isolated: None, memory: None, cpus: None } }
    }

    fn plain_facts() -> Facts {
        Facts {
            name: "debian".into(),
            probe: Probe { accelerator: Accelerator::Kvm, reason: None },
            cpus: 2,
            memory: ByteSize::gib(2),
            firmware: Firmware::Bios,
            kept: None,
            logins: None,
        }
    }

    #[test]
    fn the_greeting_says_what_runs_and_how_to_reach_and_end_it() {
        let (args, facts) = (plain_args(), plain_facts());
        let plain = "debian: 2 CPUs, 2.00 GiB of memory, BIOS; what it changes is thrown away when it ends\n";
        let end = "the serial console follows; ctrl-] ends the machine\n";
        assert_eq!(greeting(&facts, &args, true), format!("{plain}{end}"));
        let kept = Some(Kept { overlay: "/d/x.run.qcow2".into(), continued: true });
        let facts = Facts {
            probe: Probe { accelerator: Accelerator::Tcg, reason: Some("why".to_owned()) },
            cpus: 1,
            firmware: Firmware::Uefi,
            kept,
            ..facts
        };
        let args = Run { keep: true, ssh: Some(2222), ..args };
        let expected = "\
why; emulating, several times slower
debian: 1 CPU, 2.00 GiB of memory, UEFI; continued on /d/x.run.qcow2
ssh -p 2222 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null root@127.0.0.1
the serial console follows, until the guest powers off
";
        assert_eq!(greeting(&facts, &args, false), expected);
        assert_eq!(
            farewell(&facts),
            "debian has ended; what it changed is in /d/x.run.qcow2, and `goldsmith run --keep` goes on from there\n"
        );
    }

    #[test]
    fn a_console_without_a_log_in_is_told_and_an_image_without_accounts_is_no_warning_then() {
        let args = Run { autologin: true, ..plain_args() };
        let expected = "\
debian: 2 CPUs, 2.00 GiB of memory, its own kernel started directly; what it changes is thrown away when it ends
its consoles are root's without a log-in; nothing of that is in the image
the serial console follows; ctrl-] ends the machine
";
        assert_eq!(greeting(&plain_facts(), &args, true), expected);
        let nobody = Facts { logins: Some(Logins { by_password: Vec::new(), by_key: Vec::new() }), ..plain_facts() };
        let args = Run { ssh: Some(22), ..args };
        assert_eq!(greeting(&nobody, &args, true), expected);
        let ada = Facts { logins: Some(Logins { by_password: Vec::new(), by_key: vec!["ada".to_owned()] }), ..plain_facts() };
        assert!(greeting(&ada, &args, true).contains("ada@127.0.0.1\n"));
    }

    #[test]
    fn the_ways_in_are_those_that_work() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let ssh = |who: &str| format!("ssh -p 22 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null {who}@127.0.0.1\n");
        for (by_password, by_key, port, said) in [
            (&["root"][..], &[][..], None, "log in as root with a password\n".to_owned()),
            (&["root", "ada"][..], &["ada"][..], Some(22), format!("log in as root or ada with a password\n{}", ssh("ada"))),
            (&[][..], &["root"][..], Some(22), ssh("root")),
            (&[][..], &["root"][..], None, "root can log in by ssh key only: start it with --ssh 2222\n".to_owned()),
        ] {
            let logins = Logins { by_password: words(by_password), by_key: words(by_key) };
            assert_eq!(ways_in(Some(&logins), port), said);
        }
        let nobody = ways_in(Some(&Logins { by_password: Vec::new(), by_key: Vec::new() }), Some(22));
        assert!(nobody.starts_with("warning: no one can log in: ") && nobody.contains("--set") && !nobody.contains("ssh -p"), "{nobody}");
        assert_eq!(ways_in(None, Some(22)), ssh("root"));
    }
}
