//! Packages and their files, from the headers in an RPM database.
//!
//! Tags are those of include/rpm/rpmtag.h of rpm 4.18. rpm itself leaves out a header that is damaged and goes on (lib/rpmdb.c, "damaged header #%u
//! retrieved -- skipping"); this module does the same, and reports them.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::error::Fault;
use super::{
    Budget, DATABASE_BYTES, DatabaseError, EachBlob, EachFile, FileDigest, FileFlags, FileState, Format, Installation, Installed,
    InstalledFile, PATH_BYTES, State, bdb, ndb, sqlite,
};
use crate::packages::openpgp::Signature;
use crate::packages::rpm::header::{CHAR, Header, INT16, INT32, INT64, Numbers, Texts};

/// Damaged packages that are listed one by one, at most.
const DAMAGED: usize = 100;
/// Files of one package, at most. The largest of EL7 and Fedora have 60,000.
const FILES_OF_ONE: usize = 1_000_000;

const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const SUMMARY: u32 = 1004;
const INSTALL_TIME: u32 = 1008;
const SIZE: u32 = 1009;
const VENDOR: u32 = 1011;
const LICENSE: u32 = 1014;
const PACKAGER: u32 = 1015;
const URL: u32 = 1020;
const ARCH: u32 = 1022;
const SOURCE_RPM: u32 = 1044;
const LONG_SIZE: u32 = 5009;
/// Signatures by DSA and RSA over the header, by DSA and RSA over header and payload: what `rpm -qi` looks for, in its order.
const SIGNATURES: [u32; 4] = [267, 268, 262, 259];
/// Signatures of any kind in base 64, since rpm 4.20.
const OPENPGP: u32 = 278;

const OLD_FILE_NAMES: u32 = 1027;
const FILE_SIZES: u32 = 1028;
const FILE_STATES: u32 = 1029;
const FILE_MODES: u32 = 1030;
const FILE_DIGESTS: u32 = 1035;
const FILE_TARGETS: u32 = 1036;
const FILE_FLAGS: u32 = 1037;
const FILE_OWNERS: u32 = 1039;
const FILE_GROUPS: u32 = 1040;
const DIRECTORY_INDEXES: u32 = 1116;
const BASE_NAMES: u32 = 1117;
const DIRECTORY_NAMES: u32 = 1118;
const LONG_FILE_SIZES: u32 = 5008;
const FILE_CAPABILITIES: u32 = 5010;
const FILE_DIGEST_ALGORITHM: u32 = 5011;

/// The files of an RPM database.
#[derive(Debug, Clone, Copy, Default)]
pub struct RpmDatabase<'a> {
    /// Its name in errors: `/var/lib/rpm/Packages`.
    pub name: &'a str,
    /// One of [`super::RPM_PLACES`].
    pub bytes: &'a [u8],
    /// The write-ahead log beside a database of SQLite ([`super::SQLITE_LOG`]), empty when there is none: rpm's last changes may only be
    /// there.
    pub log: &'a [u8],
    /// The rollback journal beside a database of SQLite ([`super::SQLITE_JOURNAL`]), empty when there is none: with one, rpm was interrupted.
    pub journal: &'a [u8],
}

/// Read an RPM database of any of the three formats. `files` is given each file of each package.
///
/// # Errors
/// It is larger than [`DATABASE_BYTES`], of a kind that is not read, or so damaged that its packages cannot be found. A package whose
/// header is damaged only becomes an entry of [`Installation::damaged`].
pub fn rpm(database: &RpmDatabase<'_>, mut files: Option<&mut EachFile<'_>>) -> Result<Installation, DatabaseError> {
    let named = |fault: Fault| fault.of(database.name);
    let (mut packages, mut damaged, mut budget) = (Vec::new(), Vec::new(), Budget::new());
    let mut each = |number: u32, at: u64, blob: Result<&[u8], String>| {
        budget.package()?;
        let read = match blob.and_then(Header::stored) {
            Ok(header) => package(header, &mut budget, files.as_deref_mut())?,
            Err(what) => Err(what),
        };
        match read {
            Ok(package) => packages.push(package),
            Err(_) if damaged.len() == DAMAGED => {
                return Err(Fault::corrupt(at, format!("the headers of more than {DAMAGED} packages are damaged")));
            }
            Err(what) => damaged.push(Fault::corrupt(at, format!("the header of package {number} {what}")).of(database.name)),
        }
        Ok(())
    };
    let format = blobs(database, &mut each).map_err(named)?;
    Ok(Installation::of(format, packages, damaged))
}

