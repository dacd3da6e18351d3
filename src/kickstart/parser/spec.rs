//! What a command may say, as data: the form of the tables in [`system`](super::system) and [`storage`](super::storage).

/// The kinds of values an option takes, as pykickstart's option classes check them (options.py of 1.99.66.18, optparse of Python 2.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Takes no value.
    Flag,
    /// Any text but one that begins with `--` and is longer than that (`_check_string`).
    Text,
    /// A number as optparse reads it: `0x1f`, `0b11` and octal `017` too.
    Integer,
    /// on, yes, true, 1, off, no, false, 0, in any case (`_check_ksboolean`).
    Boolean,
    /// One of these, exactly.
    Choice(&'static [&'static str]),
    /// One of these in lower case; anything else is ignored in silence, as if the option were not there.
    Known(&'static [&'static str]),
    /// Texts with commas between them.
    List,
    /// Known, but refused ("no longer supported").
    Removed,
    /// A flag that means nothing any more and warns.
    Deprecated,
}

/// One option of a command.
#[derive(Debug, Clone, Copy)]
pub(super) struct OptionSpec {
    /// Its spellings with dashes; the first is the one that is asked for.
    pub names: &'static [&'static str],
    pub kind: Kind,
    pub required: bool,
}

impl OptionSpec {
    /// The option must be there.
    pub const fn required(self) -> Self {
        OptionSpec { required: true, ..self }
    }
}

/// An option of some kind.
pub(super) const fn option(names: &'static [&'static str], kind: Kind) -> OptionSpec {
    OptionSpec { names, kind, required: false }
}

pub(super) const fn flag(names: &'static [&'static str]) -> OptionSpec {
    option(names, Kind::Flag)
}

pub(super) const fn text(names: &'static [&'static str]) -> OptionSpec {
    option(names, Kind::Text)
}

pub(super) const fn integer(names: &'static [&'static str]) -> OptionSpec {
    option(names, Kind::Integer)
}

pub(super) const fn list(names: &'static [&'static str]) -> OptionSpec {
    option(names, Kind::List)
}

/// The words of a command that are no options and no values of options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arguments {
    /// Any is an error.
    None,
    /// The parser drops them without a word (it never looks at what optparse leaves over).
    Ignored,
    /// Exactly one.
    One(&'static str),
    /// One or none.
    Optional(&'static str),
    /// One at least.
    Some(&'static str),
    /// Exactly two.
    Two(&'static str),
    /// As many as one likes; a rule may say more.
    Any,
}

/// How a command's line is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// Options and arguments.
    Options,
    /// All words are arguments, also those that begin with a dash.
    Words,
    /// Anaconda stops at the command, whatever else is written; what to do instead.
    Refused(&'static str),
    /// The name is known, but the parser has no code for it and stops.
    Broken,
}

/// What makes a later line a second definition of the same thing, which the installer warns of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Identity {
    /// Nothing: the last line wins.
    None,
    /// The first argument.
    Argument,
    /// The values of these options.
    Options(&'static [&'static str]),
    /// The values of these options, but the warning itself fails: it asks for an attribute that there is not, and the parser dies.
    Fatal(&'static [&'static str]),
}

/// The conditions with code of their own: [`rules`](super::rules) has a function for each, which is named like the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Custom {
    AutoPart,
    Partition,
    Raid,
    VolumeGroup,
    LogicalVolume,
    Btrfs,
    Mount,
    IgnoreDisk,
    Snapshot,
    Multipath,
    HardDrive,
    Url,
    OstreeSetup,
    Bootloader,
    DriverDisk,
    Install,
    Keyboard,
    Network,
    Realm,
    RootPassword,
    Services,
    Timezone,
    Vnc,
}

/// A condition on the options of one line. An option counts when its value is not empty and not 0, as Python counts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rule {
    /// At most one of them.
    NotBoth(&'static str, &'static str),
    /// The first only with the second.
    Needs(&'static str, &'static str),
    /// Any of the first only with the second.
    AnyNeeds(&'static [&'static str], &'static str),
    /// At least one of them.
    OneOf(&'static [&'static str]),
    /// A condition with code of its own.
    Custom(Custom),
}

/// A command.
#[derive(Debug, Clone, Copy)]
pub(super) struct CommandSpec {
    /// Its names; the first is what other commands call it.
    pub names: &'static [&'static str],
    /// The class that reads it in the RHEL 7 handler, below pykickstart/commands/.
    pub source: &'static str,
    pub reading: Reading,
    pub arguments: Arguments,
    pub options: &'static [OptionSpec],
    pub rules: &'static [Rule],
    /// Commands that may not stand before it.
    pub conflicts: &'static [&'static str],
    pub identity: Identity,
}

impl CommandSpec {
    /// A command without anything.
    pub const fn new(names: &'static [&'static str], source: &'static str, arguments: Arguments) -> CommandSpec {
        CommandSpec {
            names,
            source,
            reading: Reading::Options,
            arguments,
            options: &[],
            rules: &[],
            conflicts: &[],
            identity: Identity::None,
        }
    }

    pub const fn reading(self, reading: Reading) -> Self {
        CommandSpec { reading, ..self }
    }

    pub const fn options(self, options: &'static [OptionSpec]) -> Self {
        CommandSpec { options, ..self }
    }

    pub const fn rules(self, rules: &'static [Rule]) -> Self {
        CommandSpec { rules, ..self }
    }

    pub const fn conflicts(self, conflicts: &'static [&'static str]) -> Self {
        CommandSpec { conflicts, ..self }
    }

    pub const fn identity(self, identity: Identity) -> Self {
        CommandSpec { identity, ..self }
    }

    /// Whether its arguments are passwords.
    pub fn has_secrets(&self) -> bool {
        const SECRET: [&str; 4] = ["rootpw", "sshpw", "user", "realm"];
        SECRET.contains(&self.names[0])
    }
}
