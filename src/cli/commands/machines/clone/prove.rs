//! `goldsmith clone --prove IMAGE`: two clones are booted and compared.

use std::path::PathBuf;

use serde_json::json;

use crate::base::event::Events;
use crate::base::failure::{AnyFailure, Class, Failure};
use crate::base::size::ByteSize;
use crate::base::text::printable;
use crate::cache::Store;
use crate::cli::args::Clones;
use crate::cli::commands::build;
use crate::cli::{Context, host, printer};
use crate::machine::spec::Equipment;
use crate::run::{self, Likeness, Own, WarmFrom};

/// The number of characters of a value that are shown. They are the last ones, by which ssh keys differ.
const SHOWN: usize = 24;
/// Memory of a clone that is only compared.
const MEMORY: ByteSize = ByteSize(1 << 30);

/// Prove that two machines of an image have different identities.
///
/// # Errors
/// They have an identity in common, or they did not come up.
pub(super) async fn prove(args: &Clones, context: &Context) -> Result<(), AnyFailure> {
    let image = build::image_of(&args.image, context).await?;
    let (state, store) = (context.environment.state_dir()?, host::store_place(context));
    let warm = args.warm.then(|| context.environment.store_dir(None)).transpose()?.map(|dir| Store::open(&dir)).transpose()?;
    let events = Events::new(context.listeners());
    let task = events.task("compare two clones");
    let given = Equipment { memory: Some(args.memory.unwrap_or(MEMORY)), ..Equipment::default() };
    let compared = run::compare(&image, &given, (&state, store.as_deref()), warm.as_ref().map(WarmFrom::Store), &task).await?;
    task.done();
    let shared = compared.iter().filter(|own| !own.differs()).count();
    let text = if context.json {
        let own = |own: &Own| json!({ "name": own.name, "values": own.values, "differs": own.differs() });
        context.record(&json!({ "event": "clones", "own": compared.iter().map(own).collect::<Vec<_>>() }))
    } else {
        table(&compared)
    };
    printer::out(&text)?;
    match shared {
        0 => Ok(()),
        shared => Err(Shared { image: args.image.clone(), shared, all: compared.len() }.into()),
    }
}

fn table(compared: &[Own]) -> String {
    let line = |own: &Own| {
        let verdict = match own.likeness() {
            Likeness::Differ => "differs",
            Likeness::Shared(_) => "SHARED",
            Likeness::Missing(_) => "MISSING",
        };
        let [one, other] = own.values.each_ref().map(|value| value.as_deref().map_or_else(|| "none".to_owned(), shown));
        format!("{verdict:<8}  {}: {one} and {other}\n", printable(&own.name))
    };
    let differ = compared.iter().filter(|own| own.differs()).count();
    compared.iter().map(line).collect::<String>() + &format!("{differ} of {} differ\n", compared.len())
}

/// The end of a long value.
fn shown(value: &str) -> String {
    let text = printable(value);
    let count = text.chars().count();
    if count <= SHOWN * 2 { text } else { format!("...{}", text.chars().skip(count - SHOWN).collect::<String>()) }
}

#[derive(Debug, thiserror::Error)]
#[error("two clones of {} are not two: {shared} of {all} identities are the same in both, or missing", image.display())]
struct Shared {
    image: PathBuf,
    shared: usize,
    all: usize,
}

impl Failure for Shared {
    fn class(&self) -> Class {
        Class::Image
    }

    fn remedy(&self) -> Option<String> {
        let image = self.image.display();
        Some(format!("build the image anew from its recipe, which seals it; `goldsmith image audit {image}` names what a copy took along"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shared_and_what_is_missing_stands_out() {
        let own =
            |name: &str, values: [Option<&str>; 2]| Own { name: name.to_owned(), values: values.map(|value| value.map(str::to_owned)) };
        let key = format!("AAAA{}", "k".repeat(60));
        let compared = [
            own("machine id", [Some("a"), Some("a")]),
            own("host id", [None, None]),
            own("key", [Some(key.as_str()), Some("other\x1b[2J")]),
        ];
        let expected = format!(
            "SHARED    machine id: a and a\nMISSING   host id: none and none\ndiffers   key: ...{} and other\n1 of 3 differ\n",
            "k".repeat(24)
        );
        assert_eq!(table(&compared), expected);
    }
}
