//! The files of a named machine, in its own directory.
//!
//! ```text
//! STATE/machines/NAME/
//!   machine.json     what it was made from and with (read at every start)
//!   disk.qcow2       what it has changed, over the image
//!   vars.raw         UEFI variables, where UEFI boots it
//!   boot/            kernel and initramfs of the last boot, console.log, evidence
//!   lock             held by the supervisor while the machine runs
//!   control.sock     where the supervisor listens
//!   segment.sock     where the other machines of its network reach it
//!   supervisor.log   what the supervisor said
//!   ended.json       how the last run ended
//! ```
//!
//! Only the lock tells whether a machine runs: the kernel releases it when the process ends, however that happens, and at a reboot of the
//! host.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::disk::Base;
use super::error::RunError;
use super::name::Name;
use super::network::{Membership, Neighbour};
use super::source::Source;
use super::told::Told;
use super::volume::Volume;
use crate::base::atomic;
use crate::base::host_name::HostName;
use crate::base::lock::Lock;
use crate::base::public_key::PublicKey;
use crate::base::size::ByteSize;
use crate::machine::spec::{Forward, Mac};

/// Version of `machine.json` and `ended.json`.
pub(super) const SCHEMA: u32 = 1;
/// The wait for another process that makes machines: a thousand of them take half of it.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long another process may hold a machine's lock that only looks whether it is held.
const LOOKS: Duration = Duration::from_secs(2);
/// Below the state directory.
const MACHINES: &str = "machines";

/// The image and the settings that a machine was made with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    pub(super) schema: u32,
    /// Its name.
    pub name: Name,
    /// The path it was made from: an artifact's directory, or an image. Absolute.
    pub source: PathBuf,
    /// The image under its disk, as it was then.
    pub(super) base: Base,
    /// Memory.
    pub memory: ByteSize,
    /// Virtual CPUs; the usual number when it is not given.
    pub cpus: Option<u32>,
    /// Ports of 127.0.0.1 that lead into it.
    pub forwards: Vec<Forward>,
    /// Whether nothing leaves it.
    pub isolated: bool,
    /// Its host name, when it is not to have that of its image.
    #[serde(default)]
    pub hostname: Option<HostName>,
    /// The address of its first network card; `None` for a machine of an earlier goldsmith, which has QEMU's default address.
    #[serde(default)]
    pub mac: Option<Mac>,
    /// Its place on a private network.
    #[serde(default)]
    pub network: Option<Membership>,
    /// Keys that may log in to root by ssh, beside those of its image.
    #[serde(default)]
    pub keys: Vec<PublicKey>,
    /// Whether its consoles are root's without a log-in.
    #[serde(default)]
    pub autologin: bool,
    /// Directories of the host in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Volume>,
    /// Where the saved state is with which it begins; `None` when it boots, or has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm: Option<PathBuf>,
    /// When it was made: RFC 3339, UTC.
    pub created: String,
}

impl Record {
    /// The machine as a neighbour of the others on its network; `None` when it is on none.
    pub(super) fn neighbour(&self) -> Option<Neighbour> {
        Some(Neighbour { name: self.name.clone(), hostname: self.hostname.clone(), place: self.network.clone()? })
    }

    /// Make sure that the image under the machine's disk is the one it was made over. What it is now is put into the record, and true is returned
    /// when that has changed it.
    pub(super) async fn still_fits(&mut self, source: &Source) -> Result<bool, RunError> {
        if let Some(now) = self.base.still(source).await? {
            let changed = now != self.base;
            self.base = now;
            return Ok(changed);
        }
        let why = format!("{} is not the image any more that it was made from", source.image.display());
        Err(RunError::Changed { name: self.name.clone(), why })
    }
}

/// How a run of a machine ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    pub(super) schema: u32,
    /// When: RFC 3339, UTC.
    pub at: String,
    /// In a few words: `powered off`.
    pub how: String,
    /// The failure, if there was one.
    pub failure: Option<Told>,
}

/// The directory of all machines of this user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machines {
    root: PathBuf,
}

impl Machines {
    /// Below the state directory `state`.
    pub fn below(state: &Path) -> Self {
        Self { root: state.join(MACHINES) }
    }

    /// Where the machine `name` is or would be.
    pub fn place(&self, name: &Name) -> Place {
        Place { name: name.clone(), dir: self.root.join(name.as_str()) }
    }

