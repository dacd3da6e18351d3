//! The fuzz targets, and the conditions that must hold for every input.

use std::cmp::Ordering;
use std::fmt::Debug;
use std::io::Write;

use super::boots;
use super::databases;
use super::disks;
use goldsmith::kickstart;
use goldsmith::packages::rpm::{self, Repomd};
use goldsmith::packages::{
    Asked, Group, IndexError, Input, Need, Op, Package, PackageId, Question, Relation, Scheme, Universe, What, debian, openpgp, resolve,
};

use crate::xfs;

/// A reader of text.
pub struct Target {
    pub name: &'static str,
    /// Files and directories below `tests/`.
    pub seeds: &'static [&'static str],
    /// Makes inputs from a seed.
    pub prepare: Option<fn(&[u8]) -> Vec<Vec<u8>>>,
    /// Words of the format.
    pub words: &'static [&'static str],
    /// Read it, check the conditions, and return the result as text.
    pub run: fn(&[u8]) -> String,
}

const XML: &[&str] = &[
    "<",
    ">",
    "/>",
    "</",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<?",
    "?>",
    "<!DOCTYPE x [",
    "&amp;",
    "&#65;",
    "&#x0;",
    "&x;",
    "=\"",
    "xmlns:a=\"b\"",
    "<package type=\"rpm\">",
    "</package>",
    "<format>",
    "</format>",
    "<name>",
    "</name>",
    "<version epoch=\"1\" ver=\"2\" rel=\"3\"/>",
    "<rpm:requires>",
    "</rpm:requires>",
    "<rpm:entry name=\"a\" flags=\"GE\" ver=\"1\"/>",
    "flags=\"LT\"",
    "epoch=\"",
    "<file>",
    "</file>",
    "<group>",
    "</group>",
    "<id>",
    "</id>",
    "<packagereq type=\"conditional\" requires=\"a\">",
    "<data type=\"primary\">",
    "</data>",
    "<location href=\"../x\"/>",
    "<checksum type=\"sha256\">",
    "<open-size>",
    "<arch>src</arch>",
];

const DEB822: &[&str] = &[
    "\n",
    "\n\n",
    "\n ",
    ": ",
    ", ",
    " | ",
    " (>= 1)",
    "(<< ",
    ")",
    ":any",
    ":i386",
    "Package: ",
    "Version: ",
    "Architecture: all\n",
    "Depends: ",
    "Pre-Depends: ",
    "Provides: ",
    "Conflicts: ",
    "Breaks: ",
    "Essential: yes\n",
    "Installed-Size: ",
    "Size: ",
    "Source: a (1)\n",
    "SHA256:\n ",
    "Suite: ",
    "-----BEGIN PGP SIGNED MESSAGE-----\n",
    "-----BEGIN PGP SIGNATURE-----\n",
    "- ",
];

const KICKSTART: &[&str] = &[
    "%include ",
    "%ksappend ",
    "%packages",
    "%pre",
    "%post --nochroot",
    "%end\n",
    "%addon a --b",
    "%anaconda",
    "%certificate",
    "--",
    "--name=",
    "=\"",
    "#",
    "\\\n",
    "part / --size=1 --grow\n",
    "raid ",
    "volgroup ",
    "logvol ",
    "autopart --type=lvm\n",
    "bootloader --append=\"",
    "network --device=",
    "user --name=a --password=b --iscrypted\n",
    "rootpw --plaintext ",
    "repo --name=a --baseurl=",
    "@^minimal\n",
    "@core --nodefaults\n",
    "-a*\n",
    "lang ",
    "clearpart --all\n",
    "firewall --port=1:tcp,",
    "services --enabled=",
    "timezone ",
    "url --url=",
    "reboot --eject\n",
];

const VERSION: &[&str] = &["\n", "~", "^", ".", "+", "-", ":", "0", "00", "1", "9", "10", "a", "Z", "rc", "el7", "_", "~~", "1:", "-1"];

const CLOSURE: &[&str] = &["a", "b", "c", "d", "\n", " ", "n", "p", "c", "o", "na", "nb2", "pc", "cd", "oa1", "pa3", "!", "?"];

