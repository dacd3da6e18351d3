//! `goldsmith cache list` and `goldsmith cache remove`.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::base::digest::Sha256Digest;
use crate::base::event::SCHEMA;
use crate::base::failure::{AnyFailure, Class, Failure};
use crate::base::size::rounded;
use crate::base::text::{counted, printable};
use crate::cache::{Entry, Kind, Removal, Store};
use crate::cli::args::{Cache, CacheRemove};
use crate::cli::{Context, host, printer};
use crate::stages::Layer;

const DAY: Duration = Duration::from_secs(86_400);
/// Characters of an id that are shown, and that a user may write.
const SHOWN: usize = 12;

/// List or remove entries of the store.
///
/// # Errors
/// The store cannot be read, or an entry that the user named was not removed.
pub fn run(command: &Cache, context: &Context) -> Result<(), AnyFailure> {
    match command {
        Cache::List { store } => {
            let store = host::store(store.store.as_deref(), context)?;
            let stock = Stock::of(&store)?;
            Ok(printer::out(&if context.json { stock.json() } else { stock.table(&store) })?)
        }
        Cache::Remove(wanted) => remove(wanted, context),
    }
}

fn remove(wanted: &CacheRemove, context: &Context) -> Result<(), AnyFailure> {
    let store = host::store(wanted.store.store.as_deref(), context)?;
    let stock = Stock::of(&store)?;
    let chosen = stock.chosen(wanted, SystemTime::now())?;
    let mut outcome = Outcome::default();
    for entry in chosen {
        if let Some(above) = outcome.kept.iter().find(|(kept, _)| stock.is_below(entry, kept)) {
            let why = format!("layer {} needs it", short(&above.0.id));
            outcome.kept.push((entry, why));
            continue;
        }
        match store.remove(entry) {
            Ok(Removal::Done) => outcome.removed.push(entry),
            Ok(Removal::InUse) => outcome.kept.push((entry, "a running goldsmith uses it".to_owned())),
            Err(error) => {
                outcome.failed = true;
                outcome.kept.push((entry, error.to_string()));
            }
        }
    }
    printer::out(&if context.json { outcome.json() } else { outcome.table() })?;
    // An entry that the user named must be removed. Without names, entries that are in use may stay.
    if outcome.failed || (!wanted.ids.is_empty() && !outcome.kept.is_empty()) { Err(NotRemoved(outcome.kept.len()).into()) } else { Ok(()) }
}

/// The entries of the store, and the layers that each layer is based on.
struct Stock {
    entries: Vec<Entry>,
    /// For each layer's id, the ids of all layers below it.
    below: BTreeMap<String, Vec<String>>,
}

impl Stock {
    fn of(store: &Store) -> Result<Self, AnyFailure> {
        let entries = store.entries()?;
        let layers = entries.iter().filter(|entry| entry.kind == Kind::Layer);
        Ok(Self { below: layers.map(|entry| (entry.id.clone(), bases(entry))).collect(), entries })
    }

    fn is_below(&self, lower: &Entry, upper: &Entry) -> bool {
        lower.kind == Kind::Layer && upper.kind == Kind::Layer && self.below.get(&upper.id).is_some_and(|below| below.contains(&lower.id))
    }

    /// The last use of it or of a layer on it.
    fn used(&self, entry: &Entry) -> SystemTime {
        let above = self.entries.iter().filter(|upper| self.is_below(entry, upper));
        above.map(|upper| upper.used).fold(entry.used, SystemTime::max)
    }

