//! The machines that are made at once, and their own settings.

use std::path::PathBuf;

use super::error::RunError;
use super::name::Name;
use super::network::{Address, NoPlace};
use crate::base::host_name::HostName;
use crate::base::public_key::PublicKey;

/// The own settings of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Personal {
    /// Its host name; else, on a private network, one like its own name, and without one that of its image.
    pub hostname: Option<HostName>,
    /// Its address on its private network; else the lowest that is free.
    pub address: Option<Address>,
    /// Keys that may log in to root by ssh.
    pub keys: Vec<PublicKey>,
}

/// How many machines are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Many {
    /// One.
    One,
    /// So many, with numbers after the name and addresses one after the other.
    Count(u32),
    /// The machines of a table. Keys from the options are added to each.
    Table(Table),
}

/// Machines of a file, each with its own settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The file.
    pub path: PathBuf,
    pub(super) machines: Vec<Individual>,
}

/// A machine that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Individual {
    pub(super) name: Name,
    pub(super) personal: Personal,
    /// Its line of the table.
    pub(super) line: Option<usize>,
}

impl Many {
    /// The error for `faults` of `machines` when a table names them: each fault with its line.
    pub(super) fn faults_of_table(&self, faults: &[NoPlace], machines: &[Individual]) -> Option<RunError> {
        let Self::Table(table) = self else { return None };
        let line = |fault: &NoPlace| machines.get(fault.index).and_then(|machine| machine.line).unwrap_or_default();
        let told = faults.iter().map(|fault| format!("line {}: {}", line(fault), fault.why));
        Some(RunError::Table { path: table.path.clone(), faults: told.collect() })
    }

    /// The machines. A single one would have the name `name` and the settings `personal`.
    pub(super) fn individuals(&self, name: Name, personal: &Personal) -> Vec<Individual> {
        let alone = |name, personal| Individual { name, personal, line: None };
        match self {
            Self::One => vec![alone(name, personal.clone())],
            Self::Count(count) => (0..*count)
                .map(|number| {
                    let address = personal.address.map(|first| first.after(number));
                    alone(name.numbered(number + 1), Personal { address, ..personal.clone() })
                })
                .collect(),
            Self::Table(table) => {
                let mut machines = table.machines.clone();
                machines.iter_mut().for_each(|machine| machine.personal.keys.extend_from_slice(&personal.keys));
                machines
            }
        }
    }
}