/// Magics, small numbers, types and tags of RPM, as far as they are UTF-8.
const LVM: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    "=",
    "\"",
    "#",
    "\\",
    "\n",
    "0",
    "1",
    "4",
    "-1",
    "18446744073709551615",
    "extent_size",
    "pe_start",
    "stripe_count",
    "stripe_size",
    "segment_count",
    "segment1",
    "start_extent",
    "extent_count",
    "stripes",
    "type",
    "\"striped\"",
    "\"snapshot\"",
    "\"pv0\"",
    "\"pv1\"",
    "\"VISIBLE\"",
    "status",
];
const BINARY: &[&str] = &[
    "\0",
    "\0\0\0\0",
    "\0\0\0\u{1}",
    "\0\0\0\u{7}",
    "\0\0\0\u{8}",
    "\0\0\0\u{10}",
    "\0\0\u{1}\u{c}",
    "\0\0\u{1}\u{b}",
    "\u{7f}\u{7f}\u{7f}\u{7f}",
];

/// Words of a VMDK descriptor.
const VMDK: &[&str] = &[
    "\n",
    "\0",
    "=",
    "\"",
    "RW 1 SPARSE \"",
    "RDONLY 1 FLAT \"/x\" 0\n",
    "createType=\"custom\"\n",
    "streamOptimized",
    "parentCID=00000001\n",
    "parentFileNameHint=\"/x\"\n",
    "KDMV",
    "COWD",
    "conectix",
    "\u{1}",
    "\u{2}",
    "\u{4}",
];

const ARMOR: &[&str] = &[
    "-----BEGIN PGP PUBLIC KEY BLOCK-----\n",
    "-----BEGIN PGP SIGNATURE-----\n",
    "-----BEGIN PGP PRIVATE KEY BLOCK-----\n",
    "-----END PGP PUBLIC KEY BLOCK-----\n",
    "-----END PGP SIGNATURE-----\n",
    "Version: 1\n",
    "\n",
    "\r\n",
    "=",
    "==",
    "=AAAA\n",
    "AAAA",
    "\0",
    "\u{4}",
];

/// Sectors with an offset in them, and difficult values for a structure.
const XFS: &[&str] =
    &[" 0:", "0:", "00", "ff", "ffff", "ffffffff", "7fffffff", "80000000", "00000001", "01", "\n8 ", "\n0 ", ":494e", "3:0", "feedbabe"];

