//! A kickstart as text: one function per command, in the order of the file.

use std::fmt::{self, Display, Formatter};

use crate::base::text::ends_or_hides_a_line;

use super::model::{
    Address, Bootloader, DiskLabel, Filesystem, Firewall, FsType, Kickstart, LogicalVolume, Network, Packages, Part, Post, Purpose, Repo,
    SelinuxMode, Services, Source, Storage, User, VolumeGroup,
};
use super::value::{KernelArgument, Script, Word, quote};

impl Display for Kickstart {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for line in &self.comment {
            writeln!(f, "# {}", line.replace(ends_or_hides_a_line, " "))?;
        }
        writeln!(f, "cmdline\n{}", self.source)?;
        writeln!(f, "lang {}", quote(self.lang.as_str()))?;
        let keymap = quote(self.keyboard.as_str());
        writeln!(f, "keyboard --vckeymap={keymap} --xlayouts={keymap}")?;
        writeln!(f, "timezone {} --isUtc --nontp", quote(self.timezone.as_str()))?;
        // Sealing sets the passwords. Without the line, root's password would be a mandatory question.
        writeln!(f, "rootpw --lock")?;
        lines(f, &self.users)?;
        writeln!(f, "{}\n{}", self.selinux, self.firewall)?;
        writeln!(f, "firstboot --disable\nskipx")?;
        write!(f, "{}\n{}\n", self.network, self.services)?;
        write!(f, "{}{}", self.storage, BootloaderOn(&self.bootloader, &self.storage.disk))?;
        lines(f, &self.repos)?;
        writeln!(f, "poweroff\n")?;
        // This is the add-on's own format: `--enable` needs the size to reserve (com_redhat_kdump of EL7, ks.py).
        writeln!(f, "%addon com_redhat_kdump {}\n%end\n", if self.kdump { "--enable --reserve-mb='auto'" } else { "--disable" })?;
        write!(f, "{}", self.packages)?;
        for script in &self.pre {
            section(f, "%pre", script)?;
        }
        lines(f, &self.post)
    }
}

fn lines<T: Display>(f: &mut Formatter<'_>, items: &[T]) -> fmt::Result {
    items.iter().try_for_each(|item| write!(f, "{item}"))
}

fn section(f: &mut Formatter<'_>, header: &str, script: &Script) -> fmt::Result {
    write!(f, "\n{header}\n{}%end\n", script.as_str())
}

/// ` --name=value`, quoted.
fn option(f: &mut Formatter<'_>, name: &str, value: impl Display) -> fmt::Result {
    write!(f, " --{name}={}", quote(&value.to_string()))
}

/// ` --name=a,b`, or nothing.
fn list<T>(f: &mut Formatter<'_>, name: &str, items: &[T], text: impl Fn(&T) -> String) -> fmt::Result {
    if items.is_empty() {
        return Ok(());
    }
    option(f, name, items.iter().map(text).collect::<Vec<_>>().join(","))
}

fn word(word: &Word) -> String {
    word.as_str().to_owned()
}

impl Display for Source {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cdrom => write!(f, "cdrom"),
            Self::Url(url) => {
                write!(f, "url")?;
                option(f, "url", url.as_str())
            }
        }
    }
}

impl Display for Repo {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "repo")?;
        option(f, "name", self.name.as_str())?;
        option(f, "baseurl", self.baseurl.as_str())?;
        if let Some(cost) = self.cost {
            option(f, "cost", cost)?;
        }
        writeln!(f)
    }
}

impl Display for User {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "user")?;
        option(f, "name", self.name.as_str())?;
        list(f, "groups", &self.groups, word)?;
        option(f, "shell", self.shell.as_str())?;
        if let Some(uid) = self.uid {
            option(f, "uid", uid)?;
        }
        writeln!(f, " --lock")
    }
}

impl Display for SelinuxMode {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enforcing => "selinux --enforcing",
            Self::Permissive => "selinux --permissive",
            Self::Disabled => "selinux --disabled",
        })
    }
}

impl Display for Firewall {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled => write!(f, "firewall --disabled"),
            Self::Enabled { services } => {
                write!(f, "firewall --enabled")?;
                list(f, "service", services, word)
            }
        }
    }
}

impl Display for Network {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "network")?;
        match &self.address {
            Address::Dhcp => {
                option(f, "bootproto", "dhcp")?;
                option(f, "device", self.device.as_str())?;
            }
            Address::None => {
                option(f, "device", self.device.as_str())?;
                write!(f, " --noipv4 --noipv6")?;
            }
            Address::Static { ip, netmask, gateway, nameservers } => {
                option(f, "bootproto", "static")?;
                option(f, "device", self.device.as_str())?;
                option(f, "ip", ip)?;
                option(f, "netmask", netmask)?;
                if let Some(gateway) = gateway {
                    option(f, "gateway", gateway)?;
                }
                list(f, "nameserver", nameservers, ToString::to_string)?;
                write!(f, " --noipv6")?;
            }
        }
        let hostname = quote(self.hostname.as_str());
        match &self.address {
            // The host name is on a separate line. On the line of an interface it would be kept as DHCP_HOSTNAME: every machine made of the
            // image would send that name to the DHCP server, even after it has another name.
            Address::Dhcp => write!(f, " --onboot=yes --activate\nnetwork --hostname={hostname}"),
            Address::None | Address::Static { .. } => write!(f, " --hostname={hostname} --onboot=yes --activate"),
        }
    }
}

