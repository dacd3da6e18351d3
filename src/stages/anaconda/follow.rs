//! Turns the lines of an installation into steps and a verdict. Pure: lines in, turns out.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::event::{Task, Unit};
use crate::base::text::printable;
use crate::installer::anaconda::Report;
use crate::installer::anaconda::log::LogLine;
use crate::installer::anaconda::phases::Progress;
use crate::installer::anaconda::signatures::{self, Signature, Weight, judge_console, judge_line};
use crate::machine::ShutdownReason;
use crate::machine::watch::Late;

/// Lines of the installer's log that an error keeps.
const TAIL_LINES: usize = 15;
/// At most this many characters of a line are quoted in a sentence.
const TOLD_CHARS: usize = 200;
/// The remedy when the cause is not known.
const LOOK: &str = "read installer.log and console.log in the evidence";

/// A line, without its end, and where it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard<'a> {
    /// The port of the installer's log.
    Log(&'a str),
    /// The port of the kickstart's scripts.
    Report(&'a str),
    /// The serial console: a line, or a prompt.
    Console(&'a str),
}

/// What a line means for the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Turn {
    /// It goes on.
    On,
    /// There was progress, so the time for one step starts again.
    Step,
    /// It has failed.
    Failed(Told),
}

/// A failure in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// Fits "the installation failed: …".
    pub cause: String,
    /// The remedy, imperative.
    pub remedy: String,
    /// Whether another line may have the cause.
    echo: bool,
}

impl Told {
    fn new(cause: impl Into<String>, remedy: &str) -> Self {
        Self { cause: cause.into(), remedy: remedy.to_owned(), echo: false }
    }

    fn of(signature: &Signature, line: &str) -> Self {
        let told = Self::new(format!("{} ({})", signature.cause, clipped(line)), signature.remedy);
        Self { echo: signature.weight == Weight::Echo, ..told }
    }

    /// Take in a later turn: it may have the cause itself, of which this was only the echo.
    pub fn or_better(&mut self, turn: Turn) {
        if let Turn::Failed(other) = turn
            && self.echo
            && !other.echo
        {
            *self = other;
        }
    }

    /// Take in the next line of the console. If this line ends with a colon, the next one has the content.
    pub fn go_on(&mut self, line: &str) {
        if self.cause.ends_with(":)") && !line.trim().is_empty() {
            self.cause.pop();
            self.cause += &format!(" {})", clipped(line));
        }
    }

    /// A failure that the rules for any guest found on the console; if the installer's own table has the line too, its row is used.
    pub fn on_console(line: &str, cause: &str, remedy: &str) -> Self {
        match judge_console(line) {
            Some(signature) => Self::of(signature, line),
            None => Self::new(format!("{cause} ({})", clipped(line)), remedy),
        }
    }
}

/// The progress of an installation, and the signs of its failure.
#[derive(Debug)]
pub(super) struct Follow {
    nonce: String,
    progress: Progress,
    /// The step that a script has reported.
    doing: Option<String>,
    /// Level and program of the last line of the log that had them: lines without them continue it.
    head: (String, String),
    /// Signs of a failure that do not prove it: the newest line of each row, the newest last.
    clues: Vec<(&'static Signature, Told)>,
    proved: bool,
    tail: VecDeque<String>,
}

impl Follow {
    /// An installation that will prove itself by `nonce`.
    pub fn new(nonce: String) -> Self {
        let (progress, head) = (Progress::new(), Default::default());
        Self { nonce, progress, doing: None, head, clues: Vec::new(), proved: false, tail: VecDeque::new() }
    }

    /// Take in a line.
    pub fn hear(&mut self, heard: Heard<'_>) -> Turn {
        match heard {
            Heard::Log(line) => self.log(line),
            Heard::Report(line) => self.report(line),
            Heard::Console(line) => self.judge(judge_console(line), line),
        }
    }

    /// How long one step may take under KVM.
    pub fn patience(&self) -> Duration {
        self.progress.phase().deadline()
    }

