//! What GRUB sees of an image: files by GRUB's names, and Boot Loader Specification entries.

use crate::image::boot::entries::{Keys, MAX_ENTRIES, MAX_ENTRY_BYTES};
use crate::image::boot::versions::file_name_order;
use crate::image::error::ImageError;
use crate::image::root::Root;

/// Where EL8 and Fedora keep entries, in the filesystem of `/boot`.
pub(super) const ENTRIES: &str = "/boot/loader/entries";

/// Why a configuration is not understood: a sentence about it, or an image that cannot be read.
#[derive(Debug)]
pub(super) enum Fault {
    Said(String),
    Image(ImageError),
}

impl From<ImageError> for Fault {
    fn from(error: ImageError) -> Self {
        Self::Image(error)
    }
}

impl From<String> for Fault {
    fn from(what: String) -> Self {
        Self::Said(what)
    }
}

/// What GRUB sees of an image. Paths are absolute in the root filesystem, in which every filesystem has its place.
pub(super) trait Files {
    /// The directory where the filesystem is seen that has this UUID, or else this label.
    fn place(&self, uuid: Option<&str>, label: Option<&str>) -> Option<String>;
    /// The text of a file; `None` when there is none.
    fn text(&self, path: &str, max_bytes: u64) -> Result<Option<String>, ImageError>;
    /// Whether there is something of that name.
    fn exists(&self, path: &str) -> Result<bool, ImageError>;
    /// The names in a directory; none when there is no directory.
    fn names(&self, dir: &str) -> Result<Vec<String>, ImageError>;
}

impl Files for Root {
    fn place(&self, uuid: Option<&str>, label: Option<&str>) -> Option<String> {
        self.place_of(uuid, label).map(|place| place.to_string_lossy().into_owned())
    }

    fn text(&self, path: &str, max_bytes: u64) -> Result<Option<String>, ImageError> {
        match self.read_if_there(path, max_bytes) {
            Err(ImageError::OtherKind { .. }) => Ok(None),
            found => Ok(found?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())),
        }
    }

    fn exists(&self, path: &str) -> Result<bool, ImageError> {
        Self::exists(self, path)
    }

    fn names(&self, dir: &str) -> Result<Vec<String>, ImageError> {
        match self.read_dir(dir) {
            Err(ImageError::Absent { .. } | ImageError::OtherKind { .. }) => Ok(Vec::new()),
            found => Ok(found?.into_iter().filter_map(|name| name.into_string().ok()).collect()),
        }
    }
}

/// The entries that `blscfg` makes a menu of, in its order: the newest first. Each has the name of its file without `.conf`.
pub(super) fn entries(files: &dyn Files) -> Result<Vec<(String, Keys)>, Fault> {
    let names = files.names(ENTRIES)?;
    let ids: Vec<&str> = names.iter().filter(|name| !name.starts_with('.')).filter_map(|name| name.strip_suffix(".conf")).collect();
    if ids.len() > MAX_ENTRIES {
        return Err(Fault::Said(format!("{ENTRIES} holds {} entries, {MAX_ENTRIES} at most are read", ids.len())));
    }
    let mut entries = Vec::new();
    for id in ids.into_iter().filter(|id| !id.is_empty()) {
        let text = files.text(&format!("{ENTRIES}/{id}.conf"), MAX_ENTRY_BYTES)?;
        entries.extend(text.map(|text| (id.to_owned(), Keys::of_grub(&text))));
    }
    entries.sort_by(|(a, _), (b, _)| file_name_order(b, a));
    Ok(entries)
}

/// Where GRUB's file `name` is in the root filesystem. GRUB names files from the root of the filesystem that holds them, with `device` when they
/// name none: a place of the root filesystem when it is known. Otherwise `/boot` is missing where it is a filesystem of its own.
pub(super) fn locate(files: &dyn Files, name: &str, device: Option<&str>) -> Result<Option<String>, ImageError> {
    let (device, name) = match name.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
        Some((device, path)) => (Some(device), path),
        None => (device, name),
    };
    if !name.starts_with('/') {
        return Ok(None);
    }
    let place = device.filter(|device| device.starts_with('/')).map(|place| format!("{}{name}", place.trim_end_matches('/')));
    for candidate in place.into_iter().chain([format!("/boot{name}"), name.to_owned()]) {
        if files.exists(&candidate)? {
            return Ok(Some(candidate));
        }
    }
    Ok(None)
}
