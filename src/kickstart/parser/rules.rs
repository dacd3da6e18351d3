//! The conditions on lines and options that exclude or need each other: those of the tables, and those that need special code.
//!
//! Each function is the `parse` of the class that a row of the [`dialect`](super::dialect) names.

use std::collections::{HashMap, HashSet};

use super::dialect::REALM_JOIN;
use super::document::{Command, OptionUse, Value};
use super::findings::Findings;
use super::optparse::{self, Style, python_int};
use super::shlex::{self, Argument};
use super::span::{Span, is_space};
use super::spec::{CommandSpec, Custom, Identity, Rule};

/// The data that a condition may read and write.
pub(super) struct Context<'a> {
    pub findings: &'a mut Findings,
    pub history: &'a mut History,
    /// The line, with its end.
    pub line: &'a str,
}

/// The values of earlier lines.
#[derive(Debug, Default)]
pub(super) struct History {
    /// The commands that were there, by main name, with their first place.
    seen: HashMap<&'static str, Span>,
    /// Values that stay in the command's object: they still apply on later lines without the option.
    lasting: HashMap<(&'static str, &'static str), Value>,
    /// The things that were defined, by command and identity.
    defined: HashSet<(&'static str, String)>,
    /// The realm that was joined.
    joined: bool,
}

impl History {
    /// Whether there was a line of the command before.
    pub fn has_seen(&self, spec: &CommandSpec) -> bool {
        self.seen.contains_key(spec.names[0])
    }
}

impl Context<'_> {
    fn error(&mut self, span: Span, message: impl Into<String>) {
        self.findings.error(span, message.into(), None);
    }

    fn error_with(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.findings.error(span, message.into(), Some(help.into()));
    }

    /// The value of the option here or on the last line that gave it.
    fn lasting(&mut self, command: &Command, name: &'static str) -> Option<Value> {
        let main = command.spec?.names[0];
        if let Some(used) = command.option(name) {
            self.history.lasting.insert((main, name), used.value.clone());
        }
        self.history.lasting.get(&(main, name)).cloned()
    }

    /// Whether [`lasting`](Self::lasting) has a value that is not empty.
    fn lasts(&mut self, command: &Command, name: &'static str) -> bool {
        match self.lasting(command, name) {
            Some(Value::List(parts)) => !parts.is_empty(),
            Some(Value::Text(text)) => !text.is_empty(),
            Some(_) => true,
            None => false,
        }
    }
}

/// Judge `command` by all conditions of its row on the line as a whole.
pub(super) fn check(command: &Command, context: &mut Context<'_>) {
    let Some(spec) = command.spec else {
        return;
    };
    for rule in spec.rules {
        match rule {
            Rule::NotBoth(one, other) => {
                if let (Some(_), Some(used)) = (command.given(one), command.given(other)) {
                    context.error(used.span, format!("{}: --{one} and --{other} exclude each other", spec.names[0]));
                }
            }
            Rule::Needs(one, other) => needs(command, one, other, context),
            Rule::AnyNeeds(some, other) => some.iter().for_each(|one| needs(command, one, other, context)),
            Rule::OneOf(some) => {
                if !some.iter().any(|one| command.given(one).is_some()) {
                    let all: Vec<_> = some.iter().map(|one| format!("--{one}")).collect();
                    context.error(command.name_span, format!("{} needs {}", spec.names[0], all.join(" or ")));
                }
            }
            Rule::Custom(custom) => own(*custom)(command, context),
        }
    }
    identity(command, spec.identity, context);
}

/// The function of a condition that needs special code.
fn own(custom: Custom) -> fn(&Command, &mut Context<'_>) {
    match custom {
        Custom::AutoPart => autopart,
        Custom::Partition => partition,
        Custom::Raid => raid,
        Custom::VolumeGroup => volgroup,
        Custom::LogicalVolume => logvol,
        Custom::Btrfs => btrfs,
        Custom::Mount => mount,
        Custom::IgnoreDisk => ignoredisk,
        Custom::Snapshot => snapshot,
        Custom::Multipath => multipath,
        Custom::HardDrive => harddrive,
        Custom::Url => url,
        Custom::OstreeSetup => ostreesetup,
        Custom::Bootloader => bootloader,
        Custom::DriverDisk => driverdisk,
        Custom::Install => install,
        Custom::Keyboard => keyboard,
        Custom::Network => network,
        Custom::Realm => realm,
        Custom::RootPassword => rootpw,
        Custom::Services => services,
        Custom::Timezone => timezone,
        Custom::Vnc => vnc,
    }
}

