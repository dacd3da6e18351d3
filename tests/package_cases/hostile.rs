//! Indexes made to break a reader: they get an error, after a bounded part of them was read.

use std::cell::Cell;
use std::io::{self, Read, Write};

use goldsmith::packages::rpm::{self, Repomd};
use goldsmith::packages::{IndexError, Input, Scheme, Universe, debian};

const PRIMARY: &str = include_str!("../fuzz/corpus/primary.xml");
const FILELISTS: &str = include_str!("../fuzz/corpus/filelists.xml");
const COMPS: &str = include_str!("../fuzz/corpus/comps.xml");
const REPOMD: &str = include_str!("../fuzz/corpus/repomd.xml");
const PACKAGES: &str = include_str!("../fuzz/corpus/Packages");
const RELEASE: &str = include_str!("../fuzz/corpus/Release");

/// The most bytes that a reader may expand to in these tests.
const LIMIT: u64 = 4 << 20;

/// A format: its name, a good file of it, and its reader, which returns the number of things found.
type Format = (&'static str, &'static str, fn(&mut dyn Read) -> Result<usize, IndexError>);

const FORMATS: &[Format] = &[
    ("primary", PRIMARY, |bytes| {
        let mut universe = Universe::new(Scheme::Rpm);
        let repository = universe.repository("x", 1000);
        rpm::add_primary(&mut universe, repository, Input::new("index", bytes, None, LIMIT)?, &mut |_, file| {
            let _ = (file.location(), file.checksum());
        })?;
        Ok(universe.packages.len())
    }),
    ("filelists", FILELISTS, |bytes| {
        let mut universe = Universe::new(Scheme::Rpm);
        let repository = universe.repository("x", 1000);
        rpm::add_primary(&mut universe, repository, Input::new("primary", PRIMARY.as_bytes(), None, LIMIT)?, &mut |_, _| {})?;
        rpm::add_filelists(&mut universe, repository, Input::new("index", bytes, None, LIMIT)?, &|_| true)?;
        Ok(universe.packages[0].provides.len())
    }),
    ("comps", COMPS, |bytes| {
        let mut universe = Universe::new(Scheme::Rpm);
        rpm::add_comps(&mut universe, Input::new("index", bytes, None, LIMIT)?)?;
        Ok(universe.groups.len() + universe.environments.len())
    }),
    ("repomd", REPOMD, |bytes| Ok(Repomd::read("index", bytes)?.entries.len())),
    ("Packages", PACKAGES, |bytes| {
        let mut universe = Universe::new(Scheme::Debian);
        let repository = universe.repository("x", 500);
        debian::add_packages(&mut universe, repository, "amd64", Input::new("index", bytes, None, LIMIT)?, &mut |_, _| {})?;
        Ok(universe.packages.len())
    }),
    ("Release", RELEASE, |bytes| Ok(debian::Release::read("index", bytes)?.files.len())),
];

fn format(name: &str) -> Format {
    *FORMATS.iter().find(|(one, ..)| *one == name).unwrap()
}

/// An error is one line that names the index, for any file.
fn is_fit_to_print(error: &IndexError) {
    let text = error.to_string();
    assert!(text.starts_with("index cannot be used") && text.len() < 2_000 && !text.contains(['\n', '\u{1b}']), "{text:?}");
}

#[test]
fn the_good_files_are_good() {
    let found: Vec<_> = FORMATS.iter().map(|(_, good, read)| read(&mut good.as_bytes()).unwrap()).collect();
    assert_eq!(found, [2, 4, 2, 1, 2, 1]);
}

#[test]
fn a_file_that_is_cut_short_has_no_more_than_the_whole() {
    for (name, good, read) in FORMATS {
        let whole = read(&mut good.as_bytes()).unwrap();
        for part in 0..97 {
            let mut cut = &good.as_bytes()[..good.len() * part / 97];
            match read(&mut cut) {
                // Only Debian's files have no mark at their end.
                Ok(found) => assert!(found <= whole && ["Packages", "Release"].contains(name), "{name}, {part}/97"),
                Err(error) => is_fit_to_print(&error),
            }
        }
    }
}