    /// All of them, in the order of their names.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn all(&self) -> Result<Vec<Place>, RunError> {
        let failed = |source| RunError::State { path: self.root.clone(), source };
        let entries = match fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().parse::<Name>().ok())).collect::<Result<Vec<_>, _>>();
        let mut names: Vec<Name> = names.map_err(failed)?.into_iter().flatten().collect();
        names.sort();
        Ok(names.iter().map(|name| self.place(name)).collect())
    }

    /// Their directory.
    pub(super) fn dir(&self) -> &Path {
        &self.root
    }

    /// Lock the places on all networks: no other process can assign one meanwhile.
    ///
    /// # Errors
    /// Another process holds them for a minute, or the lock cannot be opened.
    pub(super) async fn lock(&self) -> Result<Lock, RunError> {
        let failed = |source| RunError::State { path: self.root.clone(), source };
        let patience = Instant::now() + PATIENCE;
        loop {
            if let Some(lock) = Lock::try_exclusive_dir(&self.root).map_err(failed)? {
                return Ok(lock);
            }
            if Instant::now() > patience {
                return Err(failed(io::Error::new(io::ErrorKind::TimedOut, "another goldsmith makes machines, and does not end")));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// When one was made or removed last.
    pub(super) fn changed(&self) -> Option<SystemTime> {
        fs::metadata(&self.root).and_then(|metadata| metadata.modified()).ok()
    }

    /// The machines of the network `name`. A machine whose record cannot be read is left out.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub(super) fn on(&self, name: &Name) -> Result<Vec<(Place, Neighbour)>, RunError> {
        let on_it = |place: Place| {
            let neighbour = place.record().ok()?.neighbour()?;
            (neighbour.place.name == *name).then_some((place, neighbour))
        };
        Ok(self.all()?.into_iter().filter_map(on_it).collect())
    }

    /// The machine `name`.
    ///
    /// # Errors
    /// There is none.
    pub fn find(&self, name: &Name) -> Result<Place, RunError> {
        let place = self.place(name);
        if place.exists() {
            return Ok(place);
        }
        let others: Vec<String> = self.all()?.into_iter().map(|place| place.name.to_string()).collect();
        let like = crate::base::text::suggestion(name.as_str(), others.iter().map(String::as_str)).map(str::to_owned);
        Err(RunError::NoMachine { name: name.clone(), like })
    }
}

/// A machine's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    name: Name,
    dir: PathBuf,
}

impl Place {
    /// The same machine, in a directory that will be renamed to its own.
    pub(super) fn at(&self, dir: &Path) -> Self {
        Self { name: self.name.clone(), dir: dir.to_owned() }
    }

    /// All machines of its user.
    pub(super) fn machines(&self) -> Machines {
        Machines { root: self.dir.parent().unwrap_or(Path::new("/")).to_owned() }
    }

    /// The machine's name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether there is such a machine.
    pub fn exists(&self) -> bool {
        self.dir.exists()
    }

    pub(super) fn record_file(&self) -> PathBuf {
        self.dir.join("machine.json")
    }

    /// Its disk.
    pub fn disk(&self) -> PathBuf {
        self.dir.join("disk.qcow2")
    }

    /// The files of the last boot: the console's log, and the kernel and initramfs.
    pub fn boot(&self) -> PathBuf {
        self.dir.join("boot")
    }

    /// The file with the output of the supervisor.
    pub fn log(&self) -> PathBuf {
        self.dir.join("supervisor.log")
    }

    /// Where the machine's network card is reached by others of its network.
    pub(super) fn segment(&self) -> PathBuf {
        self.dir.join("segment.sock")
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.dir.join("control.sock")
    }

    /// The image and the settings that it was made with.
    ///
    /// # Errors
    /// It cannot be read, or another version of goldsmith wrote it.
    pub fn record(&self) -> Result<Record, RunError> {
        let path = self.record_file();
        let bytes = fs::read(&path).map_err(|source| RunError::State { path: path.clone(), source })?;
        let foreign = |why: String| RunError::ForeignState { path: path.clone(), why };
        let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(|error| foreign(error.to_string()))?;
        match value.get("schema").and_then(serde_json::Value::as_u64) {
            Some(version) if version == u64::from(SCHEMA) => {}
            version => {
                return Err(foreign(format!(
                    "its schema is {}, and this goldsmith knows {SCHEMA}",
                    version.map_or_else(|| "missing".to_owned(), |v| v.to_string())
                )));
            }
        }
        serde_json::from_value(value).map_err(|error| foreign(error.to_string()))
    }