pub const TARGETS: &[Target] = &[
    Target {
        name: "kickstart",
        seeds: &["kickstart_files/valid", "kickstart_files/invalid", "golden/kickstart"],
        prepare: None,
        words: KICKSTART,
        run: read_kickstart,
    },
    Target { name: "primary", seeds: &["fuzz/corpus/primary.xml"], prepare: None, words: XML, run: |bytes| answer(add_primary(bytes)) },
    Target {
        name: "filelists",
        seeds: &["fuzz/corpus/filelists.xml"],
        prepare: None,
        words: XML,
        run: |bytes| answer(add_filelists(bytes)),
    },
    Target { name: "comps", seeds: &["fuzz/corpus/comps.xml"], prepare: None, words: XML, run: |bytes| answer(add_comps(bytes)) },
    Target {
        name: "repomd",
        seeds: &["fuzz/corpus/repomd.xml"],
        prepare: None,
        words: XML,
        run: |bytes| {
            // Paths that are read as they are written do not lead out of the repository either.
            for data in Repomd::read_as_written("index", bytes).map(|repomd| repomd.data).unwrap_or_default() {
                let within = |path: &String| !path.starts_with('/') && !path.split('/').any(|part| part == "..");
                assert!(rpm::local_path(&data.href).as_ref().ok().is_none_or(within));
            }
            answer(Repomd::read("index", bytes).map(|repomd| repomd.entries.iter().take(4).map(|entry| entry.kind).collect::<Vec<_>>()))
        },
    },
    Target { name: "packages", seeds: &["fuzz/corpus/Packages"], prepare: None, words: DEB822, run: |bytes| answer(add_packages(bytes)) },
    Target {
        name: "packed",
        seeds: &["fuzz/corpus/Packages"],
        prepare: Some(packed),
        words: DEB822,
        run: |bytes| answer(add_packages(bytes)),
    },
    Target {
        name: "release",
        seeds: &["fuzz/corpus/Release"],
        prepare: None,
        words: DEB822,
        run: |bytes| answer(debian::Release::read("index", bytes).map(|release| (about(release.files.len()), release.by_hash))),
    },
    Target {
        name: "signed",
        seeds: &["fuzz/corpus/key.asc"],
        prepare: Some(signed_packages),
        words: BINARY,
        run: |bytes| match rpm::signed::read(&mut &*bytes).unwrap() {
            Ok(signed) => {
                assert!(signed.header_at < signed.payload_at && signed.payload_at <= bytes.len() as u64);
                assert!(bytes[signed.header_at as usize..signed.payload_at as usize] == signed.header);
                format!("{:?}", (about(signed.header.len()), signed.signatures.len(), signed.payload_digest.is_some()))
            }
            Err(what) => own_words(&what),
        },
    },
    Target {
        name: "openpgp",
        seeds: &["fuzz/corpus/key.asc"],
        prepare: Some(|text| vec![text.to_vec(), unarmored(text)]),
        words: ARMOR,
        run: read_openpgp,
    },
    Target { name: "xfs", seeds: &["fuzz/corpus/xfs-4", "fuzz/corpus/xfs-5"], prepare: None, words: XFS, run: xfs::read },
    Target { name: "ext4", seeds: &["fuzz/corpus/ext4"], prepare: Some(databases::expanded), words: BINARY, run: disks::read_ext4 },
    Target { name: "fat", seeds: &["fuzz/corpus/fat.xz"], prepare: Some(databases::expanded), words: BINARY, run: disks::read_fat },
    Target { name: "qcow2", seeds: &["fuzz/corpus/qcow2"], prepare: Some(databases::expanded), words: BINARY, run: disks::read_qcow2 },
    Target { name: "grub", seeds: &["fuzz/corpus/grub"], prepare: None, words: boots::GRUB, run: boots::read_grub },
    Target { name: "systemd-boot", seeds: &["fuzz/corpus/systemd-boot"], prepare: None, words: boots::ENTRY, run: boots::read_systemd },
    Target { name: "uki", seeds: &["fuzz/corpus/uki.xz"], prepare: Some(databases::expanded), words: BINARY, run: boots::read_unified },
    Target {
        name: "foreign",
        seeds: &["fuzz/corpus/foreign"],
        prepare: Some(databases::expanded),
        words: VMDK,
        run: disks::look_at_foreign,
    },
    Target { name: "lvm", seeds: &["fuzz/corpus/lvm"], prepare: None, words: LVM, run: disks::read_lvm },
    Target {
        name: "rpmdb",
        seeds: &["fuzz/corpus/databases"],
        prepare: Some(databases::expanded),
        words: BINARY,
        run: databases::read_rpm,
    },
    Target { name: "dpkg", seeds: &["fuzz/corpus/status"], prepare: None, words: DEB822, run: databases::read_dpkg },
    Target { name: "closure", seeds: &["fuzz/corpus/closure"], prepare: None, words: CLOSURE, run: resolve_closure },
    Target { name: "versions", seeds: &["fuzz/corpus/versions"], prepare: None, words: VERSION, run: compare_versions },
];

/// The most bytes that an index may expand to.
const LIMIT: u64 = 4 << 20;

/// A message without numbers and without its quotes of the input. A quote may itself contain any mark, and it may be cut off.
pub fn own_words(message: &str) -> String {
    let quotes = |c| matches!(c, '`' | '<' | '>');
    let words = match (message.find(quotes), message.rfind(quotes)) {
        (Some(first), Some(_)) if message.contains('…') => message[..first].to_owned(),
        (Some(first), Some(last)) => format!("{}{}", &message[..first], &message[last + 1..]),
        _ => message.to_owned(),
    };
    words.chars().filter(|c| !c.is_ascii_digit()).collect()
}

/// The approximate number: 0, 1, 2 or 3, 4 to 7, and so on.
pub fn about(count: usize) -> u32 {
    usize::BITS - count.leading_zeros()
}