#[test]
fn packed_files_that_are_cut_short_are_refused() {
    for (name, bytes) in packed(&[PACKAGES; 50].join("\n")) {
        let (_, _, read) = format("Packages");
        assert_eq!(read(&mut &bytes[..]).unwrap(), 100, "{name}");
        for part in 0..97 {
            let cut = bytes.len() * part / 97;
            // A file shorter than the magic of its format is text, and an empty file is an index without packages.
            match read(&mut &bytes[..cut]) {
                Ok(found) => assert_eq!((cut, found), (0, 0), "{name}, {part}/97"),
                Err(error) => is_fit_to_print(&error),
            }
        }
    }
}

fn packed(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 0);
    xz.write_all(text.as_bytes()).unwrap();
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip2.write_all(text.as_bytes()).unwrap();
    vec![
        ("gzip", gzip.finish().unwrap()),
        ("xz", xz.finish().unwrap()),
        ("bzip2", bzip2.finish().unwrap()),
        ("zstd", zstd::stream::encode_all(text.as_bytes(), 1).unwrap()),
    ]
}

#[test]
fn every_flipped_bit_is_survived() {
    let mut refused = 0;
    for (_, good, read) in FORMATS {
        for bit in 0..good.len() * 8 {
            let mut spoilt = good.as_bytes().to_vec();
            spoilt[bit / 8] ^= 1 << (bit % 8);
            if let Err(error) = read(&mut &spoilt[..]) {
                is_fit_to_print(&error);
                refused += 1;
            }
        }
    }
    assert!(refused > 1_000, "{refused}");
    for (_, bytes) in packed(PACKAGES) {
        for bit in 0..bytes.len() * 8 {
            let mut spoilt = bytes.clone();
            spoilt[bit / 8] ^= 1 << (bit % 8);
            if let Err(error) = (format("Packages").2)(&mut &spoilt[..]) {
                is_fit_to_print(&error);
            }
        }
    }
}

/// A file that never ends. It counts the bytes that were read.
struct Endless<'a> {
    head: &'a [u8],
    again: &'a [u8],
    at: usize,
    taken: &'a Cell<u64>,
}

impl Read for Endless<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let from = if self.head.is_empty() { &self.again[self.at..] } else { self.head };
        let length = from.len().min(buf.len());
        buf[..length].copy_from_slice(&from[..length]);
        match self.head.is_empty() {
            true => self.at = (self.at + length) % self.again.len(),
            false => self.head = &self.head[length..],
        }
        self.taken.set(self.taken.get() + length as u64);
        Ok(length)
    }
}