    /// Lines that may explain the failure and are not in `told`, oldest first.
    pub fn clues(&self, told: &Told) -> Vec<String> {
        let others = self.clues.iter().filter(|(_, clue)| !told.cause.contains(&clue.cause));
        others.map(|(_, clue)| format!("also in the log: {}", clue.cause)).collect()
    }

    /// The last lines of the installer's own, oldest first.
    pub fn tail(&self) -> Vec<String> {
        self.tail.iter().cloned().collect()
    }

    /// Show how far it is.
    pub fn show(&self, task: &Task) {
        match self.progress.packages() {
            Some((done, total)) => task.progress("packages", done.into(), Some(total.into()), Unit::Steps),
            None => task.step(&self.stands()),
        }
    }

    /// The guest ended by itself. That alone does not show success: the installer powers off after most failures, too.
    ///
    /// # Errors
    /// It ended without the proof that all was done, or in another way than by powering off.
    pub fn ended(&self, reason: &ShutdownReason) -> Result<(), Told> {
        match (reason, self.proved) {
            (ShutdownReason::PowerOff, true) => Ok(()),
            (ShutdownReason::Reset, true) => Err(Told::new(
                "all was done, and then the machine restarted instead of powering off",
                "write `poweroff` into the kickstart: a restart cannot be told from a crash",
            )),
            (reason, _) => Err(self.likely(&format!("the installer's machine {reason} at `{}`, before all was done", self.stands()))),
        }
    }

    /// The failure that the guest was silent for so long.
    pub fn silent(&self, silence: Duration) -> Told {
        self.likely(&format!("the installer hangs at `{}`: no sign of progress for {} s", self.stands(), silence.as_secs()))
    }

    /// The failure that one step took too long.
    pub fn late(&self, late: Late) -> Told {
        self.likely(&format!("the installer did not get further than `{}` {late}", self.stands()))
    }

    /// The failure `what`, explained by the newest clue, if there is one.
    fn likely(&self, what: &str) -> Told {
        match self.clues.last() {
            Some((_, clue)) => Told::new(format!("{what}; the likely cause: {}", clue.cause), &clue.remedy),
            None => Told::new(what, LOOK),
        }
    }

    fn stands(&self) -> String {
        match &self.doing {
            Some(doing) => format!("{}: {doing}", self.progress),
            None => self.progress.to_string(),
        }
    }

    fn log(&mut self, text: &str) -> Turn {
        let parsed = LogLine::parse(text);
        if let Some(line) = &parsed {
            self.head = (line.level.to_owned(), line.program.to_owned());
        }
        let (level, program) = self.head.clone();
        let line = parsed.unwrap_or(LogLine { level: &level, program: &program, message: text });
        if signatures::is_installers(line.program) || line.program == "program" {
            if self.tail.len() == TAIL_LINES {
                self.tail.pop_front();
            }
            self.tail.push_back(text.to_owned());
        }
        let phase = self.progress.phase();
        let stepped = self.progress.hear(&line);
        if self.progress.phase() != phase {
            self.doing = None;
        }
        match self.judge(judge_line(&line), line.message) {
            Turn::On if stepped => Turn::Step,
            turn => turn,
        }
    }

    fn report(&mut self, line: &str) -> Turn {
        match Report::parse(line) {
            Some(Report::Step(doing)) => {
                let doing = Some(clipped(&doing));
                // The same line once more is no progress, and does not move the deadline.
                if self.doing == doing {
                    return Turn::On;
                }
                self.doing = doing;
                Turn::Step
            }
            Some(Report::Fail(why)) => Turn::Failed(Told::new(
                format!("a script of the kickstart failed: {}", clipped(&why)),
                "correct what the script does; its output is in installer.log in the evidence",
            )),
            Some(Report::Ok(nonce)) if nonce == self.nonce => {
                self.proved = true;
                Turn::Step
            }
            Some(Report::Ok(_)) => {
                Turn::Failed(Told::new("it reported the success of another run", "let no script write to goldsmith's port"))
            }
            None => Turn::On,
        }
    }

