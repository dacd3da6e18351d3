//! Kickstarts from the grammar of pykickstart's own option tables: every command, option and section, with good and bad values.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The facts about the dialect from `oracle.py`.
#[derive(Deserialize)]
pub struct Grammar {
    pub commands: BTreeMap<String, Vec<Choice>>,
    pub sections: BTreeMap<String, Vec<Choice>>,
}

/// One option.
#[derive(Deserialize, Clone)]
pub struct Choice {
    pub names: Vec<String>,
    kind: String,
    choices: Vec<String>,
    required: bool,
}

impl Grammar {
    /// Add the commands and options of 7.5 that today's tables lack, so that they are generated too.
    pub fn with_7_5(mut self) -> Grammar {
        let text = |name: &str, required| Choice { names: vec![name.into()], kind: "str".into(), choices: vec![], required };
        let flag = |name: &str| Choice { kind: "flag".into(), ..text(name, false) };
        self.commands.insert("sshkey".into(), vec![text("--username", true)]);
        self.commands.insert("mount".into(), ["--reformat", "--mkfsoptions", "--mountoptions"].map(|name| text(name, false)).into());
        for (command, option) in [
            ("sshpw", flag("--sshkey")),
            ("reboot", flag("--kexec")),
            ("firewall", flag("--use-system-defaults")),
            ("logvol", text("--cachepvs", false)),
            ("logvol", Choice { kind: "int".into(), ..text("--cachesize", false) }),
            ("logvol", text("--cachemode", false)),
        ] {
            self.commands.get_mut(command).unwrap().push(option);
        }
        let realm = self.commands.get_mut("realm").unwrap();
        realm.extend(["--client-software", "--one-time-password", "--computer-ou"].map(|name| text(name, false)));
        realm.push(flag("--no-password"));
        self
    }
}

/// SplitMix64, which gives the same numbers on every host.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

const NUMBERS: [&str; 12] = ["1", "5", "0", "4096", "100", "101", "-3", "+5", "\" 7\"", "99999999999999999999", "50", "2"];
const NO_NUMBERS: [&str; 8] = ["x", "4G", "", "08", "0x10", "1_0", "1.5", "010"];
const TEXTS: [&str; 24] = [
    "a",
    "sda",
    "eth0",
    "/",
    "/home",
    "swap",
    "md0",
    "http://h/x",
    "file:///x",
    "a,b",
    "a=b",
    "tmpfs",
    "btrfs",
    "raid1",
    "RAID0",
    "lvm",
    "plain",
    "post-install",
    "writeback",
    "none",
    "vg/lv",
    "vlan7",
    "eth0.12",
    "mac",
];
const ODD_TEXTS: [&str; 22] = [
    "\"\"", "\"a b\"", "'q\"q'", "-x", "--x", "--xx", "--", "-", "a#b", "\"a#b\"", "\\ ", ",", "bogus", "\"-a b\"", "md", "a,,b", "ü",
    "eth0.x", "vlan.3", "vlanx", "RAID7", "a\\\\b",
];
const ARGUMENTS: [&str; 12] = ["/", "swap", "a", "b", "us", "en_US.UTF-8", "pv.01", "none", "vg/lv", "join", "Etc/UTC", "raid.01"];

/// A value of some kind, mostly a good one.
fn value(random: &mut Random, option: &Choice) -> String {
    let odd = random.chance(22);
    let own: Vec<&str> = option.choices.iter().map(String::as_str).collect();
    match option.kind.as_str() {
        "int" => random.pick(if odd { &NO_NUMBERS } else { &NUMBERS }).into(),
        "ksboolean" if !odd => random.pick(&["yes", "no", "on", "OFF", "True", "false", "1", "0"]).into(),
        "choice" if !odd => random.pick(&own).into(),
        "level_cb" | "_level_cb" if !odd => random.pick(&["0", "raid1", "RAID10", "single", "RAID5"]).into(),
        "_type_cb" if !odd => random.pick(&["lvm", "btrfs", "plain", "THINP"]).into(),
        "_when_cb" if !odd => random.pick(&["post-install", "Pre-Install"]).into(),
        _ => random.pick(if odd { &ODD_TEXTS } else { &TEXTS }).into(),
    }
}

/// An option, in one of its spellings.
fn option(random: &mut Random, option: &Choice) -> String {
    let mut name = option.names[random.below(option.names.len())].clone();
    if random.chance(8) {
        name.truncate(3 + random.below(name.len() - 2));
    }
    if option.kind == "flag" {
        return if random.chance(4) { format!("{name}=x") } else { name };
    }
    let separator = if random.chance(65) { "=" } else { " " };
    if random.chance(3) { name } else { format!("{name}{separator}{}", value(random, option)) }
}