impl Display for Services {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.disabled.is_empty() && self.enabled.is_empty() {
            return Ok(());
        }
        write!(f, "services")?;
        list(f, "disabled", &self.disabled, word)?;
        list(f, "enabled", &self.enabled, word)?;
        writeln!(f)
    }
}

impl Display for Storage {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let disk = quote(self.disk.as_str());
        writeln!(f, "ignoredisk --only-use={disk}\nzerombr")?;
        let label = match self.label {
            DiskLabel::Gpt => "gpt",
            DiskLabel::Msdos => "msdos",
        };
        writeln!(f, "clearpart --all --initlabel --disklabel={label} --drives={disk}")?;
        for part in &self.parts {
            write!(f, "{part}")?;
            option(f, "ondisk", self.disk.as_str())?;
            writeln!(f)?;
        }
        lines(f, &self.groups)
    }
}

impl Display for Part {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.purpose {
            Purpose::BiosBoot => write!(f, "part biosboot --fstype=biosboot")?,
            Purpose::EfiSystem => write!(f, "part /boot/efi --fstype=efi")?,
            Purpose::Swap => write!(f, "part swap --fstype=swap")?,
            Purpose::PhysicalVolume(number) => write!(f, "part pv.{number:02}")?,
            Purpose::Filesystem(filesystem) => write!(f, "part {filesystem}")?,
        }
        size(f, self.size_mib, self.grow)
    }
}

fn size(f: &mut Formatter<'_>, mib: u32, grow: bool) -> fmt::Result {
    option(f, "size", mib)?;
    if grow { write!(f, " --grow") } else { Ok(()) }
}

impl Display for Filesystem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", quote(self.mountpoint.as_str()))?;
        option(f, "fstype", self.kind)?;
        match &self.label {
            Some(label) => option(f, "label", label.as_str()),
            None => Ok(()),
        }
    }
}

impl Display for FsType {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
        })
    }
}

impl Display for VolumeGroup {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "volgroup {}", quote(self.name.as_str()))?;
        self.physical.iter().try_for_each(|number| write!(f, " pv.{number:02}"))?;
        writeln!(f)?;
        for volume in &self.volumes {
            write!(f, "{volume}")?;
            option(f, "vgname", self.name.as_str())?;
            writeln!(f)?;
        }
        Ok(())
    }
}

impl Display for LogicalVolume {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.filesystem {
            Some(filesystem) => write!(f, "logvol {filesystem}")?,
            None => write!(f, "logvol swap --fstype=swap")?,
        }
        option(f, "name", self.name.as_str())?;
        size(f, self.size_mib, self.grow)
    }
}

struct BootloaderOn<'a>(&'a Bootloader, &'a Word);

impl Display for BootloaderOn<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(bootloader, disk) = self;
        write!(f, "bootloader --location=mbr")?;
        option(f, "boot-drive", disk.as_str())?;
        option(f, "timeout", bootloader.timeout)?;
        if !bootloader.append.is_empty() {
            let words: Vec<_> = bootloader.append.iter().map(KernelArgument::as_str).collect();
            option(f, "append", words.join(" "))?;
        }
        writeln!(f)
    }
}

impl Display for Packages {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "%packages")?;
        if self.exclude_docs {
            write!(f, " --excludedocs")?;
        }
        if let Some(languages) = &self.languages {
            option(f, "instLangs", languages.as_str())?;
        }
        writeln!(f)?;
        self.groups().iter().try_for_each(|group| writeln!(f, "@{}", group.as_str()))?;
        self.packages().iter().try_for_each(|package| writeln!(f, "{}", package.as_str()))?;
        self.excluded().iter().try_for_each(|package| writeln!(f, "-{}", package.as_str()))?;
        writeln!(f, "%end")
    }
}

impl Display for Post {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let chroot = if self.chroot { "" } else { " --nochroot" };
        let fatal = if self.error_on_fail { " --erroronfail" } else { "" };
        section(f, &format!("%post{chroot}{fatal}"), &self.script)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kickstart::Url;

    #[test]
    fn a_tree_is_named_by_its_url() {
        let url = Url::new("http://vault.centos.org/7.5.1804/os/x86_64/?a=b&c").unwrap();
        assert_eq!(Source::Url(url).to_string(), "url --url='http://vault.centos.org/7.5.1804/os/x86_64/?a=b&c'");
    }

    #[test]
    fn a_comment_cannot_end() {
        let word = |text: &str| Word::new(text).unwrap();
        let network = Network { device: word("eth0"), hostname: word("h"), address: Address::Dhcp };
        let kickstart = Kickstart {
            comment: vec!["a\nreboot\u{2028}reboot".into()],
            source: Source::Cdrom,
            repos: Vec::new(),
            lang: word("C"),
            keyboard: word("us"),
            timezone: word("Etc/UTC"),
            users: Vec::new(),
            selinux: SelinuxMode::Permissive,
            firewall: Firewall::Enabled { services: Vec::new() },
            network,
            services: Services::default(),
            storage: Storage { disk: word("vda"), label: DiskLabel::Gpt, parts: Vec::new(), groups: Vec::new() },
            bootloader: Bootloader { timeout: 0, append: Vec::new() },
            kdump: false,
            packages: Packages::new(),
            pre: Vec::new(),
            post: Vec::new(),
        };
        let text = kickstart.to_string();
        assert!(text.starts_with("# a reboot reboot\ncmdline\n"), "{text}");
    }
}