#[test]
fn a_file_without_an_end_is_left_soon() {
    let long = "an entry of it is longer than 1.00 MiB";
    let large = "it expands to more than 4.00 MiB";
    let package = "<metadata><package type='rpm'><name>a</name><arch>x</arch><version ver='1'/><format>";
    let requires = format!("{package}<requires>");
    let control = "Package: a\nVersion: 1\nArchitecture: all\n";
    for (name, head, again, words) in [
        ("primary", "", "<", "index cannot be used"),
        ("primary", "", " ", long),
        ("primary", "<metadata>", " ", long),
        ("primary", "<metadata ", "a='b' ", long),
        ("primary", "<metadata a='", "x", long),
        ("primary", "<metadata><!--", "- ", long),
        ("primary", "<metadata><![CDATA[", "]", long),
        ("primary", "<metadata><?", "x", long),
        ("primary", "<!DOCTYPE ", "[", long),
        ("primary", "<metadata>&", "a", long),
        ("primary", "<metadata>", "&amp;", large),
        ("primary", "<metadata>", "<a/>", large),
        ("primary", "<metadata>", "<!---->", large),
        ("primary", "<metadata>", "<a>", "it has more than 32 elements within each other"),
        ("primary", "<metadata>", "<package/>", "a package has no name"),
        ("primary", "<metadata><package><name>", "&#65;", large),
        ("primary", "<metadata><package><name>", "a", long),
        ("primary", package, "<file>/a</file>", "package a: the package has more than 100000 relations of a kind"),
        ("primary", &requires, "<entry name='a'/>", "package a: the package has more than 100000 relations of a kind"),
        ("filelists", "<filelists>", "<package name='a' arch='b'/>", large),
        ("filelists", "<filelists><package name='forge' arch='x86_64'>", "<file>/a</file>", large),
        ("comps", "<comps>", "<group><id>a</id></group>", large),
        (
            "comps",
            "<comps><environment><id>a</id><grouplist>",
            "<groupid>a</groupid>",
            "it has more than 200000 groups and packages in them",
        ),
        ("comps", "<comps><group><id>a</id><packagelist>", "<packagereq>a</packagereq>", large),
        (
            "repomd",
            "<repomd>",
            "<data type='group'><location href='a'/><checksum type='md5'>",
            "it has more than 32 elements within each other",
        ),
        ("repomd", "<repomd>", "<data type='a'/>", "it lists more than 256 files"),
        ("repomd", "<repomd>", "<tags/>", large),
        ("Packages", "", "\n", long),
        ("Packages", "", "a", long),
        ("Packages", control, "x: y\n", long),
        ("Packages", control, " ", long),
        ("Packages", "", "Package: a\nVersion: 1\nArchitecture: all\n\n", large),
        ("Packages", "Depends: ", "a | ", long),
        ("Packages", "Depends: ", "(", long),
        ("Release", "", "A:\n", "it expands to more than 8.00 MiB"),
    ] {
        let taken = Cell::new(0);
        let mut endless = Endless { head: head.as_bytes(), again: again.as_bytes(), at: 0, taken: &taken };
        let error = (format(name).2)(&mut endless).unwrap_err();
        is_fit_to_print(&error);
        assert!(error.to_string().contains(words), "{name}: {head}{again}…: {error}");
        assert!(taken.get() <= (8 << 20) + (1 << 18), "{name}: {head}{again}…: {} bytes were read", taken.get());
    }
}

#[test]
fn huge_relations_are_refused_or_taken_without_effort() {
    let read = |text: String| (format("Packages").2)(&mut text.as_bytes());
    let control = "Package: a\nVersion: 1\nArchitecture: all\n";
    let many = |one: &str| format!("{control}Depends: {}x\n", one.repeat(900_000 / one.len()));
    for text in [many("a, "), many("a | "), many("a:i386 | "), many("a:i386, "), many(","), many("a (>= 1), ")] {
        assert_eq!(read(text).unwrap(), 1);
    }
    for text in [many("a ( "), many("| "), many(":"), many("("), format!("Package: {}\n", "a".repeat(900_000)), "a".repeat(900_000)] {
        is_fit_to_print(&read(text).unwrap_err());
    }
    let version = "9".repeat(900_000);
    assert_eq!(read(format!("Package: a\nVersion: {version}\nArchitecture: all\n")).unwrap(), 1);
    assert_eq!(Scheme::Debian.compare(&version, &format!("{version}0")), std::cmp::Ordering::Less);
    assert_eq!(Scheme::Rpm.compare(&version, &format!("0{version}")), std::cmp::Ordering::Equal);
}

/// Three words that would become a thousand million if they were expanded.
#[test]
fn entities_are_not_expanded() {
    let lol = "<!DOCTYPE metadata [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'>]>";
    for (text, words) in [
        (PRIMARY.replace("<metadata", &format!("{lol}<metadata")), "it declares entities of its own"),
        (PRIMARY.replace(">forge<", ">&b;<"), "unknown entity `&b;`"),
        (PRIMARY.replace("\"anvil\"", "\"&b;\""), "package forge: in <entry>: "),
        (PRIMARY.replace(">forge<", ">&#0;<"), "index cannot be used"),
        (PRIMARY.replace(">forge<", ">&#x110000;<"), "index cannot be used"),
        (PRIMARY.replace(">forge<", ">&#99999999999999999999;<"), "index cannot be used"),
    ] {
        let error = (format("primary").2)(&mut text.as_bytes()).unwrap_err();
        is_fit_to_print(&error);
        assert!(error.to_string().contains(words), "{error}");
    }
}
