//! Entries of type 1 of the Boot Loader Specification (UAPI.1): small text files, each of which defines one item of a menu.

/// Most bytes of such a file.
pub(super) const MAX_ENTRY_BYTES: u64 = 64 << 10;
/// Most files of a directory of entries. A real one has some ten; each costs a look through the directory on FAT.
pub(super) const MAX_ENTRIES: usize = 1_000;

/// The content of an entry: keys with their values, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keys(Vec<(String, String)>);

impl Keys {
    /// As GRUB reads it: a line without a value, an empty one too, ends the file (grub2 2.06 of Fedora, grub-core/commands/blscfg.c,
    /// `read_entry`).
    pub(super) fn of_grub(text: &str) -> Self {
        let lines = text.lines().map(|line| line.trim_start_matches([' ', '\t'])).filter(|line| !line.starts_with('#'));
        let pair = |line: &str| {
            // A space divides wherever it is, and a tab when there is none.
            let (key, value) = line.split_once(' ').or_else(|| line.split_once('\t')).filter(|(_, value)| !value.is_empty())?;
            Some((key.to_owned(), value.trim_start_matches([' ', '\t']).to_owned()))
        };
        Self(lines.map_while(pair).collect())
    }

    /// As systemd-boot reads it, and its own `loader.conf`: lines without a value are passed over, and quotes around one are taken off
    /// (systemd 252, src/boot/efi/util.c, `line_get_key_value`).
    pub(super) fn of_systemd(text: &str) -> Self {
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        let pair = |line: &str| {
            let (key, value) = line.split_once([' ', '\t'])?;
            let value = value.trim_start();
            let quoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
            Some((key.to_owned(), quoted.unwrap_or(value).to_owned()))
        };
        Self(lines.filter_map(pair).collect())
    }

    /// The first value of `key`.
    pub(super) fn first(&self, key: &str) -> Option<&str> {
        self.all(key).next()
    }

    /// The last value of `key`.
    pub(super) fn last(&self, key: &str) -> Option<&str> {
        self.all(key).last()
    }

    /// Every value of `key`.
    pub(super) fn all(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_each_loader_reads_them() {
        let text = "# a\n title  A B\nlinux\t/k\nsingle\n\ninitrd \"/i\"\r\ninitrd /j\n";
        let pairs = |keys: Keys| keys.0.into_iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>();
        assert_eq!(pairs(Keys::of_grub(text)), ["title=A B", "linux=/k"]);
        assert_eq!(pairs(Keys::of_systemd(text)), ["title=A B", "linux=/k", "initrd=/i", "initrd=/j"]);
        let keys = Keys::of_systemd(text);
        assert_eq!((keys.first("initrd"), keys.last("initrd"), keys.all("x").count()), (Some("/i"), Some("/j"), 0));
    }
}
