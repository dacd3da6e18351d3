//! Names that the kernel gives. Pure.

use super::fault::Fault;
use super::word::{ensure, or_one_of, spelled, word};

word! {
    /// The name of a kernel module, without its path and suffix.
    ModuleName, module
}

word! {
    /// The dotted name of a kernel parameter as sysctl.d(5) takes it; a `/` stands for a dot in a part of the name.
    SysctlKey, sysctl_key
}

word! {
    /// An argument of the kernel's command line, as boot loaders and shells keep it: one word without quotes and characters of a shell.
    KernelArgument, argument
}

fn module(text: &str) -> Result<(), Fault> {
    // MODULE_NAME_LEN of include/linux/moduleparam.h is 56 on 64-bit machines, with the NUL.
    let fits = text.len() <= 55 && spelled(text, or_one_of(b""), or_one_of(b"_-"));
    ensure(fits, text, "a kernel module", "write its name, like \"br_netfilter\"")
}

fn sysctl_key(text: &str) -> Result<(), Fault> {
    let part = |part: &str| spelled(part, or_one_of(b"_"), or_one_of(b"_-/:"));
    let fits = text.len() <= 200 && text.contains('.') && text.split('.').all(part);
    ensure(fits, text, "a sysctl key", "write it dotted and quoted, like \"net.ipv4.ip_forward\"")
}

fn argument(text: &str) -> Result<(), Fault> {
    let fits = text.len() <= 256 && spelled(text, |byte| byte.is_ascii_graphic() && byte != b'-', |byte| byte.is_ascii_graphic());
    let fits = fits && !text.contains(['"', '\'', '\\', '$', '`', '#', ';', '&', '|', '<', '>']);
    ensure(fits, text, "one kernel argument", "write one word per item, without quotes, spaces and shell characters")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_of_the_kernel() {
        for text in ["quiet", "console=ttyS0,115200", "a.b=c:d"] {
            assert_eq!(text.parse::<KernelArgument>().unwrap(), text);
        }
        for text in ["", "a b", "\"a\"", "$x", "-x", "a;b", "é", &"a".repeat(257)] {
            assert!(text.parse::<KernelArgument>().is_err(), "{text}");
        }
    }

    #[test]
    fn names_of_the_kernel() {
        for (text, fits) in [("br_netfilter", true), ("", false), ("a b", false), ("-x", false), ("a/b", false), ("a.ko", false)] {
            assert_eq!(text.parse::<ModuleName>().is_ok(), fits, "{text}");
        }
        for key in ["net.ipv4.ip_forward", "net.ipv4.conf.eth0/1.forwarding", "a.b-c"] {
            assert_eq!(key.parse::<SysctlKey>().unwrap(), key);
        }
        for key in ["", "net.ipv4.conf.*.rp_filter", "swappiness", "a..b", ".a", "a.b=c", "a b.c", "-a.b", "a.b\n"] {
            assert!(key.parse::<SysctlKey>().is_err(), "{key}");
        }
    }
}
