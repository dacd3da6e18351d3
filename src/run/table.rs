//! A table of machines with their own settings, for `up --from`.
//!
//! ```text
//! name,address,hostname,key
//! anna,10.0.0.11,anna.lab.example,ssh-ed25519 AAAA… anna
//! ben,10.0.0.12,,
//! ```

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use csv::{ReaderBuilder, StringRecord, Trim};

use super::error::RunError;
use super::wanted::{Individual, Personal, Table};

/// Bytes of a table; one line has a few hundred.
const MAX_BYTES: u64 = 4 << 20;
/// Lines of a table, as for `up --count`.
const MAX_ROWS: usize = 999;
/// The columns that the first line may name. It must name the first one.
const COLUMNS: [&str; 4] = ["name", "address", "hostname", "key"];

impl Table {
    /// Read the table at `path`: comma-separated values (RFC 4180) whose first line names the columns; `#` begins a comment.
    ///
    /// # Errors
    /// The file cannot be read; or all faults in it, with their lines.
    pub fn read(path: &Path) -> Result<Self, RunError> {
        let faults = |faults| RunError::Table { path: path.to_owned(), faults };
        let mut text = Vec::new();
        let read = File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut text));
        read.map_err(|error| faults(vec![error.to_string()]))?;
        if text.len() as u64 > MAX_BYTES {
            return Err(faults(vec![format!("it has more than {MAX_BYTES} bytes")]));
        }
        Ok(Self { path: path.to_owned(), machines: machines(&text).map_err(faults)? })
    }
}

fn machines(text: &[u8]) -> Result<Vec<Individual>, Vec<String>> {
    // Spreadsheets write a byte order mark.
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    let mut reader = ReaderBuilder::new().trim(Trim::All).comment(Some(b'#')).flexible(true).from_reader(text);
    let columns = reader.headers().map_err(|error| vec![error.to_string()])?.clone();
    let mut faults = headline(&columns);
    if !faults.is_empty() {
        return Err(faults);
    }
    let (mut machines, mut seen) = (Vec::new(), BTreeMap::new());
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                faults.push(error.to_string());
                continue;
            }
        };
        let line = line_of(text, &record);
        let mut wrong = |what: String| faults.push(format!("line {line}: {what}"));
        if record.len() > columns.len() {
            wrong(format!("it has {} values, and there are {} columns", record.len(), columns.len()));
        }
        let Some(machine) = machine(&columns, &record, line, &mut wrong) else { continue };
        if let Some(other) = seen.insert(machine.name.clone(), line) {
            wrong(format!("`{}` is on line {other} already", machine.name));
        }
        machines.push(machine);
    }
    if machines.is_empty() && faults.is_empty() {
        faults.push("it has no machine".to_owned());
    }
    if machines.len() > MAX_ROWS {
        faults.push(format!("it has {} machines, and {MAX_ROWS} are the most", machines.len()));
    }
    if faults.is_empty() { Ok(machines) } else { Err(faults) }
}

