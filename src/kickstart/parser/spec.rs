//! The syntax of commands as data: the types of the tables in [`system`](super::system) and [`storage`](super::storage).

/// The kinds of values an option takes, as pykickstart's option classes check them (options.py of 1.99.66.18, optparse of Python 2.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Takes no value.
    Flag,
    /// Any text, except one that begins with `--` and has more characters (`_check_string`).
    Text,
    /// A number as optparse reads it: `0x1f`, `0b11` and octal `017` too.
    Integer,
    /// on, yes, true, 1, off, no, false, 0, in any case (`_check_ksboolean`).
    Boolean,
    /// One of these, exactly.
    Choice(&'static [&'static str]),
    /// One of these in lower case. Anything else is ignored without a message, as if the option were not there.
    Known(&'static [&'static str]),
    /// Texts with commas between them.
    List,
    /// Known, but refused ("no longer supported").
    Removed,
    /// A flag that has no effect any more and warns.
    Deprecated,
}

/// One option of a command.
#[derive(Debug, Clone, Copy)]
pub(super) struct OptionSpec {
    /// Its spellings with dashes. The first is its main name.
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

/// The words of a command that are neither options nor values of options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arguments {
    /// Any is an error.
    None,
    /// The parser drops them without a message (it never reads what optparse leaves over).
    Ignored,
    /// Exactly one.
    One(&'static str),
    /// One or none.
    Optional(&'static str),
    /// One at least.
    Some(&'static str),
    /// Exactly two.
    Two(&'static str),
    /// Any number; a rule may limit it.
    Any,
}

/// The way a command's line is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// Options and arguments.
    Options,
    /// All words are arguments, also those that begin with a dash.
    Words,
    /// Anaconda stops at the command, whatever its line holds. The text says what to do instead.
    Refused(&'static str),
    /// The name is known, but the parser has no code for it and stops.
    Broken,
}

/// The values that make a later line a second definition of the same thing, of which the installer warns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Identity {
    /// Nothing: the last line wins.
    None,
    /// The first argument.
    Argument,
    /// The values of these options.
    Options(&'static [&'static str]),
    /// The values of these options, but the warning itself fails: it reads an attribute that does not exist, and the parser dies.
    Fatal(&'static [&'static str]),
}

/// The conditions that need special code: [`rules`](super::rules) has a function for each, named like the command.
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

/// A condition on the options of one line. An option counts when its value is true in Python: not empty and not 0.
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
    /// A condition that needs special code.
    Custom(Custom),
}

/// A command.
#[derive(Debug, Clone, Copy)]
pub(super) struct CommandSpec {
    /// Its names. Other commands refer to it by the first.
    pub names: &'static [&'static str],
    /// The class that reads it in the RHEL 7 handler, below pykickstart/commands/.
    pub source: &'static str,
    pub reading: Reading,
    pub arguments: Arguments,
    pub options: &'static [OptionSpec],
    pub rules: &'static [Rule],
    /// Commands that are not allowed before it.
    pub conflicts: &'static [&'static str],
    pub identity: Identity,
}

impl CommandSpec {
    /// A command without options and conditions.
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