fn blobs(database: &RpmDatabase<'_>, each: &mut EachBlob<'_>) -> Result<Format, Fault> {
    let RpmDatabase { bytes, log, journal, .. } = *database;
    let whole = bytes.len() as u64 + log.len() as u64;
    if whole > DATABASE_BYTES {
        return Err(Fault::too_large(whole, DATABASE_BYTES));
    }
    if sqlite::is_one(bytes) {
        sqlite::each(bytes, log, journal, each)?;
        Ok(Format::Sqlite)
    } else if ndb::is_one(bytes) {
        ndb::each(bytes, each)?;
        Ok(Format::Ndb)
    } else if bdb::is_one(bytes) {
        bdb::each(bytes, each)?;
        Ok(Format::BerkeleyDb)
    } else {
        Err(Fault::incompatible("it is neither a Berkeley DB hash nor a database of SQLite or of rpm's own format"))
    }
}

/// The data of a header, or its fault, as a text that fits after "the header of package 7".
type Said<T> = Result<T, String>;

fn package(header: Header<'_>, budget: &mut Budget, files: Option<&mut EachFile<'_>>) -> Result<Said<Installed>, Fault> {
    let fields = match Fields::of(header) {
        Ok(fields) => fields,
        Err(what) => return Ok(Err(what)),
    };
    let package = fields.kept(budget)?;
    // Files are only handed out when all of them can be read.
    match files {
        None => Ok(Ok(package)),
        Some(each) => match Files::of(header) {
            Ok(None) => Ok(Ok(package)),
            Ok(Some(files)) => Ok(files.each(budget, &mut |file| each(&package, file))?.map(|()| package)),
            Err(what) => Ok(Err(what)),
        },
    }
}

/// The fields of a package where they are in its header.
struct Fields<'a> {
    name: &'a [u8],
    version: &'a [u8],
    release: &'a [u8],
    epoch: u64,
    /// Architecture, source package, licence, vendor, packager, home page, summary.
    texts: [Option<&'a [u8]>; 7],
    size: Option<u64>,
    installed_at: Option<u64>,
    signed_by: Option<String>,
}

impl<'a> Fields<'a> {
    fn of(header: Header<'a>) -> Said<Self> {
        let text = |tag| header.first_text(tag);
        let needed = |tag, what| match text(tag)? {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(format!("is damaged: it has no {what}")),
        };
        let number = |tag, kind| Ok::<_, String>(header.numbers(tag, kind)?.and_then(|numbers| numbers.get(0)));
        Ok(Self {
            name: needed(NAME, "name")?,
            version: needed(VERSION, "version")?,
            release: needed(RELEASE, "release")?,
            epoch: number(EPOCH, INT32)?.unwrap_or(0),
            texts: [text(ARCH)?, text(SOURCE_RPM)?, text(LICENSE)?, text(VENDOR)?, text(PACKAGER)?, text(URL)?, text(SUMMARY)?],
            size: number(LONG_SIZE, INT64)?.or(number(SIZE, INT32)?),
            installed_at: number(INSTALL_TIME, INT32)?,
            signed_by: signed_by(header),
        })
    }