fn needs(command: &Command, one: &str, other: &str, context: &mut Context<'_>) {
    if let (Some(used), None) = (command.given(one), command.given(other)) {
        context.error(used.span, format!("{}: --{one} needs --{other}", command.canonical()));
    }
}

/// Warn of a second definition of the same thing, or refuse it where the parser dies.
fn identity(command: &Command, identity: Identity, context: &mut Context<'_>) {
    let Some(spec) = command.spec else {
        return;
    };
    let of_options = |names: &[&str]| {
        let values: Option<Vec<_>> = names.iter().map(|name| command.given(name)?.text().map(str::to_owned)).collect();
        values.map(|values| values.join(" "))
    };
    let id = match identity {
        Identity::None => None,
        Identity::Argument => command.arguments.first().map(|first| first.value.clone()).filter(|id| !id.is_empty()),
        Identity::Options(names) => of_options(names),
        Identity::Fatal(names) => {
            let values = names.iter().map(|name| command.option(name).and_then(OptionUse::text).unwrap_or_default());
            if !context.history.defined.insert((spec.names[0], values.collect::<Vec<_>>().join("\0"))) {
                let message = format!("{} is given twice with the same {}", command.name, and_options(names));
                context.error_with(command.name_span, message, "the parser of 7.5 dies of it (AttributeError): merge the two lines");
            }
            None
        }
    };
    if let Some(id) = id.filter(|id| id != "swap" && id != "none")
        && !context.history.defined.insert((spec.names[0], id.clone()))
    {
        let message = format!("{} `{}` is already defined", command.name, optparse::clip(&id));
        context.findings.warning(command.name_span, message, Some("the installer warns and goes on".into()));
    }
}

fn and_options(names: &[&str]) -> String {
    names.iter().map(|name| format!("--{name}")).collect::<Vec<_>>().join(" and ")
}

/// Refuse `command` after the commands it cannot follow, and remember that it was there.
pub(super) fn conflicts(command: &Command, context: &mut Context<'_>) {
    let Some(spec) = command.spec else {
        return;
    };
    if let Some((other, span)) = spec.conflicts.iter().find_map(|other| Some((other, *context.history.seen.get(other)?))) {
        let place = match context.findings.files.get(span.file) {
            Some(file) if span.file != command.span.file => format!("line {} of {}", span.line, file.name),
            _ => format!("line {}", span.line),
        };
        context.error(command.name_span, format!("{} cannot be used with {other}, which is on {place}", command.name));
    }
    context.history.seen.entry(spec.names[0]).or_insert(command.span);
}

fn autopart(command: &Command, context: &mut Context<'_>) {
    // The callbacks set the type only once on a line, and --nolvm has one of them.
    let typed = command.options.iter().find(|used| matches!(used.name, "type" | "nolvm"));
    if let Some(used) = typed {
        let value = if used.name == "nolvm" { Value::Text("plain".into()) } else { used.value.clone() };
        context.history.lasting.insert(("autopart", "type"), value);
    }
    let btrfs = context.history.lasting.get(&("autopart", "type")).is_some_and(|value| *value == Value::Text("btrfs".into()));
    let fstype = context.lasting(command, "fstype");
    let span = command.option("fstype").map_or(command.name_span, |used| used.span);
    match fstype {
        Some(Value::Text(name)) if name == "btrfs" => context.error_with(span, "autopart: btrfs is no --fstype", "write --type=btrfs"),
        Some(Value::Text(name)) if btrfs && !name.is_empty() => {
            context.error(span, "autopart: --fstype and --type=btrfs exclude each other")
        }
        _ => {}
    }
}

fn partition(command: &Command, context: &mut Context<'_>) {
    let tmpfs = command.option("fstype").and_then(OptionUse::text) == Some("tmpfs");
    if let (true, Some(used)) = (tmpfs, command.given("grow").or(command.given("maxsize"))) {
        context.error(used.span, "part: --fstype=tmpfs excludes --grow and --maxsize");
    }
}