/// The line that a record is on. The reader's own count is behind by one where lines end in CR LF, and does not count comments.
fn line_of(text: &[u8], record: &StringRecord) -> usize {
    let mut at = record.position().map_or(0, |position| usize::try_from(position.byte()).unwrap_or(usize::MAX)).min(text.len());
    while let Some(byte) = text.get(at) {
        match byte {
            b'\r' | b'\n' => at += 1,
            b'#' => at += text[at..].iter().position(|byte| *byte == b'\n').unwrap_or(text.len() - at),
            _ => break,
        }
    }
    text[..at].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// The faults of the names of the columns.
fn headline(columns: &StringRecord) -> Vec<String> {
    let known = COLUMNS.join(", ");
    let mut faults: Vec<String> = columns
        .iter()
        .enumerate()
        .filter_map(|(index, column)| match columns.iter().take(index).any(|other| other == column) {
            true => Some(format!("line 1: the column `{column}` is there twice")),
            false => (!COLUMNS.contains(&column)).then(|| format!("line 1: there is no column `{}`: {known}", column.escape_debug())),
        })
        .collect();
    if !columns.iter().any(|column| column == COLUMNS[0]) {
        faults.push(format!("line 1: it names the columns, of which `name` must be one: {known}"));
    }
    faults
}

/// A machine; nothing when it has no name.
fn machine(columns: &StringRecord, record: &StringRecord, line: usize, wrong: &mut impl FnMut(String)) -> Option<Individual> {
    let value = |wanted: &str| {
        let index = columns.iter().position(|column| column == wanted)?;
        record.get(index).filter(|value| !value.is_empty())
    };
    let mut parsed = Parsed { wrong };
    let name = match value("name") {
        Some(name) => parsed.of("name", Some(name)),
        None => {
            (parsed.wrong)("it has no name".to_owned());
            None
        }
    };
    let personal = Personal {
        hostname: parsed.of("hostname", value("hostname")),
        address: parsed.of("address", value("address")),
        keys: parsed.of("key", value("key")).into_iter().collect(),
    };
    Some(Individual { name: name?, personal, line: Some(line) })
}

/// Reports values that are not valid.
struct Parsed<'a, F> {
    wrong: &'a mut F,
}

impl<F: FnMut(String)> Parsed<'_, F> {
    fn of<T: std::str::FromStr<Err: Display>>(&mut self, column: &str, value: Option<&str>) -> Option<T> {
        value?.parse().map_err(|why| (self.wrong)(format!("{column}: {why}"))).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f a, b";

    #[test]
    fn a_table_has_machines() {
        let text = format!("\u{feff}key, name ,address\r\n\"{KEY}\",anna,10.0.0.11/24\r\n# later\n,ben\n");
        let machines = machines(text.as_bytes()).unwrap();
        let names: Vec<_> = machines.iter().map(|machine| (machine.line.unwrap(), machine.name.as_str())).collect();
        assert_eq!(names, [(2, "anna"), (4, "ben")]);
        assert_eq!(machines[0].personal.keys[0].as_str(), KEY);
        assert_eq!(machines[0].personal.address, Some("10.0.0.11/24".parse().unwrap()));
        assert_eq!(machines[1].personal, Personal::default());
    }

    #[test]
    fn all_that_is_wrong_in_a_table_is_told_with_its_line() {
        for (text, faults) in [
            ("", &["line 1: it names the columns, of which `name` must be one: name, address, hostname, key"][..]),
            ("name\n", &["it has no machine"]),
            (
                "nmae,name,name\na\n",
                &["line 1: there is no column `nmae`: name, address, hostname, key", "line 1: the column `name` is there twice"],
            ),
            (
                "name,address,hostname,key\na,1,b_c,ssh-rsa\n,10.0.0.1\na/b\na\nc,,,,,x\n",
                &[
                    "line 2: hostname: `b_c` is not a host name: use letters, digits and `-`",
                    "line 2: address: `1` is no IPv4 address",
                    "line 2: key: this public key is cut short or garbled",
                    "line 3: it has no name",
                    "line 4: name: a name has 1 to 63 letters",
                    "line 5: `a` is on line 2 already",
                    "line 6: it has 6 values, and there are 4 columns",
                ],
            ),
        ] {
            let told = machines(text.as_bytes()).unwrap_err();
            assert_eq!(told.len(), faults.len(), "{told:?}");
            for (told, fault) in told.iter().zip(faults) {
                assert!(told.starts_with(fault), "{told}");
            }
        }
        assert!(machines(b"name\n\xff\n").unwrap_err()[0].contains("UTF-8"));
        let many: String = (0..1000).map(|number| format!("m{number}\n")).collect();
        assert_eq!(machines(format!("name\n{many}").as_bytes()).unwrap_err(), ["it has 1000 machines, and 999 are the most"]);
    }
}