fn answer<T: Debug>(result: Result<T, IndexError>) -> String {
    match result {
        Ok(found) => format!("{found:?}"),
        Err(error) => {
            let text = error.to_string();
            assert!(text.len() < 4_000 && !text.contains('\n') && !text.contains('\u{1b}'), "not fit to print: {text:?}");
            own_words(&error.problem.to_string())
        }
    }
}

/// The part of a universe that distinguishes readings: the number of packages, and the most relations of each kind that one has.
fn shape(universe: &Universe) -> [u32; 6] {
    let most = |of: fn(&Package) -> usize| about(universe.packages.iter().map(of).max().unwrap_or(0));
    let shown = universe.packages.iter().enumerate().map(|(index, package)| {
        let relations = package.needs.iter().flat_map(|need| need.alternatives()).chain(&package.provides).chain(&package.conflicts);
        universe.label(PackageId(index as u32)).len() + relations.map(|relation| universe.relation(relation).len()).sum::<usize>()
    });
    [
        about(universe.packages.len()),
        most(|package| package.needs.len()),
        most(|package| package.needs.iter().map(|need| need.alternatives().len()).max().unwrap_or(0)),
        most(|package| package.provides.len()),
        most(|package| package.conflicts.len() + package.obsoletes.len()),
        about(shown.sum::<usize>() / 64),
    ]
}

fn rpm() -> (Universe, u16) {
    let mut universe = Universe::new(Scheme::Rpm);
    let repository = universe.repository("x", 1000);
    (universe, repository)
}

fn add_primary(bytes: &[u8]) -> Result<impl Debug + use<>, IndexError> {
    let (mut universe, repository) = rpm();
    rpm::add_primary(&mut universe, repository, Input::new("index", bytes, None, LIMIT)?, &mut |_, file| {
        assert!(file.location().is_none_or(|path| !path.starts_with('/') && !path.split('/').any(|part| part == "..")));
        let _ = file.checksum();
    })?;
    Ok(shape(&universe))
}

fn add_filelists(bytes: &[u8]) -> Result<impl Debug + use<>, IndexError> {
    let (mut universe, repository) = rpm();
    let primary = include_bytes!("corpus/primary.xml");
    rpm::add_primary(&mut universe, repository, Input::new("primary", &primary[..], None, LIMIT)?, &mut |_, _| {})?;
    rpm::add_filelists(&mut universe, repository, Input::new("index", bytes, None, LIMIT)?, &|path| path.starts_with('/'))?;
    Ok(shape(&universe))
}

fn add_comps(bytes: &[u8]) -> Result<impl Debug + use<>, IndexError> {
    let (mut universe, _) = rpm();
    rpm::add_comps(&mut universe, Input::new("index", bytes, None, LIMIT)?)?;
    let most = |of: fn(&Group) -> usize| about(universe.groups.iter().map(of).max().unwrap_or(0));
    Ok([
        about(universe.groups.len()),
        about(universe.environments.len()),
        most(|group| group.mandatory.len()),
        most(|group| group.default.len() + group.optional.len()),
        most(|group| group.conditional.len()),
    ])
}

fn add_packages(bytes: &[u8]) -> Result<impl Debug + use<>, IndexError> {
    let mut universe = Universe::new(Scheme::Debian);
    let repository = universe.repository("x", 500);
    debian::add_packages(&mut universe, repository, "amd64", Input::new("index", bytes, None, LIMIT)?, &mut |_, file| {
        let _ = (file.location(), file.checksum());
    })?;
    Ok(shape(&universe))
}

/// `text` in every compression.
fn packed(text: &[u8]) -> Vec<Vec<u8>> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text).unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 0);
    xz.write_all(text).unwrap();
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip2.write_all(text).unwrap();
    vec![gzip.finish().unwrap(), xz.finish().unwrap(), bzip2.finish().unwrap(), zstd::stream::encode_all(text, 1).unwrap()]
}

/// A kickstart that includes other files: itself, a missing one, and a good one. The data of an armored file. Its checksum is not checked.
fn unarmored(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    let digits = text.lines().filter(|line| !line.is_empty() && !line.contains([':', '-']) && !line.starts_with('='));
    let value = |byte: u8| {
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".iter().position(|digit| *digit == byte).unwrap_or(0) as u32
    };
    let digits: Vec<u8> = digits.flat_map(str::bytes).collect();
    digits.chunks(4).flat_map(|group| group.iter().fold(0, |bits, digit| bits << 6 | value(*digit)).to_be_bytes()[1..].to_vec()).collect()
}

