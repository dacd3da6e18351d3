//! Whether yum 3.4.3, the one of EL 7, can use the metadata that a bundle brings.
//!
//! yum reads gzip, bzip2 and xz, and decides by the file's name (yum/misc.py, `decompress`). A database that repomd.xml names is preferred
//! to the XML file of the same content, and yum stops when the database is missing or not the listed one (yumRepo.py,
//! `YumPackageSack.populate`). A package with an address of its own (`xml:base`) is fetched from there (`getPackage`). Files that yum reads
//! only for reports, or does not know, do no harm.

use super::compare;
use super::listing::{Listing, REPODATA, REPOMD};
use super::problem::{Problem, Problems};
use crate::packages::rpm::{Data, Repomd, add_primary, local_path};
use crate::packages::{Checksum, IndexError, Input, Listed, Scheme, Universe};

/// The version of databases that yum reads (sqlitecachec.py, `DBVERSION`); it ignores others.
pub(in crate::sources) const DATABASE_VERSION: &str = "10";
/// Bytes that a metadata file may have when it is expanded.
const EXPANDED_BYTES: u64 = 512 << 20;
/// The types that yum 3.4.3 looks up, and knows by no other name.
pub(in crate::sources) const GROUPS: [&str; 2] = ["group_gz", "group"];

/// The result.
#[derive(Debug, Default)]
pub(super) struct Judgement {
    /// Problems at which yum stops, or by which it loses something.
    pub unusable: Problems,
    /// XML files that yum reads and that are damaged or not the ones that repomd.xml lists. New metadata must not hide that.
    pub damaged: Problems,
    /// Packages that are not those that primary.xml names: new metadata would hide what happened to them.
    pub misfits: Problems,
    /// Mismatches that yum tolerates.
    pub idle: Vec<String>,
}

/// Judge the metadata of a listing. A repomd.xml that cannot be read is an error where it is read.
pub(super) fn judge(listing: &Listing) -> Judgement {
    let mut judgement = Judgement::default();
    let path = format!("{REPODATA}/{REPOMD}");
    let Some(bytes) = listing.repodata.get(&path) else { return judgement };
    let Ok(repomd) = Repomd::read_as_written(&path, &bytes[..]) else { return judgement };
    let problems = &mut judgement.unusable;
    // Metadata with checksums that yum knows and goldsmith does not can be made anew, too.
    if let Err(error) = Repomd::read(&path, &bytes[..]) {
        problems.add(Problem::with(&path, format!("cannot be used: {}", error.problem)));
    }
    if repomd.data("primary").is_none() {
        problems.add(Problem::whole("repomd.xml names no primary.xml, which has the packages"));
    }
    for name in ["primary", "filelists"] {
        if let Some(data) = repomd.data(name) {
            xml(listing, data).into_iter().for_each(|problem| problems.add(problem));
            damage(listing, data).into_iter().for_each(|problem| judgement.damaged.add(problem));
        }
        if let Some(data) = repomd.data(&format!("{name}_db")).filter(|data| data.database_version == DATABASE_VERSION) {
            database(listing, data, name).into_iter().for_each(|problem| problems.add(problem));
        }
    }
    groups(listing, &repomd).into_iter().for_each(|problem| problems.add(problem));
    groups_of(&repomd).and_then(|data| damage(listing, data)).into_iter().for_each(|problem| judgement.damaged.add(problem));
    for name in ["primary", "filelists", "primary_db", "filelists_db", "group", "group_gz"] {
        if repomd.data.iter().filter(|data| data.name == name).count() > 1 {
            problems.add(Problem::whole(format!("repomd.xml names {name} more than once, and yum takes whichever is smaller")));
        }
    }
    let places = places(listing, &repomd);
    places.elsewhere.into_iter().for_each(|problem| problems.add(problem));
    // A file that is not the one repomd.xml lists was already reported.
    if judgement.damaged.is_empty() {
        places.unreadable.into_iter().for_each(|problem| judgement.damaged.add(problem));
    }
    judgement.misfits = places.misfits;
    judgement.idle = idle(listing, &repomd);
    judgement
}