/// `--useexisting`, or `--noformat`, which implies it.
fn preexists(command: &Command) -> bool {
    command.option("useexisting").is_some() || command.option("noformat").is_some()
}

fn raid(command: &Command, context: &mut Context<'_>) {
    match (command.arguments.len(), preexists(command)) {
        (1, false) => context.error(command.name_span, "raid needs the partitions it is made of"),
        (2.., true) => context.error(command.arguments[1].span, "raid: an array that exists is given no partitions"),
        _ => {}
    }
    if !preexists(command) && command.option("level").is_none() {
        context.error(command.name_span, "raid needs --level");
    }
    if let Some(device) = command.option("device")
        && preexists(command)
        && matches!(device.text(), Some("" | "md"))
    {
        context.error(device.span, "raid: an array that exists needs its --device");
    }
}

fn volgroup(command: &Command, context: &mut Context<'_>) {
    match (command.arguments.len(), preexists(command)) {
        (1, false) => context.error(command.name_span, "volgroup needs the partitions it is made of"),
        (2.., true) => context.error(command.arguments[1].span, "volgroup: a volume group that exists is given no partitions"),
        _ => {}
    }
    for used in command.options_named("reserved-space").filter(|used| used.integer().is_some_and(|space| space < 0)) {
        context.error(used.value_span, "volgroup: --reserved-space cannot be negative");
    }
    for used in command.options_named("reserved-percent").filter(|used| !used.integer().is_some_and(|part| (1..100).contains(&part))) {
        context.error(used.value_span, "volgroup: --reserved-percent is from 1 to 99");
    }
}

fn logvol(command: &Command, context: &mut Context<'_>) {
    if let (Some(used), false) = (command.option("resize"), preexists(command)) {
        context.error(used.span, "logvol: --resize needs --useexisting");
    }
    if !preexists(command) && !["percent", "size", "recommended"].iter().any(|name| command.given(name).is_some()) {
        context.error_with(
            command.name_span,
            "logvol has no size",
            "give --size, --percent or --recommended, or --useexisting or --noformat for a volume that exists",
        );
    }
    if let Some(used) = command.option("percent").filter(|used| !used.integer().is_some_and(|percent| (0..=100).contains(&percent))) {
        context.error(used.value_span, "logvol: --percent is from 0 to 100");
    }
    let Some(cache) = ["cachesize", "cachemode", "cachepvs"].iter().find_map(|name| command.given(name)) else {
        return;
    };
    if preexists(command) {
        context.error(cache.span, "logvol: a cache cannot be added to a volume that exists");
    }
    if command.option("thin").is_some() {
        context.error(cache.span, "logvol: thin volumes have no cache");
    }
    for name in ["cachepvs", "cachesize"].into_iter().filter(|name| command.given(name).is_none()) {
        context.error(cache.span, format!("logvol: a cache needs --{name}"));
    }
    if let Some(mode) = command.given("cachemode").filter(|mode| !matches!(mode.text(), Some("writeback" | "writethrough"))) {
        context.error(mode.value_span, "logvol: --cachemode is writeback or writethrough");
    }
}

fn btrfs(command: &Command, context: &mut Context<'_>) {
    if command.arguments.len() == 1 {
        let what = if command.option("subvol").is_some() { "parent volume" } else { "partitions it is made of" };
        context.error(command.name_span, format!("btrfs needs the {what}"));
    }
}

fn mount(command: &Command, context: &mut Context<'_>) {
    if let [_, point] = command.arguments.as_slice()
        && point.value.to_lowercase() != "none"
        && !point.value.starts_with('/')
    {
        context.error_with(point.span, format!("`{}` is no mount point", optparse::clip(&point.value)), "a path or `none`");
    }
    if let (Some(used), None) = (command.given("mkfsoptions"), command.option("reformat")) {
        context.error(used.span, "mount: --mkfsoptions needs --reformat");
    }
}

fn ignoredisk(command: &Command, context: &mut Context<'_>) {
    // An empty list counts as given, and lists of earlier lines stay.
    let given = [
        context.lasting(command, "drives").is_some(),
        context.lasting(command, "only-use").is_some(),
        command.option("interactive").is_some(),
    ];
    if given.into_iter().filter(|given| *given).count() != 1 {
        context.error(command.name_span, "ignoredisk needs one of --drives, --only-use and --interactive, in the whole file");
    }
}