    /// The entries to remove for `wanted` at the time `now`, an upper layer before those below it. Useless entries are removed too:
    /// leftovers, and the beginning of a file that is there as a whole.
    fn chosen(&self, wanted: &CacheRemove, now: SystemTime) -> Result<Vec<&Entry>, Unknown> {
        let named = wanted.ids.iter().map(|id| self.named(id)).collect::<Result<Vec<_>, _>>()?;
        let age = wanted.unused_for.map(|days| DAY.saturating_mul(days));
        // An age without kinds applies to all kinds.
        let any = wanted.all || (age.is_some() && !wanted.layers && !wanted.files);
        let by_kind = |kind: Kind| match kind {
            Kind::Layer => any || wanted.layers,
            Kind::File | Kind::Beginning => any || wanted.files,
            Kind::Memory => any,
            Kind::Leftover => false,
        };
        let is_old = |entry: &Entry| age.is_none_or(|age| now.duration_since(self.used(entry)).is_ok_and(|unused| unused >= age));
        let is_whole = |id: &str| self.entries.iter().any(|entry| entry.kind == Kind::File && entry.id == id);
        let is_chosen = |entry: &&Entry| {
            let useless = entry.kind == Kind::Leftover || (entry.kind == Kind::Beginning && is_whole(&entry.id));
            useless || (by_kind(entry.kind) && is_old(entry)) || named.iter().any(|named| named == entry || self.is_below(named, entry))
        };
        let mut chosen: Vec<&Entry> = self.entries.iter().filter(is_chosen).collect();
        chosen.sort_by_key(|entry| std::cmp::Reverse(self.below.get(&entry.id).map_or(0, Vec::len)));
        Ok(chosen)
    }

    /// The one entry whose id begins with `id`.
    fn named(&self, id: &str) -> Result<&Entry, Unknown> {
        let mut found = self.entries.iter().filter(|entry| !id.is_empty() && entry.id.starts_with(id));
        match (found.next(), found.count()) {
            (Some(entry), 0) => Ok(entry),
            (None, _) => Err(Unknown { id: id.to_owned(), count: 0 }),
            (Some(_), others) => Err(Unknown { id: id.to_owned(), count: others + 1 }),
        }
    }

    /// For machines: one document.
    fn json(&self) -> String {
        let entries: Vec<Value> = self
            .entries
            .iter()
            .map(|entry| {
                let mut value = record(entry);
                value["last_used"] = json!(Timestamp::try_from(entry.used).ok().map(|time| time.to_string()));
                value["about"] = json!(entry.about);
                value["stands_on"] = json!(self.below.get(&entry.id).filter(|_| entry.kind == Kind::Layer));
                value
            })
            .collect();
        json!({ "schema": SCHEMA, "entries": entries, "bytes": total(&self.entries) }).to_string() + "\n"
    }

    /// For people: a line for each entry, and for memories a line for each kind.
    fn table(&self, store: &Store) -> String {
        let now = SystemTime::now();
        let mut text = String::new();
        let mut row = |kind: &str, id: &str, bytes: u64, used: SystemTime, about: &str| {
            let line = format!("{kind:<9}  {id:<SHOWN$}  {:>8}  {:<12}  {about}", rounded(bytes), ago(now, used));
            text.push_str(&format!("{}\n", printable(line.trim_end())));
        };
        let mut memories: BTreeMap<&str, (usize, u64, SystemTime)> = BTreeMap::new();
        for entry in &self.entries {
            if entry.kind == Kind::Memory {
                let kind = entry.id.split('/').next().unwrap_or_default();
                let (count, bytes, used) = memories.entry(kind).or_insert((0, 0, entry.used));
                (*count, *bytes, *used) = (*count + 1, *bytes + entry.bytes, entry.used.max(*used));
                continue;
            }
            row(word(entry.kind), short(&entry.id), entry.bytes, self.used(entry), entry.about.as_deref().unwrap_or_default());
        }
        for (kind, (count, bytes, used)) in memories {
            row(word(Kind::Memory), kind, bytes, used, &counted(count, "file"));
        }
        text + &format!("{} in {}\n", rounded(total(&self.entries)), printable(&store.root().to_string_lossy()))
    }
}