/// The words that a line of `name` probably needs besides its required options.
fn needed(random: &mut Random, name: &str) -> &'static str {
    let choices: &[&str] = match name {
        "part" | "partition" => &["/ --size=1", "swap --recommended", "/home --onpart=sda1 --noformat", "/ --size=5 --grow"],
        "raid" => &["/ --level=1 raid.01 raid.02", "/ --useexisting", "/x --noformat", "/ --level=RAID5 a b c"],
        "logvol" => &["/ --size=10", "/ --percent=50", "/ --useexisting", "none --size=1 --thinpool", "/ --size=1 --thin --poolname=p"],
        "volgroup" => &["vg pv.01", "vg pv.01 pv.02", "vg --useexisting", "vg"],
        "btrfs" => &["/ a b", "none --data=0 a", "/x --subvol --name=x LABEL=a"],
        "lang" | "keyboard" | "timezone" | "rootpw" | "iscsiname" | "device" | "sshpw" | "updates" | "driverdisk" => &["a"],
        "sshkey" => &["\"ssh-rsa A\"", "a"],
        "mount" => &["/dev/sda1 /", "/dev/sda1 none", "/dev/sda1 x"],
        "url" => &["--url=http://h/x", "--mirrorlist=http://h/x"],
        "harddrive" => &["--partition=sda1", "--biospart=80p1"],
        "ignoredisk" => &["--drives=sda", "--only-use=sda", "--interactive"],
        "services" => &["--enabled=a", "--disabled=a,b"],
        "snapshot" => &["vg/lv", "vg/lv", "vg", "/x", "vg/lv/x"],
        "eula" => &["--agreed", "--accept"],
        "realm" => &["join a", "join --one-time-password=x a", "join", "permit a", "join --client-software sssd a b", "join --no-p a"],
        "nvdimm" => &["reconfigure --namespace=a --sectorsize=512", "use --namespace=a"],
        "ostreesetup" => &["--url=http://h/x"],
        _ => &[""],
    };
    random.pick(choices)
}

/// A line of the command `name`.
fn line(random: &mut Random, name: &str, options: &[Choice]) -> String {
    let mut words = Vec::new();
    if !random.chance(12) {
        words.push(needed(random, name).to_owned());
    }
    for required in options.iter().filter(|option| option.required) {
        if !random.chance(6) {
            words.push(option(random, required));
        }
    }
    let optional: Vec<_> = options.iter().filter(|option| !option.required).collect();
    if !optional.is_empty() {
        for _ in 0..random.below(4) {
            let index = random.below(optional.len());
            words.push(option(random, optional[index]));
        }
    }
    if random.chance(12) {
        words.push(random.pick(&ARGUMENTS).into());
    }
    if random.chance(4) {
        words.push(random.pick(&["--bogus", "--bogus=1", "-x", "--", "-", "--b", "'", "\\"]).into());
    }
    if random.chance(35) && !words.is_empty() {
        let at = random.below(words.len());
        let moved = words.remove(at);
        words.push(moved);
    }
    let indent = if random.chance(5) { random.pick(&[" ", "\t", "  "]) } else { "" };
    let comment = if random.chance(6) { random.pick(&[" # a comment", "# it's", " #", "\t# \"x\""]) } else { "" };
    format!("{indent}{name} {}{comment}\n", words.join(" "))
}

const PACKAGE_LINES: [&str; 30] = [
    "a",
    "vim-minimal",
    "@core",
    "@^minimal",
    "-a",
    "-@core",
    "-@^minimal",
    "@X Window System",
    "@a --nodefaults",
    "@a --optional",
    "@a --nodefaults --optional",
    "@a --nod",
    "@a --bogus",
    "@a -x",
    "a # b",
    "  a  ",
    "# a",
    "",
    "a b",
    "-",
    "@",
    "@^",
    "a#b",
    "kde-*",
    "%include /x",
    "%unknown a",
    "a.x86_64",
    "1:a-2-3",
    "@--optional a",
    "\ta",
];
const SCRIPT_LINES: [&str; 14] = [
    "true",
    "echo \"x\"",
    "# comment",
    "",
    "  %end",
    "%_macro 1",
    "%include /x",
    "%include",
    "%include a b",
    "%endless",
    "it's",
    "%end x",
    "x %end",
    "\t%post in a line",
];
const POLICY_LINES: [&str; 5] =
    ["pwpolicy root --minlen=6", "pwpolicy root --strict --nochanges", "# x", "pwpolicy", "pwpolicy a --minlen=x"];
const SECTIONS: [&str; 9] = ["%certificate", "%pre", "%pre-install", "%post", "%onerror", "%traceback", "%packages", "%addon", "%anaconda"];