    fn kept(self, budget: &mut Budget) -> Result<Installed, Fault> {
        let epoch = if self.epoch == 0 { String::new() } else { format!("{}:", self.epoch) };
        let version = [epoch.as_bytes(), self.version, b"-", self.release].concat();
        let mut texts = self.texts.into_iter();
        let mut next = |budget: &mut Budget| texts.next().flatten().map_or(Ok(None), |text| budget.text(text));
        let is_key = self.name == b"gpg-pubkey";
        Ok(Installed {
            // OK to default: they are not empty.
            name: budget.text(self.name)?.unwrap_or_default(),
            version: budget.text(&version)?.unwrap_or_default(),
            architecture: next(budget)?.filter(|_| !is_key),
            source: next(budget)?.filter(|_| !is_key),
            source_version: None,
            license: next(budget)?,
            vendor: next(budget)?,
            maintainer: next(budget)?,
            url: next(budget)?,
            summary: next(budget)?,
            installed_size: self.size,
            installed_at: self.installed_at,
            state: State::Installed,
            is_key,
            signed_by: self.signed_by,
        })
    }
}

/// The key that signed the package. A signature that cannot be read counts as none, since nothing is verified here.
fn signed_by(header: Header<'_>) -> Option<String> {
    let armored = header.texts(OPENPGP).ok().flatten().into_iter().flatten().filter_map(|text| BASE64_STANDARD.decode(text).ok());
    let blobs = SIGNATURES.into_iter().filter_map(|tag| header.blob(tag)).map(<[u8]>::to_vec);
    let issuer = blobs.chain(armored.take(4)).find_map(|bytes| Signature::read(&bytes).ok()?.issuer())?;
    Some(issuer.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The files of a package. Each tag that is there has as many values as there are names.
struct Files<'a> {
    names: Texts<'a>,
    /// The directories, and which of them each name is in. Without them, names are whole paths.
    directories: Option<(Vec<&'a [u8]>, Numbers<'a>)>,
    sizes: Option<Numbers<'a>>,
    states: Option<Numbers<'a>>,
    modes: Option<Numbers<'a>>,
    flags: Option<Numbers<'a>>,
    digests: Option<Texts<'a>>,
    targets: Option<Texts<'a>>,
    owners: Option<Texts<'a>>,
    groups: Option<Texts<'a>>,
    capabilities: Option<Texts<'a>>,
    /// Name and number of digits of the digests' algorithm; nothing when it is not known here.
    algorithm: Option<(&'static str, usize)>,
}

impl<'a> Files<'a> {
    fn of(header: Header<'a>) -> Said<Option<Self>> {
        let (names, directories) = match (header.texts(BASE_NAMES)?, header.texts(OLD_FILE_NAMES)?) {
            (Some(names), _) => {
                let directories = header.texts(DIRECTORY_NAMES)?.zip(header.numbers(DIRECTORY_INDEXES, INT32)?);
                let (directories, indexes) = directories.ok_or("is damaged: its files are in no directories")?;
                (names, Some((directories, indexes)))
            }
            // rpm before 4.0 wrote whole paths.
            (None, Some(names)) => (names, None),
            (None, None) => return Ok(None),
        };
        let count = names.count_left();
        if count > FILES_OF_ONE || directories.as_ref().is_some_and(|(directories, _)| directories.count_left() > count) {
            return Err(format!("is damaged: {count} files in more directories than that, or more than {FILES_OF_ONE} of them, cannot be"));
        }
        let numbers = |tag, kind| {
            let numbers = header.numbers(tag, kind)?;
            numbers.filter(|numbers| numbers.count() != count).map_or(Ok(numbers), |other| Err(miscounted(tag, other.count(), count)))
        };
        let texts = |tag| {
            let texts = header.texts(tag)?;
            let other = texts.as_ref().map(Texts::count_left).filter(|left| *left != count);
            other.map_or(Ok(texts), |other| Err(miscounted(tag, other, count)))
        };
        if let Some((_, indexes)) = &directories
            && indexes.count() != count
        {
            return Err(miscounted(DIRECTORY_INDEXES, indexes.count(), count));
        }
        let long = numbers(LONG_FILE_SIZES, INT64)?;
        Ok(Some(Self {
            names,
            directories: directories.map(|(directories, indexes)| (directories.collect(), indexes)),
            sizes: if long.is_some() { long } else { numbers(FILE_SIZES, INT32)? },
            states: numbers(FILE_STATES, CHAR)?,
            modes: numbers(FILE_MODES, INT16)?,
            flags: numbers(FILE_FLAGS, INT32)?,
            digests: texts(FILE_DIGESTS)?,
            targets: texts(FILE_TARGETS)?,
            owners: texts(FILE_OWNERS)?,
            groups: texts(FILE_GROUPS)?,
            capabilities: texts(FILE_CAPABILITIES)?,
            algorithm: algorithm(header.numbers(FILE_DIGEST_ALGORITHM, INT32)?.and_then(|numbers| numbers.get(0))),
        }))
    }

    fn each(mut self, budget: &mut Budget, each: &mut dyn FnMut(&InstalledFile<'_>)) -> Result<Said<()>, Fault> {
        let mut path = Vec::new();
        let at = |numbers: &Option<Numbers<'_>>, position| numbers.as_ref().and_then(|numbers| numbers.get(position));
        for (position, name) in self.names.enumerate() {
            budget.file()?;
            path.clear();
            if let Some((directories, indexes)) = &self.directories {
                let directory = indexes.get(position).and_then(|index| directories.get(usize::try_from(index).ok()?));
                let Some(directory) = directory else { return Ok(Err(format!("is damaged: file {position} is in no directory"))) };
                path.extend_from_slice(&directory[..directory.len().min(PATH_BYTES + 1)]);
            }
            path.extend_from_slice(&name[..name.len().min(PATH_BYTES + 1)]);
            if path.len() > PATH_BYTES {
                return Ok(Err(format!("is damaged: the path of file {position} is longer than {PATH_BYTES} bytes")));
            }
            let next = |texts: &mut Option<Texts<'a>>| texts.as_mut().and_then(Iterator::next).filter(|text| !text.is_empty());
            let digest = next(&mut self.digests);
            each(&InstalledFile {
                path: &path,
                // OK to cast: 16 bits.
                mode: at(&self.modes, position).map(|mode| mode as u32),
                size: at(&self.sizes, position),
                digest: digest.zip(self.algorithm).and_then(|(hex, (name, digits))| FileDigest::of(name, digits, hex)),
                target: next(&mut self.targets),
                owner: next(&mut self.owners).zip(next(&mut self.groups)),
                capabilities: next(&mut self.capabilities),
                // OK to cast: 32 bits.
                flags: FileFlags(at(&self.flags, position).unwrap_or(0) as u32),
                state: match at(&self.states, position) {
                    Some(1) => FileState::Replaced,
                    Some(2) => FileState::NotInstalled,
                    Some(3) => FileState::NetShared,
                    Some(4) => FileState::WrongColor,
                    _ => FileState::Normal,
                },
            });
        }
        Ok(Ok(()))
    }
}

fn miscounted(tag: u32, found: usize, names: usize) -> String {
    format!("is damaged: its tag {tag} has {found} values for {names} files")
}

/// The algorithm of file digests by its number, and how many digits it has (RFC 4880, section 9.4; RFC 9580, section 9.5). Without a number it is MD5.
fn algorithm(number: Option<u64>) -> Option<(&'static str, usize)> {
    Some(match number {
        None | Some(1) => ("md5", 32),
        Some(2) => ("sha1", 40),
        Some(3) => ("ripemd160", 40),
        Some(8) => ("sha256", 64),
        Some(9) => ("sha384", 96),
        Some(10) => ("sha512", 128),
        Some(11) => ("sha224", 56),
        Some(12) => ("sha3-256", 64),
        Some(14) => ("sha3-512", 128),
        Some(_) => return None,
    })
}