/// The ids of the layers below one. Nothing depends on a layer that cannot be used.
fn bases(layer: &Entry) -> Vec<String> {
    let Ok(layer) = Layer::open(layer.path()) else { return Vec::new() };
    let names = layer.below().iter().filter_map(|dir| dir.file_name()?.to_str());
    names.filter(|name| name.parse::<Sha256Digest>().is_ok()).map(str::to_owned).collect()
}

/// The result for the chosen entries.
#[derive(Default)]
struct Outcome<'a> {
    removed: Vec<&'a Entry>,
    /// The entries that are still there, and the reasons.
    kept: Vec<(&'a Entry, String)>,
    failed: bool,
}

impl Outcome<'_> {
    fn freed(&self) -> u64 {
        total(self.removed.iter().copied())
    }

    fn json(&self) -> String {
        let kept = self.kept.iter().map(|(entry, why)| {
            let mut value = record(entry);
            value["why"] = json!(why);
            value
        });
        let removed = self.removed.iter().map(|entry| record(entry));
        let (removed, kept): (Vec<_>, Vec<_>) = (removed.collect(), kept.collect());
        json!({ "schema": SCHEMA, "removed": removed, "kept": kept, "freed_bytes": self.freed() }).to_string() + "\n"
    }

    fn table(&self) -> String {
        let mut text = String::new();
        // Memories are not listed, because they are many and small.
        for entry in self.removed.iter().filter(|entry| entry.kind != Kind::Memory) {
            let about = entry.about.as_deref().unwrap_or_default();
            let line = format!("removed  {:<9}  {:<SHOWN$}  {:>8}  {about}", word(entry.kind), short(&entry.id), rounded(entry.bytes));
            text.push_str(&format!("{}\n", printable(line.trim_end())));
        }
        for (entry, why) in &self.kept {
            text.push_str(&printable(&format!("kept     {:<9}  {:<SHOWN$}  {why}", word(entry.kind), short(&entry.id))));
            text.push('\n');
        }
        text + &format!("{} freed\n", rounded(self.freed()))
    }
}

fn total<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> u64 {
    entries.into_iter().fold(0, |sum, entry| sum.saturating_add(entry.bytes))
}

fn record(entry: &Entry) -> Value {
    json!({ "kind": word(entry.kind), "id": entry.id, "bytes": entry.bytes })
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Layer => "layer",
        Kind::File => "file",
        Kind::Beginning => "beginning",
        Kind::Memory => "memory",
        Kind::Leftover => "leftover",
    }
}

fn short(id: &str) -> &str {
    id.get(..SHOWN).filter(|_| id.parse::<Sha256Digest>().is_ok()).unwrap_or(id)
}

fn ago(now: SystemTime, used: SystemTime) -> String {
    // After the clock was set back, the time may be in the future. It then counts as today.
    match now.duration_since(used).unwrap_or_default().as_secs() / DAY.as_secs() {
        0 => "today".to_owned(),
        days => format!("{} ago", counted(usize::try_from(days).unwrap_or(usize::MAX), "day")),
    }
}

/// An id that matches no entry, or more than one.
#[derive(Debug, thiserror::Error)]
#[error("{} with an id that begins with `{id}`", match count { 0 => "nothing is in the store".to_owned(), count => format!("{count} things are in the store") })]
struct Unknown {
    id: String,
    count: usize,
}

impl Failure for Unknown {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn remedy(&self) -> Option<String> {
        Some("write an id, or more of it, as `goldsmith cache list` shows it; `--json` shows the whole".to_owned())
    }
}

/// Some entries are still there.
#[derive(Debug, thiserror::Error)]
#[error("{} could not be removed", counted(*.0, "thing"))]
struct NotRemoved(usize);

impl Failure for NotRemoved {
    fn class(&self) -> Class {
        Class::Host
    }

    fn remedy(&self) -> Option<String> {
        Some("see the lines marked `kept`; what a running goldsmith uses can be removed when that has ended".to_owned())
    }
}
