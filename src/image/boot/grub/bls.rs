//! What GRUB's `blscfg` makes of a Boot Loader Specification entry (grub2 2.06 of Fedora, grub-core/commands/blscfg.c, `create_entry`): a script
//! that is run when the entry is chosen, so variables of its initrd are expanded then, and those of its options before.

use std::collections::BTreeMap;

use crate::image::boot::entries::Keys;

/// The script of an entry; `None` when it has no kernel.
pub(super) fn script_of(keys: &Keys, variables: &BTreeMap<String, String>) -> Option<String> {
    let linux = keys.first("linux")?;
    let expanded = |text: &str| expanded(text, variables);
    let options = keys.first("options").and_then(expanded);
    let options = options.or_else(|| expanded(variables.get("default_kernelopts")?)).unwrap_or_default();
    let mut script = format!("linux ($root){linux} {options}\n");
    let mut initrds = keys.all("initrd").peekable();
    let dir = |path: &str| path.rsplit_once('/').map_or(String::new(), |(dir, _)| format!("{dir}/"));
    let early_dir = dir(initrds.peek().copied().unwrap_or(linux));
    let early = variables.get("early_initrd").into_iter().flat_map(|names| names.split(' ')).filter(|name| !name.is_empty());
    let files: Vec<_> = early.map(|name| format!("($root){early_dir}{name}")).chain(initrds.map(|path| format!("($root){path}"))).collect();
    if !files.is_empty() {
        script.push_str(&format!("initrd {}\n", files.join(" ")));
    }
    Some(script)
}

/// `text` with its variables expanded; `None` when nothing of it is left, or it begins with a variable that is not set (`expand_val`).
fn expanded(text: &str, variables: &BTreeMap<String, String>) -> Option<String> {
    let mut parts = text.split('$');
    let mut expanded = parts.next()?.to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(part.len());
        match variables.get(&part[..end]) {
            Some(value) => expanded.push_str(value),
            None if expanded.is_empty() => return None,
            None => {}
        }
        expanded.push_str(&part[end..]);
    }
    (!expanded.is_empty()).then_some(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_become_scripts() {
        let variables = |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let el8 = "title Linux\nlinux /vmlinuz-4\ninitrd /initramfs-4.img $tuned_initrd\noptions $kernelopts $tuned_params\n";
        let initrd = "initrd ($root)/initramfs-4.img $tuned_initrd\n";
        for (text, set, expected) in [
            (el8, &[("kernelopts", "root=/dev/vda1 ro ")][..], format!("linux ($root)/vmlinuz-4 root=/dev/vda1 ro  \n{initrd}")),
            (el8, &[("default_kernelopts", "a"), ("tuned_params", "b")], format!("linux ($root)/vmlinuz-4 a\n{initrd}")),
            (el8, &[], format!("linux ($root)/vmlinuz-4 \n{initrd}")),
            (
                "linux /b/k\ninitrd /b/i\ninitrd /b/j\noptions a $b-c${d",
                &[("early_initrd", "u.img v.img"), ("b", "B")],
                "linux ($root)/b/k a B-c{d\ninitrd ($root)/b/u.img ($root)/b/v.img ($root)/b/i ($root)/b/j\n".to_owned(),
            ),
            ("linux k", &[], "linux ($root)k \n".to_owned()),
        ] {
            assert_eq!(script_of(&Keys::of_grub(text), &variables(set)), Some(expected), "{text}");
        }
        assert_eq!(script_of(&Keys::of_grub("title a"), &BTreeMap::new()), None);
    }
}