    /// Write the image and the settings that it is made with.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn write_record(&self, record: &Record) -> io::Result<()> {
        atomic::write(&self.record_file(), format!("{:#}\n", serde_json::json!(record)).as_bytes())
    }

    /// The record, once the image at its source is known to be the one that the machine was made over.
    ///
    /// # Errors
    /// The image is another one now, is gone or cannot be read, or the record cannot be read or written.
    pub(super) async fn fitting_record(&self, store: Option<&Path>) -> Result<(Record, Source), RunError> {
        let mut record = self.record()?;
        let source = match Source::find(&record.source, store) {
            Err(_) if !record.source.exists() => {
                let why = format!("{}, which it was made from, is not there any more", record.source.display());
                return Err(RunError::Changed { name: record.name, why });
            }
            found => found?,
        };
        if record.still_fits(&source).await? {
            // The next start need not read the whole image again.
            // Reading it takes seconds, in which the machine's supervisor may have changed the record.
            let now = Record { base: record.base.clone(), ..self.record()? };
            self.write_record(&now).map_err(|source| RunError::State { path: self.record_file(), source })?;
        }
        Ok((record, source))
    }

    /// How its last run ended; nothing while it runs, when it never ran, and when its supervisor was killed.
    pub fn ended(&self) -> Option<Ended> {
        serde_json::from_slice(&fs::read(self.dir.join("ended.json")).ok()?).ok()
    }

    pub(super) fn write_ended(&self, how: String, failure: Option<Told>) -> io::Result<()> {
        let ended = Ended { schema: SCHEMA, at: Timestamp::now().to_string(), how, failure };
        atomic::write(&self.dir.join("ended.json"), format!("{:#}\n", serde_json::json!(ended)).as_bytes())
    }

    pub(super) fn forget_end(&self) -> io::Result<()> {
        atomic::remove(&self.dir.join("ended.json"))
    }

    /// Lock the machine, if no supervisor has the lock.
    ///
    /// # Errors
    /// The lock cannot be opened.
    pub(super) fn take(&self) -> Result<Option<Lock>, RunError> {
        let path = self.dir.join("lock");
        Lock::try_exclusive(&path).map_err(|source| RunError::State { path, source })
    }

    /// As [`Place::take`], but wait for another process that only looks whether it is held.
    ///
    /// # Errors
    /// The lock cannot be opened.
    pub(super) async fn take_soon(&self) -> Result<Option<Lock>, RunError> {
        let patience = Instant::now() + LOOKS;
        loop {
            let lock = self.take()?;
            if lock.is_some() || Instant::now() > patience {
                return Ok(lock);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Whether it runs.
    ///
    /// # Errors
    /// The lock cannot be opened.
    pub fn runs(&self) -> Result<bool, RunError> {
        Ok(self.take()?.is_none())
    }

    /// Remove it, with all that it has changed.
    ///
    /// # Errors
    /// It runs, or something of it cannot be removed.
    pub fn remove(&self) -> Result<(), RunError> {
        let Some(_lock) = self.take()? else { return Err(RunError::Runs { name: self.name.clone() }) };
        fs::remove_dir_all(&self.dir).map_err(|source| RunError::State { path: self.dir.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::tests::artifact;
    use super::*;

    fn made(dir: &Path, name: &str, record: &str) -> Place {
        let place = Machines::below(dir).place(&name.parse().unwrap());
        fs::create_dir_all(place.dir()).unwrap();
        fs::write(place.record_file(), record).unwrap();
        place
    }

    #[test]
    fn a_record_is_read_back_and_what_is_none_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("d.raw");
        let mut sector = [1; 512];
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        fs::write(&image, sector).unwrap();
        let record = Record {
            schema: SCHEMA,
            name: "web".parse().unwrap(),
            source: image.clone(),
            base: Base::of(&Source::find(&image, None).unwrap()).unwrap(),
            memory: ByteSize::gib(1),
            cpus: None,
            forwards: vec![Forward { host: 8080, guest: 80 }],
            isolated: true,
            hostname: Some("web.lab".parse().unwrap()),
            mac: Some(Mac([0x52, 0x54, 0, 0, 0xab, 1])),
            network: Some(Membership { name: "lab".parse().unwrap(), address: [10, 0, 0, 1].into(), prefix: 24 }),
            keys: Vec::new(),
            autologin: true,
            volumes: Vec::new(),
            warm: Some("/store/state".into()),
            created: "2026-11-29T00:00:00Z".to_owned(),
        };
        let text = serde_json::json!(record).to_string();
        assert_eq!(made(dir.path(), "web", &text).record().unwrap(), record);
        // One that was made before there were networks.
        let older = serde_json::json!(record)
            .as_object()
            .unwrap()
            .clone()
            .into_iter()
            .filter(|(key, _)| !["network", "hostname", "keys", "mac", "autologin", "warm"].contains(&key.as_str()));
        let older = serde_json::Value::Object(older.collect()).to_string();
        assert_eq!(
            made(dir.path(), "web", &older).record().unwrap(),
            Record { hostname: None, mac: None, network: None, autologin: false, warm: None, ..record }
        );
        for (text, why) in [
            (text.replace("\"schema\":1", "\"schema\":2"), "its schema is 2, and this goldsmith knows 1"),
            ("{}".to_owned(), "its schema is missing"),
            ("{".to_owned(), "EOF while parsing"),
            (text.replace("\"memory\":\"1G\"", "\"memory\":\"much\""), "`much` is not a size"),
            (text.replace("\"web\"", "\"../web\""), "a name has"),
            (text.replace("\"isolated\"", "\"insulated\""), "unknown field `insulated`"),
            (text.replace("web.lab", "web."), "not a host name"),
            (text.replace("52:54:00:00:ab:01", "52:54:0:0:ab:01"), "`52:54:0:0:ab:01` is no address of a network card"),
            (text.replace("52:54:00:00:ab:01", "52:54:00:00:ab"), "is no address of a network card"),
        ] {
            let error = made(dir.path(), "web", &text).record().unwrap_err();
            assert!(matches!(error, RunError::ForeignState { .. }) && error.to_string().contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn a_machine_fits_the_image_that_was_published_again() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let publish = |run: serde_json::Value, bytes: u8, second: u64| {
            let path = artifact(dir.path(), &run, &[bytes; 4096]);
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            fs::File::options().write(true).open(path.join("d.raw")).unwrap().set_modified(time).unwrap();
            path
        };
        let path = publish(serde_json::json!({}), 1, 1);
        let base = Base::of(&Source::find(&path, None).unwrap()).unwrap();
        let place = made(dir.path(), "web", "{}");
        let record = Record {
            schema: SCHEMA,
            name: "web".parse().unwrap(),
            source: path,
            base,
            memory: ByteSize::gib(1),
            cpus: None,
            forwards: Vec::new(),
            isolated: false,
            hostname: None,
            mac: None,
            network: None,
            keys: Vec::new(),
            autologin: false,
            volumes: Vec::new(),
            warm: None,
            created: "2026-11-29T00:00:00Z".to_owned(),
        };
        place.write_record(&record).unwrap();
        assert_eq!(runtime.block_on(place.fitting_record(None)).unwrap().0, record);
        publish(serde_json::json!({"cpus": 4}), 1, 2);
        let renewed = runtime.block_on(place.fitting_record(None)).unwrap().0;
        assert_ne!(renewed.base, record.base);
        // The image need not be read again.
        assert_eq!(place.record().unwrap(), renewed);
        assert_eq!(Record { base: record.base.clone(), ..renewed }, record);
        publish(serde_json::json!({}), 2, 3);
        let refused = runtime.block_on(place.fitting_record(None)).unwrap_err();
        assert!(matches!(&refused, RunError::Changed { .. }) && refused.to_string().ends_with("that it was made from"), "{refused}");
        place.write_record(&Record { source: dir.path().join("gone"), ..record }).unwrap();
        let refused = runtime.block_on(place.fitting_record(None)).unwrap_err();
        assert!(matches!(&refused, RunError::Changed { .. }) && refused.to_string().ends_with("is not there any more"), "{refused}");
    }

    #[test]
    fn the_lock_alone_tells_whether_a_machine_runs() {
        let dir = tempfile::tempdir().unwrap();
        let machines = Machines::below(dir.path());
        assert_eq!(machines.all().unwrap(), []);
        let (web, db) = (made(dir.path(), "web", "{}"), made(dir.path(), "db", "{}"));
        fs::write(dir.path().join("machines/.new"), "a draft of another process").unwrap();
        assert_eq!(machines.all().unwrap(), [db.clone(), web.clone()]);
        web.write_ended("powered off".to_owned(), None).unwrap();
        let lock = web.take().unwrap();
        assert!(lock.is_some() && web.runs().unwrap() && !db.runs().unwrap());
        assert!(matches!(web.remove(), Err(RunError::Runs { .. })));
        drop(lock);
        assert_eq!(web.ended().unwrap().how, "powered off");
        web.remove().unwrap();
        let missed = machines.find(&"dbb".parse().unwrap()).unwrap_err();
        assert!(matches!(&missed, RunError::NoMachine { like: Some(like), .. } if like == "db"), "{missed:?}");
        assert_eq!(machines.all().unwrap(), [db]);
    }
}