fn snapshot(command: &Command, context: &mut Context<'_>) {
    if let Some(origin) = command.arguments.first() {
        let parts: Vec<_> = origin.value.split('/').collect();
        if parts.len() != 2 || parts.iter().any(|part| part.is_empty()) {
            context.error(origin.span, "the origin of a snapshot is written VG/LV");
        }
    }
    if command.option("when").is_none() {
        context.error_with(command.name_span, "snapshot needs --when", "post-install or pre-install");
    }
    let name = command.option("name").and_then(OptionUse::text).unwrap_or_default().to_owned();
    if !context.history.defined.insert(("snapshot", name)) {
        context.error(command.name_span, "there is a snapshot of that name already");
    }
}

/// The device that a second line adds to the list has no paths, and the parser dies on it at the third line (multipath.py:104).
fn multipath(command: &Command, context: &mut Context<'_>) {
    let lines = ["first", "second"];
    if !lines.iter().any(|line| context.history.defined.insert(("multipath", (*line).to_owned()))) {
        context.error_with(command.name_span, "a third `multipath` line", "the parser of 7.5 dies of it (AttributeError)");
    }
}

fn harddrive(command: &Command, context: &mut Context<'_>) {
    let biospart = context.lasting(command, "biospart").is_some();
    let partition = context.lasting(command, "partition").is_some();
    if biospart == partition {
        context.error(command.name_span, "harddrive needs --partition or --biospart, and not both");
    }
}

/// The values of earlier lines stay, so the two addresses may be on different lines (url.py:170).
fn url(command: &Command, context: &mut Context<'_>) {
    let given = [context.lasts(command, "url"), context.lasts(command, "mirrorlist")];
    let here = command.given("url").or(command.given("mirrorlist")).map_or(command.name_span, |used| used.span);
    match given {
        [true, true] => context.error_with(
            here,
            "url: --url and --mirrorlist exclude each other, in the whole file",
            "a second `url` line adds to the first one: write one line",
        ),
        [false, false] => context.error(command.name_span, "url needs --url or --mirrorlist"),
        _ => {}
    }
}

/// The password of an earlier line stays (vnc.py:119-125).
fn vnc(command: &Command, context: &mut Context<'_>) {
    let span = command.option("password").map_or(command.name_span, |used| used.value_span);
    // `len` of Python 2 counts bytes.
    if let Some(Value::Text(password)) = context.lasting(command, "password")
        && !password.is_empty()
        && !(6..=8).contains(&password.len())
    {
        context.error(span, "vnc: the password has six to eight characters");
    }
}

fn ostreesetup(command: &Command, context: &mut Context<'_>) {
    let schemes = ["file:", "http:", "https:"];
    if let Some(url) =
        command.option("url").filter(|url| !url.text().is_some_and(|url| schemes.iter().any(|scheme| url.starts_with(scheme))))
    {
        context.error(url.value_span, "ostreesetup: --url is a file, http or https URL");
    }
}

fn bootloader(command: &Command, context: &mut Context<'_>) {
    if let Some(drive) = command.option("boot-drive").filter(|drive| drive.text().is_some_and(|drive| drive.contains(','))) {
        context.error(drive.value_span, "bootloader: --boot-drive is one drive");
    }
}

fn driverdisk(command: &Command, context: &mut Context<'_>) {
    let used = command.given("source").or(command.given("biospart"));
    match (used, command.arguments.first()) {
        (Some(used), Some(_)) => context.error(used.span, "driverdisk takes a partition or an option, not both"),
        (None, None) => context.error(command.name_span, "driverdisk needs a partition, --source or --biospart"),
        _ => {}
    }
}

fn install(command: &Command, context: &mut Context<'_>) {
    if let Some(used) = command.option("root-device").filter(|used| !used.is_true()) {
        context.error(used.span, "install: --root-device is empty");
    }
}

fn keyboard(command: &Command, context: &mut Context<'_>) {
    let layouts = context.lasts(command, "xlayouts");
    if command.arguments.is_empty() && command.given("vckeymap").is_none() && !layouts {
        context.error_with(command.name_span, "keyboard names no layout", "write --vckeymap=us, --xlayouts=us or a keymap's name");
    }
}