/// A section with its body.
fn section(random: &mut Random, grammar: &Grammar, name: &str) -> String {
    let mut text = name.to_owned();
    for _ in 0..random.below(3) {
        if let Some(options) = grammar.sections.get(name).filter(|options| !options.is_empty()) {
            let index = random.below(options.len());
            text.push_str(&format!(" {}", option(random, &options[index])));
        }
    }
    if name == "%addon" && !random.chance(10) {
        text.push_str(" com_redhat_kdump --disable");
    }
    if random.chance(8) {
        text.push_str(random.pick(&[" --bogus", " a", " # c", " --nochroot", " --ignoredeps", " -x", " '", " --", " --ignore"]));
    }
    text.push('\n');
    let lines: &[&str] = match name {
        "%packages" => &PACKAGE_LINES,
        "%anaconda" => &POLICY_LINES,
        _ => &SCRIPT_LINES,
    };
    for _ in 0..random.below(4) {
        text.push_str(random.pick(lines));
        text.push('\n');
    }
    if !random.chance(5) {
        text.push_str(random.pick(&["%end\n", "%end\n", "%end\n", "  %end\n", "%end # x\n", "%end # it's\n", "%end"]));
    }
    text
}

/// Whole files that are not of any one command.
const WHOLE: [&str; 48] = [
    "",
    "\n",
    " \n\t\n",
    "# only a comment\n",
    "lang a\r\nkeyboard us\r\n",
    "lang a\rkeyboard us\r",
    "lang a\n\u{c}\nkeyboard us\n",
    "lang a\u{b}b\n",
    "\u{feff}lang a\n",
    "\"\" a\n",
    "lang \"\"\n",
    "%bogus\n%end\n",
    "%end\n",
    "%include\n",
    "%include \"\"\n",
    "%include /x\n",
    "  %packages\n%end\n",
    "%packages\n%post\n%end\n",
    "%post",
    "%ksappend\n",
    "%ksappend\thttp://h\n",
    "lang a \\\nkeyboard us\n",
    "lang 'a\nb'\n",
    "lang a\\",
    "lang größe\n",
    "Lang a\n",
    "#!x\n#platform=x\nlang a\n",
    "lang a%b\n",
    "%\n",
    "%packages \"\n%end\n",
    "lang a\u{85}b\n",
    "monitor\nkey --skip\nmouse\n",
    "install\nupgrade\n",
    "lang a\0b\n",
    "rootpw \"\"\n",
    "services --enabled=\n",
    "ignoredisk --drives=,\n",
    "ignoredisk --interactive --drives=,\n",
    "autopart --type=bogus\n",
    "autopart --type=btrfs --nolvm --fstype=xfs\n",
    "logvol swap --vgname=v --name=l --hibernation\n",
    "logvol / --vgname=v --name=l --size=1 --cachesize=1 --cachepvs=a\n",
    "%packages --ignore\n%end\n",
    "logging --port=--\n",
    "dmraid --name=-- --dev=a\n",
    "firewall --use-system-defaults\n",
    "raid / --device=0 --level=bogus --useexisting\n",
    "rootpw --lock a b\n",
];

/// Lines that have an effect on each other.
const PAIRS: [&str; 26] = [
    "autopart",
    "part / --size=1",
    "raid / --level=1 --device=0 a b",
    "volgroup v a",
    "logvol / --vgname=v --name=l --size=1",
    "reqpart",
    "mount /dev/sda1 /",
    "ignoredisk --drives=a",
    "ignoredisk --only-use=b",
    "timezone --nontp",
    "timezone --ntpservers=a",
    "services",
    "services --enabled=a",
    "keyboard",
    "keyboard --xlayouts=us",
    "harddrive --dir=/ --partition=a",
    "harddrive --dir=/ --biospart=b",
    "autopart --fstype=xfs",
    "autopart --type=btrfs",
    "realm join a",
    "multipath --name=a --device=b --rule=c",
    "rootpw --lock",
    "rootpw",
    "snapshot v/l --name=a --when=post-install",
    "repo --name=a",
    "part swap --size=1",
];

/// Files of every command, `each` and three more for every option; `each` of every section; the whole files; `pairs` files of several lines.
pub fn kickstarts(grammar: &Grammar, random: &mut Random, each: usize, pairs: usize) -> Vec<String> {
    let mut files: Vec<String> = WHOLE.map(str::to_owned).into();
    for (name, options) in &grammar.commands {
        files.extend((0..each).map(|_| line(random, name, options)));
        for tried in options {
            for _ in 0..3 {
                let plain = format!("{} ", tried.names[random.below(tried.names.len())]);
                let value = if tried.kind == "flag" { String::new() } else { value(random, tried) };
                files.push(line(random, name, options).replacen(' ', &format!(" {}{value} ", plain), 1));
            }
        }
    }
    for name in SECTIONS {
        files.extend((0..each).map(|_| section(random, grammar, name)));
        for tried in grammar.sections.get(name).into_iter().flatten() {
            for written in &tried.names {
                let value = if tried.kind == "flag" { String::new() } else { value(random, tried) };
                files.push(section(random, grammar, name).replacen(name, &format!("{name} {written} {value} "), 1));
            }
        }
    }
    for _ in 0..pairs {
        let count = 2 + random.below(2);
        files.push((0..count).map(|_| format!("{}\n", random.pick(&PAIRS))).collect());
    }
    files
}