/// An XML file that yum reads.
fn xml(listing: &Listing, data: &Data) -> Option<Problem> {
    let path = local_path(&data.href).ok()?;
    let Some(content) = listing.repodata.get(&path) else {
        return Some(Problem::with(path, format!("is named by repomd.xml ({}) and is not in the bundle", data.name)));
    };
    misread(&path, content).map(|why| Problem::with(path, why))
}

/// The mismatch of an XML file that is there with its `<data>`. yum stops at such a file when it needs it (yumRepo.py, `_checkMD`); it
/// compares the file as it is, and never the expanded XML.
fn damage(listing: &Listing, data: &Data) -> Option<Problem> {
    let path = local_path(&data.href).ok()?;
    let content = listing.repodata.get(&path)?;
    match verified(&path, content, &as_it_is(data)) {
        Err(Mismatch::Differs(what)) => Some(Problem::with(path, format!("is not what repomd.xml says ({}): {what}", data.name))),
        Ok(()) | Err(Mismatch::Unknown(_)) => None,
    }
}

/// The same `<data>`, without size and checksum of the expanded file.
fn as_it_is(data: &Data) -> Data {
    Data { open_checksum: Default::default(), ..data.clone() }
}

/// Why yum cannot expand a file of that name. The first bytes of its content are enough.
pub(in crate::sources) fn misread(path: &str, content: &[u8]) -> Option<String> {
    let named = named(path);
    let is = written(content);
    (named != is).then(|| match is {
        "plain" | "gzip" | "bzip2" | "xz" => format!("is {is}, and yum goes by its name"),
        _ => format!("is compressed with {is}, which yum 3.4.3 of EL 7 cannot read"),
    })
}

/// The compression that yum expects by the file's name.
fn named(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("gz") => "gzip",
        Some("bz2" | "bz") => "bzip2",
        Some("xz") => "xz",
        _ => "plain",
    }
}