/// Small packages: without a signature, with one, and with one and a digest of the payload.
fn signed_packages(_: &[u8]) -> Vec<Vec<u8>> {
    type Entry<'a> = (u32, u32, u32, &'a [u8]);
    let section = |entries: &[Entry<'_>]| {
        let (mut index, mut data) = (Vec::new(), Vec::new());
        for (tag, kind, count, content) in entries {
            index.extend([*tag, *kind, data.len() as u32, *count].iter().flat_map(|word| word.to_be_bytes()));
            data.extend_from_slice(content);
        }
        let sizes = [entries.len() as u32, data.len() as u32].map(u32::to_be_bytes).concat();
        [b"\x8e\xad\xe8\x01", &[0; 4][..], &sizes, &index, &data].concat()
    };
    let package = |signature: &[Entry<'_>], header: &[Entry<'_>]| {
        let mut bytes = [rpm::header::LEAD_MAGIC, &[0; 92], &section(signature)].concat();
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        [bytes, section(header), b"payload".to_vec()].concat()
    };
    let signature = &b"\x88\x06\x04\x00\x01\x08\0\0"[..];
    let digest = format!("{}\0", "ab".repeat(32));
    let name: Entry<'_> = (1000, 6, 1, b"name\0");
    let digests: [Entry<'_>; 3] = [name, (5092, 8, 1, digest.as_bytes()), (5093, 4, 1, &[0, 0, 0, 8])];
    let signed: [Entry<'_>; 2] = [(268, 7, 8, signature), (1002, 7, 8, signature)];
    vec![package(&[], &[name]), package(&signed, &[name]), package(&signed[..1], &digests)]
}

fn read_openpgp(bytes: &[u8]) -> String {
    let keys = openpgp::keys(bytes).map(|keys| {
        assert!(keys.iter().all(|key| !key.bytes.is_empty()));
        // The stored bytes of a file give the same keys.
        let kept: Vec<u8> = keys.iter().flat_map(|key| key.bytes.clone()).collect();
        assert_eq!(openpgp::keys(&kept).as_ref(), Ok(&keys));
        about(keys.len())
    });
    let signatures = openpgp::detached(bytes).map(|signatures| {
        assert!(signatures.iter().all(|signature| openpgp::Signature::read(&signature.bytes).as_ref().is_ok_and(|read| read == signature)));
        about(signatures.len())
    });
    own_words(&format!("{keys:?} {signatures:?}"))
}

fn read_kickstart(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let includes = |path: &str, _: &str| match path.len() % 3 {
        0 => None,
        1 => Some("lang en_US.UTF-8\n%include b\n".to_owned()),
        _ => Some(text.chars().take(200).collect()),
    };
    let document = kickstart::parse("ks.cfg", &text, &includes);
    assert_eq!(document.to_string(), text, "every byte is kept");
    let mut said: Vec<_> = document.diagnostics().iter().map(|found| (found.to_string(), own_words(&found.message)).1).collect();
    assert!(said.len() <= 1_002, "{} findings", said.len());
    said.truncate(3);
    for section in document.packages() {
        said.push(format!("{} entries", about(section.entries().count())));
    }
    said.concat()
}

/// Three versions, one a line. The order must be reflexive, antisymmetric and transitive, and the result of a relation must not depend on
/// the side.
fn compare_versions(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines();
    let [a, b, c] = [0; 3].map(|_| lines.next().unwrap_or_default());
    let mut said = String::new();
    for scheme in [Scheme::Rpm, Scheme::Debian] {
        let order = |x, y| scheme.compare(x, y);
        for (x, y) in [(a, b), (b, c), (a, c)] {
            assert_eq!(order(x, x), Ordering::Equal, "{scheme:?}: {x:?} and itself");
            assert_eq!(order(x, y), order(y, x).reverse(), "{scheme:?}: {x:?} and {y:?}");
            assert_eq!(scheme.compare_in_relation(x, y), scheme.compare_in_relation(y, x).reverse(), "{scheme:?}: {x:?} and {y:?}");
        }
        for [x, y, z] in [[a, b, c], [b, c, a], [c, a, b]] {
            let (first, second) = (order(x, y), order(y, z));
            if first == second || first.is_eq() || second.is_eq() {
                let expected = if first.is_eq() { second } else { first };
                assert_eq!(order(x, z), expected, "{scheme:?}: {x:?}, {y:?}, {z:?}");
            }
        }
        said.push_str(&format!("{:?} {:?} {:?} ", order(a, b), order(b, c), order(a, c)));
    }
    said
}

/// A package a line: a letter for its name, a digit for its version, then words of `n`, `p`, `c` or `o` (needs, provides, conflicts,
/// obsoletes), a letter and maybe a digit. The first letter is requested, and so is every name after a `!`. An answer must have all the
/// needs of its packages. A refusal must have a text, and not a long one.
fn resolve_closure(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut universe = Universe::new(Scheme::Rpm);
    let repository = universe.repository("x", 1000);
    let mut question = Question::default();
    let ask = |name: String| Asked { what: What::Package(name), by: "the text".to_owned() };
    for line in text.lines().take(64) {
        let mut words = line.split(' ');
        let head = words.next().unwrap_or_default();
        let Some(name) = head.chars().find(char::is_ascii_alphabetic) else { continue };
        if head.starts_with('!') || question.asked.is_empty() {
            question.asked.push(ask(name.to_string()));
        }
        let version = head.chars().find(char::is_ascii_digit).unwrap_or('1');
        let [name, version, arch] = [name.to_string(), version.to_string(), "noarch".to_owned()].map(|text| universe.names.intern(&text));
        let mut package = Package {
            name,
            version,
            arch,
            repository,
            source: None,
            source_file: None,
            provides: vec![],
            needs: vec![],
            conflicts: vec![],
            obsoletes: vec![],
            download: 1,
            installed: 1,
            essential: false,
            priority: Package::OPTIONAL,
        };
        for word in words.take(32) {
            let mut chars = word.chars();
            let (Some(kind), Some(name)) = (chars.next(), chars.next()) else { continue };
            let bound = chars.next().map(|digit| (if digit == '2' { Op::Ge } else { Op::Eq }, universe.names.intern(&digit.to_string())));
            let relation = Relation { name: universe.names.intern(&name.to_string()), bound };
            match kind {
                'n' => package.needs.push(Need::One(relation)),
                'p' => package.provides.push(relation),
                'c' => package.conflicts.push(relation),
                'o' => package.obsoletes.push(relation),
                _ => {}
            }
        }
        universe.add(package);
    }
    let ours = match goldsmith::packages::yum::replay(&universe, &question) {
        Ok(replay) => format!("yum takes {}", about(replay.packages.len())),
        Err(failed) => {
            assert!(!failed.failures.is_empty());
            let solution = resolve(&universe, &question);
            let troubles = solution.map(|closure| goldsmith::packages::yum::explain(&universe, &question, &failed, &closure).len());
            assert_ne!(troubles, Ok(0));
            format!("yum fails {} times", about(failed.failures.len()))
        }
    };
    let solver = match resolve(&universe, &question) {
        Ok(closure) => {
            let there: Vec<&Package> = closure.packages.iter().map(|chosen| universe.package(chosen.id)).collect();
            let meets = |package: &&&Package, wanted: &Relation| {
                let own = Relation { name: package.name, bound: Some((Op::Eq, package.version)) };
                [own].iter().chain(&package.provides).any(|provided| provided.name == wanted.name && universe.provides(provided, wanted))
            };
            for need in there.iter().flat_map(|package| &package.needs) {
                let wanted = &need.alternatives()[0];
                assert!(there.iter().any(|package| meets(&package, wanted)), "nobody meets {}", universe.relation(wanted));
            }
            format!("{} of {}, {} notices", about(there.len()), about(universe.packages.len()), closure.notices.len().min(3))
        }
        Err(refused) => {
            let text = refused.to_string();
            assert!(!text.is_empty() && text.lines().count() < 2_000, "{text}");
            format!("{} reasons, {} lines", refused.reasons.len(), about(text.lines().count()))
        }
    };
    format!("{solver}, {ours}")
}