    fn judge(&mut self, signature: Option<&'static Signature>, line: &str) -> Turn {
        let Some(signature) = signature else { return Turn::On };
        let told = Told::of(signature, line);
        match signature.weight {
            Weight::Proof => Turn::Failed(told),
            Weight::Echo if self.clues.is_empty() => Turn::Failed(told),
            Weight::Echo => Turn::Failed(Told { echo: true, ..self.likely(&told.cause) }),
            Weight::Clue => {
                self.clues.retain(|(known, _)| *known != signature);
                self.clues.push((signature, told));
                Turn::On
            }
        }
    }
}

/// A line as part of a sentence.
fn clipped(line: &str) -> String {
    // rsyslog's way to write a line end within a message.
    let text = printable(line.replace("#012", " ").trim());
    match text.char_indices().nth(TOLD_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Heard::{Console, Log, Report};

    /// Take in all of `lines`. Returns the first failure, and the state of the installation.
    fn hear(lines: &[Heard<'_>]) -> (Option<Told>, Follow) {
        let mut follow = Follow::new("n0".to_owned());
        for heard in lines {
            if let Turn::Failed(told) = follow.hear(*heard) {
                return (Some(told), follow);
            }
        }
        (None, follow)
    }

    const PACKAGES: Heard<'_> = Log("21:15:23,251 DEBUG packaging:Installing libgcc (1/340)");
    const DONE: Heard<'_> = Report("ok n0");

    #[test]
    fn only_the_nonce_and_a_power_off_together_are_success() {
        let reset = ShutdownReason::Reset;
        for (lines, reason, expected) in [
            (&[PACKAGES, DONE][..], ShutdownReason::PowerOff, ""),
            (&[PACKAGES], ShutdownReason::PowerOff, "powered off at `packages 1/340`, before all was done"),
            (&[PACKAGES, DONE], reset.clone(), "restarted instead of powering off"),
            (&[], reset, "at `starting`, before all was done"),
            (&[DONE], ShutdownReason::Host("host-qmp-quit".into()), "before all was done"),
        ] {
            let (failed, follow) = hear(lines);
            assert_eq!(failed, None);
            let told = follow.ended(&reason).err().map(|told| told.cause).unwrap_or_default();
            assert!(told.contains(expected) && told.is_empty() == expected.is_empty(), "{told}");
        }
    }

    #[test]
    fn a_failure_is_told_by_whoever_says_it_first() {
        for (lines, cause, remedy) in [
            (
                &[PACKAGES, Log("01:08:29,255 ERR anaconda:anaconda: CmdlineError: Missing package: docker-ce-18.09.7")][..],
                "neither on the medium nor in the recipe's repositories (anaconda: CmdlineError: Missing package: docker-ce-18.09.7)",
                "correct [packages]",
            ),
            // A message of several lines: the second has no head and belongs to the first.
            (&[Log("01:08:29,255 ERR anaconda:it broke"), Log("CmdlineError: Missing package: x")], "Missing package: x", "[packages]"),
            (
                &[Report("step mounting the volume GOLDSMITH"), Report("fail mounting the volume GOLDSMITH: there is none")],
                "a script of the kickstart failed: mounting the volume GOLDSMITH: there is none",
                "installer.log",
            ),
            (&[Report("ok n1")], "another run", "goldsmith's port"),
            (&[Console("dracut: Warning: Can't get kickstart from file:/ks.cfg")], "did not find the kickstart", "report this"),
            (&[Console("Press ENTER to continue")], "", ""),
        ] {
            let (failed, _) = hear(lines);
            let told = failed.unwrap_or_else(|| panic!("{lines:?}"));
            assert!(told.cause.contains(cause) && told.remedy.contains(remedy), "{told:?}");
        }
    }

    #[test]
    fn the_cause_is_told_rather_than_its_echo() {
        let echo = Console("The installation was stopped due to incomplete spokes detected while running");
        let cause = Log("01:08:29,255 ERR anaconda:CmdlineError: Missing package: x");
        let (failed, mut follow) = hear(&[echo]);
        let mut told = failed.unwrap();
        told.or_better(follow.hear(PACKAGES));
        told.or_better(follow.hear(Console("The installer will now terminate.")));
        assert!(told.cause.starts_with("the installer stopped itself (The installation was stopped"), "{told:?}");
        told.or_better(follow.hear(cause));
        told.or_better(follow.hear(Log("01:08:30,255 ERR anaconda:CmdlineError: y")));
        assert!(told.cause.ends_with("(CmdlineError: Missing package: x)"), "{told:?}");
        // A clue that came before the echo counts just the same.
        let (failed, _) = hear(&[Log("01:08:29,255 ERR packaging:MetadataError: x"), echo]);
        assert!(failed.unwrap().cause.ends_with("(MetadataError: x)"));
    }

    #[test]
    fn what_a_line_announces_is_told_with_it() {
        let (failed, _) = hear(&[Console("The following problem occurred on line 1 of the kickstart file:")]);
        let mut told = failed.unwrap();
        for line in ["", "Unknown command: nonsense", "Pane is dead"] {
            told.go_on(line);
        }
        assert!(told.cause.ends_with("line 1 of the kickstart file: Unknown command: nonsense)"), "{told:?}");
    }

    #[test]
    fn a_clue_ends_nothing_and_explains_what_ends() {
        let clue = Log("01:08:29,255 ERR packaging:MetadataError: x");
        let (failed, follow) = hear(&[clue, PACKAGES]);
        assert_eq!(failed, None);
        for told in [
            follow.ended(&ShutdownReason::PowerOff).unwrap_err(),
            follow.silent(Duration::from_secs(300)),
            follow.late(Late::Stuck { taken: Duration::from_secs(240), still: Duration::from_secs(100) }),
            follow.late(Late::Ceiling(Duration::from_secs(720))),
        ] {
            assert!(told.cause.contains("packages 1/340") && told.cause.contains("MetadataError: x"), "{told:?}");
            assert!(told.remedy.contains("createrepo") && follow.clues(&told).is_empty(), "{told:?}");
        }
        assert!(hear(&[clue, DONE]).1.ended(&ShutdownReason::PowerOff).is_ok());
    }

    /// yumpayload.py:1586-1593: what the scriptlets wrote is read back, line by line, when the packages are installed.
    #[test]
    fn scriptlets_output_ends_nothing_and_is_told_with_what_does() {
        let replayed = [
            PACKAGES,
            Log("21:18:59,001 INFO packaging:==== start rpm scriptlet logs ===="),
            Log("21:18:59,001 INFO packaging:docker-ce-18.09.6-3.el7.x86_64 (7/340)"),
            Log("21:18:59,001 INFO packaging:Traceback (most recent call last):"),
            Log("21:18:59,001 INFO packaging:CmdlineError: Missing package: x"),
            Log("21:18:59,001 INFO packaging:Call Trace:"),
            Log("21:18:59,001 INFO packaging:ERROR: cpio error with package x"),
            Log("21:18:59,001 INFO packaging:Installing x (2/2)"),
            Log("21:18:59,001 INFO packaging:warning: %post(a-1-1.noarch) scriptlet failed, exit status 1"),
            Log("21:18:59,001 INFO packaging:warning: %post(b-1-1.noarch) scriptlet failed, signal 9"),
            // The line that ends them was lost.
            Log("21:19:26,001 INFO anaconda:Configuring installed system"),
        ];
        let (failed, mut follow) = hear(&replayed);
        assert_eq!((failed, follow.stands().as_str()), (None, "configuring the system"));
        let silent = follow.silent(Duration::from_secs(300));
        assert!(silent.cause.contains("%post(b-1-1.noarch) scriptlet failed, signal 9"), "{silent:?}");
        assert_eq!(
            follow.clues(&silent),
            ["also in the log: a program that the installer ran crashed (Traceback (most recent call last):)"]
        );
        // A proof is reported by itself, and the clues are listed separately.
        let Turn::Failed(told) = follow.hear(Log("21:19:28,001 ERR anaconda:bootloader.write failed: x")) else { panic!() };
        assert!(told.cause.ends_with("could not be installed (bootloader.write failed: x)"), "{told:?}");
        let clues = follow.clues(&told);
        assert!(clues.len() == 2 && clues[1].contains("%post(b-1-1.noarch)"), "{clues:?}");
        follow.hear(DONE);
        assert!(follow.ended(&ShutdownReason::PowerOff).is_ok());
    }

    #[test]
    fn a_line_without_a_head_has_the_level_of_the_one_before() {
        for (head, ends) in [("ERR anaconda:it broke", true), ("DEBUG ifcfg:IfcfgFile.write x:", false), ("INFO packaging:", false)] {
            let head = format!("01:08:29,255 {head}");
            let (failed, _) = hear(&[Log(&head), Log("CmdlineError: Missing package: x")]);
            assert_eq!(failed.is_some(), ends, "{head}");
        }
    }

    #[test]
    fn a_missing_dependency_is_told_rather_than_the_spoke_that_lacks_it() {
        let (failed, _) = hear(&[
            Log("01:08:28,255 WARNING packaging:docker-ce-3:18.09.6-3.el7.x86_64 requires container-selinux >= 2.9"),
            Log("01:08:29,255 ERR anaconda:CmdlineError: The following mandatory spokes are not completed:#012Software selection"),
        ]);
        let told = failed.unwrap();
        assert!(told.cause.contains("requires container-selinux >= 2.9") && told.remedy.contains("what is missing"), "{told:?}");
        // yum's error comes before its reason.
        let (failed, mut follow) = hear(&[Log("01:08:29,255 ERR packaging: YumRPMTransError: Error running transaction")]);
        let mut told = failed.unwrap();
        told.or_better(follow.hear(Log("01:08:29,255 ERR packaging:    installing package x-1-1.noarch needs 12MB on the / filesystem")));
        assert!(told.cause.contains("do not fit") && told.remedy.contains("[disk] size"), "{told:?}");
    }

    #[test]
    fn a_step_is_a_phase_a_package_or_what_a_script_says() {
        let mut follow = Follow::new("n0".to_owned());
        for (heard, turn, stands) in [
            (Log("21:15:23,251 INFO anaconda:/sbin/anaconda 21.48.22.134-1"), Turn::Step, "starting the installer"),
            (Log("21:15:23,251 INFO kernel:[  1.5] x: y"), Turn::On, "starting the installer"),
            (Report("step reading the nonce"), Turn::Step, "starting the installer: reading the nonce"),
            (Report("step reading the nonce"), Turn::On, "starting the installer: reading the nonce"),
            (Report("a word of a script of the user's"), Turn::On, "starting the installer: reading the nonce"),
            (PACKAGES, Turn::Step, "packages 1/340"),
            (PACKAGES, Turn::On, "packages 1/340"),
            (Console("Starting automated install.."), Turn::On, "packages 1/340"),
        ] {
            assert_eq!((follow.hear(heard), follow.stands().as_str()), (turn, stands), "{heard:?}");
        }
        let lines = follow.tail();
        assert!(lines.len() == 3 && !lines.iter().any(|line| line.contains("kernel")), "{lines:?}");
    }

    #[test]
    fn hostile_lines_stay_words() {
        let line = format!("01:08:29,255 ERR anaconda:CmdlineError: \u{1b}[2J{}#012end", "ü".repeat(5000));
        let (failed, _) = hear(&[Log(&line)]);
        let cause = failed.unwrap().cause;
        assert!(cause.chars().count() < 400 && !cause.contains('\u{1b}'), "{cause}");
    }
}