/// The compression of a file by its first bytes: those that [`Input`] detects, and zchunk (zchunk_format.txt, "Zchunk lead").
fn written(content: &[u8]) -> &'static str {
    let magic: [(&[u8], &str); 5] =
        [(b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ\0", "xz"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"\0ZCK1", "zchunk")];
    magic.iter().find(|(magic, _)| content.starts_with(magic)).map_or("plain", |(_, name)| name)
}

/// A database that yum prefers to the XML file of the same content.
fn database(listing: &Listing, data: &Data, xml: &str) -> Option<Problem> {
    let why = format!("yum prefers it to {xml}.xml, and stops");
    let path = match local_path(&data.href) {
        Ok(path) => path,
        Err(what) => return Some(Problem::with(&data.href, format!("{what}; {why}"))),
    };
    let Some(file) = listing.files.iter().find(|file| file.path == path) else {
        return Some(Problem::with(path, format!("is named by repomd.xml ({}) and is not in the bundle; {why}", data.name)));
    };
    let content = listing.databases.get(&path).map(Vec::as_slice);
    let misread = match content {
        Some(content) => misread(&path, content),
        None => (!matches!(path.rsplit('.').next(), Some("sqlite" | "gz" | "bz2" | "bz" | "xz")))
            .then(|| "is compressed in a way that yum 3.4.3 of EL 7 cannot read".to_owned()),
    };
    if let Some(misread) = misread {
        return Some(Problem::with(path, misread));
    }
    let compared = match content {
        Some(content) => verified(&path, content, data),
        // The file was too large to be kept. Its checksum can only be compared if it is a SHA-256.
        None => {
            let listed = Checksum::parse(&data.checksum.0, &data.checksum.1).ok().and_then(|checksum| checksum.sha256());
            let differs =
                listed.is_some_and(|sha256| sha256 != file.sha256) || !data.size.is_empty() && data.size != file.bytes.to_string();
            if differs { Err(Mismatch::Differs("it is another file".to_owned())) } else { Ok(()) }
        }
    };
    let what = match compared.err()? {
        Mismatch::Differs(what) => format!("is not what repomd.xml says ({}): {what}; {why}", data.name),
        Mismatch::Unknown(what) => format!("cannot be compared with repomd.xml ({}): {what}; {why} if it is another one", data.name),
    };
    Some(Problem::with(path, what))
}

/// Why a file is not accepted as the one that its `<data>` lists.
enum Mismatch {
    /// It is damaged or another file.
    Differs(String),
    /// The `<data>` has a checksum that is not computed here, or is not well-formed: the file cannot be checked.
    Unknown(String),
}

/// Compare a file with its `<data>`: size and checksum, and those of the expanded file.
fn verified(path: &str, content: &[u8], data: &Data) -> Result<(), Mismatch> {
    let listed = |(kind, digits): &(String, String), size: &str| -> Result<Listed, Mismatch> {
        let checksum = Checksum::parse(kind, digits).map_err(|error| Mismatch::Unknown(error.to_string()))?;
        let no_size = |_| Mismatch::Unknown(format!("`{size}` is not a size in bytes"));
        let size = if size.is_empty() { None } else { Some(size.parse().map_err(no_size)?) };
        Ok(Listed { checksum, size })
    };
    let said = |error: IndexError| Mismatch::Differs(error.problem.to_string());
    let file = listed(&data.checksum, &data.size)?;
    Input::new(path, content, Some(file), EXPANDED_BYTES).and_then(|input| input.pieces(&mut |_| ())).map_err(said)?;
    if data.open_checksum.1.is_empty() {
        return Ok(());
    }
    let open = listed(&data.open_checksum, &data.open_size)?;
    let expanded = Input::new(path, content, None, EXPANDED_BYTES).map_err(said)?;
    let expanded = Input::new(path, expanded, Some(open), EXPANDED_BYTES).and_then(|input| input.pieces(&mut |_| ()));
    expanded.map_err(|error| Mismatch::Differs(format!("expanded, {}", error.problem)))
}

/// The `<data>` of groups that is used: one that yum knows, else any.
pub(in crate::sources) fn groups_of(repomd: &Repomd) -> Option<&Data> {
    let of_any_type = |data: &&Data| data.name.starts_with("group_") && !data.name.ends_with("_zck");
    GROUPS.iter().find_map(|name| repomd.data(name)).or_else(|| repomd.data.iter().find(of_any_type))
}

/// The problem of groups that yum would drop without a message.
fn groups(listing: &Listing, repomd: &Repomd) -> Option<Problem> {
    let data = groups_of(repomd)?;
    if !GROUPS.contains(&data.name.as_str()) {
        return Some(Problem::with(&data.href, format!("has groups as {}, a type that yum 3.4.3 of EL 7 does not know", data.name)));
    }
    xml(listing, data)
}

/// The file of a `<data>`, when it is there. It must be what repomd.xml says, as far as that can be computed here.
fn content<'a>(listing: &'a Listing, data: &Data) -> Option<Result<Input<'a>, IndexError>> {
    let path = local_path(&data.href).ok()?;
    let content = listing.repodata.get(&path)?;
    let listed = Checksum::parse(&data.checksum.0, &data.checksum.1).map(|checksum| Listed { checksum, size: data.size.parse().ok() });
    Some(Input::new(&path, &content[..], listed.ok(), EXPANDED_BYTES))
}

/// The result for the packages that primary.xml names.
#[derive(Default)]
struct Places {
    /// Packages that yum would look for elsewhere.
    elsewhere: Vec<Problem>,
    /// primary.xml cannot be read, though yum could expand it.
    unreadable: Option<Problem>,
    /// Packages that are missing or differ.
    misfits: Problems,
}