fn network(command: &Command, context: &mut Context<'_>) {
    if let Some(used) = command.option("interfacename")
        && let Some(wrong) = bad_interface_name(used.text().unwrap_or_default())
    {
        context.error(used.value_span, format!("network --interfacename: {wrong}"));
    }
    if let Some(used) = command.given("bridgeopts") {
        let good = |option: &str| option.split_once('=').is_some_and(|(_, value)| !value.is_empty() && !value.contains('='));
        if !used.text().is_some_and(|text| text.split(',').all(good)) {
            context.error(used.value_span, "network: --bridgeopts are KEY=VALUE with commas between them");
        }
    }
    if let (Some(used), Some(_), None) = (command.option("bindto"), command.given("vlanid"), command.given("bondopts")) {
        context.error(used.span, "network: a VLAN device cannot be bound to a MAC address");
    }
}

/// `validate_network_interface_name` of network.py.
fn bad_interface_name(name: &str) -> Option<&'static str> {
    let mut vlan = None;
    if let Some((prefix, id)) = name.split_once('.') {
        if prefix == "vlan" {
            return Some("what stands before the dot cannot be `vlan`");
        }
        vlan = Some(python_int(id, 10));
    }
    if let Some(id) = name.strip_prefix("vlan") {
        vlan = Some(python_int(id, 10));
    }
    match vlan {
        Some(None) => Some("the VLAN's number is missing"),
        Some(Some(id)) if !(0..=4095).contains(&id) => Some("a VLAN's number is from 0 to 4095"),
        _ => None,
    }
}

fn realm(command: &Command, context: &mut Context<'_>) {
    if context.history.joined {
        context.error(command.name_span, "only one realm can be joined");
        return;
    }
    // The class takes the raw line after as many bytes as its name has, and `#` does not begin a comment in it.
    let skip = command.name.len();
    let rest = context.line.get(skip..).unwrap_or_default().trim_end_matches(is_space);
    let words = match shlex::split(rest, command.span.part(skip..context.line.len()), false) {
        Ok(words) => words,
        Err(_) => return context.error_with(command.name_span, "realm: a quote is not closed", "`#` starts no comment on this line"),
    };
    let errors = context.findings.diagnostics.len();
    match words.split_first() {
        None => context.error(command.name_span, "realm needs `join REALM`"),
        Some((verb, rest)) if verb.value == "join" => {
            let words = optparse::read(&REALM_JOIN, rest, Style::Getopt, context.findings);
            match words.arguments.as_slice() {
                [_] => context.history.joined = context.findings.diagnostics.len() == errors,
                _ => context.error_with(command.name_span, "realm join takes one realm", "`#` starts no comment on this line"),
            }
        }
        Some((verb, _)) => context.error_with(verb.span, "realm knows only `join`", "the line must not be indented"),
    }
}

fn rootpw(command: &Command, context: &mut Context<'_>) {
    if command.arguments.len() != 1 && command.option("lock").is_none() {
        let span = command.arguments.get(1).map_or(command.name_span, |word: &Argument| word.span);
        let help = match command.arguments.is_empty() && context.line.contains('#') {
            true => "`#` begins a comment: quote a password that has one",
            false => "a password with white space is quoted",
        };
        context.error_with(span, "rootpw takes one password, or --lock", help);
    }
}

fn services(command: &Command, context: &mut Context<'_>) {
    let disabled = context.lasting(command, "disabled").is_some();
    let enabled = context.lasting(command, "enabled").is_some();
    if !disabled && !enabled {
        context.error(command.name_span, "services needs --disabled or --enabled");
    }
}

fn timezone(command: &Command, context: &mut Context<'_>) {
    let servers = context.lasts(command, "ntpservers");
    // A lone `--` is an argument as well, so the command is not empty then.
    let is_alone = shlex::split(context.line, command.span, true).is_ok_and(|words| words.len() == 1);
    if is_alone {
        context.error(command.name_span, "timezone needs a time zone or an option");
    }
    if let (Some(used), true) = (command.option("nontp"), servers) {
        context.error(used.span, "timezone: --nontp and --ntpservers exclude each other");
    }
}