/// Check the packages that primary.xml names.
fn places(listing: &Listing, repomd: &Repomd) -> Places {
    let mut elsewhere = Vec::new();
    let Some(data) = repomd.data("primary") else { return Places::default() };
    let Some(input) = content(listing, data) else { return Places::default() };
    let mut universe = Universe::new(Scheme::Rpm);
    let repository = universe.repository("bundle", 0);
    let mut files: Vec<(Option<String>, Option<Checksum>)> = Vec::new();
    let read = input.and_then(|input| {
        add_primary(&mut universe, repository, input, &mut |_, file| {
            if let Some(base) = file.base() {
                elsewhere.push(Problem::with(file.href(), format!("is at another place for yum: {base}")));
            } else if let Err(why) = local_path(file.href()) {
                elsewhere.push(Problem::with(file.href(), format!("is named by primary.xml, and {why}")));
            }
            files.push((local_path(file.href()).ok(), file.checksum().ok()));
        })
    });
    if let Err(error) = read {
        // If yum does not know the compression, this module may not know it either.
        let path = local_path(&data.href).unwrap_or_default();
        let is_expanded = listing.repodata.get(&path).is_some_and(|content| misread(&path, content).is_none());
        let unreadable = is_expanded.then(|| Problem::with(path, format!("cannot be read: {}", error.problem)));
        return Places { elsewhere, unreadable, misfits: Problems::default() };
    }
    let digits: Vec<String> = files.iter().map(|(_, checksum)| checksum.map(|checksum| checksum.to_string()).unwrap_or_default()).collect();
    let listed = files.iter().zip(&digits).zip(&universe.packages).filter_map(|(((path, checksum), digits), package)| {
        let (bytes, checksum_kind) = (Some(package.download), checksum.map_or("", |checksum| checksum.kind()));
        Some(compare::Listed { location: path.as_deref()?, bytes, checksum_kind, checksum: digits })
    });
    let misfits = compare::compare(&listing.files, "primary.xml", listed).err().unwrap_or_default();
    Places { elsewhere, unreadable: None, misfits }
}

/// Files that repomd.xml names, that are missing or differ, and that yum does not need.
fn idle(listing: &Listing, repomd: &Repomd) -> Vec<String> {
    let needed = ["primary", "filelists", "primary_db", "filelists_db"];
    let groups = groups_of(repomd).map(|data| data.name.as_str());
    let is_idle = |data: &&Data| !needed.contains(&data.name.as_str()) && Some(data.name.as_str()) != groups;
    let others = repomd.data.iter().filter(is_idle);
    let tell = |data: &Data| {
        let path = local_path(&data.href).unwrap_or_else(|_| data.href.clone());
        let what = match (
            listing.files.iter().find(|file| file.path == path),
            listing.repodata.get(&path).or_else(|| listing.databases.get(&path)),
        ) {
            (None, _) => "is not in the bundle".to_owned(),
            (Some(_), Some(content)) if named(&path) == written(content) => match verified(&path, content, &as_it_is(data)) {
                Err(Mismatch::Differs(what)) => format!("is not what repomd.xml says: {what}"),
                // yum does not need the file, and may know a checksum that goldsmith does not compute.
                Ok(()) | Err(Mismatch::Unknown(_)) => return None,
            },
            (Some(_), _) => return None,
        };
        Some(Problem::with(path, format!("({}) {what}", data.name)).to_string())
    };
    others.filter_map(tell).collect()
}

/// The groups of a listing's metadata, as XML.
///
/// # Errors
/// There are some, and they cannot be read.
pub(super) fn comps(listing: &Listing) -> Result<Option<Vec<u8>>, IndexError> {
    let path = format!("{REPODATA}/{REPOMD}");
    let Some(repomd) = listing.repodata.get(&path).and_then(|bytes| Repomd::read_as_written(&path, &bytes[..]).ok()) else {
        return Ok(None);
    };
    // Several files may hold the same groups, and one of them may be missing.
    let all =
        groups_of(&repomd).into_iter().chain(repomd.data.iter().filter(|data| data.name == "group" || data.name.starts_with("group_")));
    let Some(input) = all.filter(|data| !data.name.ends_with("_zck")).find_map(|data| content(listing, data)) else { return Ok(None) };
    let mut text = Vec::new();
    input?.pieces(&mut |piece| text.extend_from_slice(piece))?;
    Ok(Some(text))
}
