//! Whether this user can have the namespaces that native work runs in.

use super::failure::{Class, Failure};
use super::process::{Invocation, Tool};

/// The kernel, or a rule of this host, refuses namespaces to this user.
#[derive(Debug, thiserror::Error)]
#[error("this user cannot have namespaces of its own, in which an installation runs as root")]
pub struct NoNamespaces;

impl NoNamespaces {
    /// Enter the namespaces and leave them again.
    ///
    /// # Errors
    /// They are refused.
    pub fn refuse() -> Result<(), Self> {
        let entered = Invocation::new(Tool::Shell).args(["-c", "exit 0"]).contained().run_blocking();
        if entered { Ok(()) } else { Err(Self) }
    }
}

impl Failure for NoNamespaces {
    fn class(&self) -> Class {
        Class::Host
    }

    fn remedy(&self) -> Option<String> {
        Some("`goldsmith doctor` names what is in the way".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Maintainer scripts run as root there: what they do to the machine's names and its shared memory stays there.
    #[test]
    fn nothing_done_inside_reaches_the_host() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let name = || std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        let links = |script: &str| {
            let said = Invocation::new(Tool::Shell).args(["-c", script]).contained().output();
            String::from_utf8(runtime.block_on(said).unwrap()).unwrap()
        };
        let before = name();
        assert_eq!(links("echo renamed > /proc/sys/kernel/hostname; cat /proc/sys/kernel/hostname"), "renamed\n");
        assert_eq!(name(), before);
        let here = std::fs::read_link("/proc/self/ns/ipc").unwrap().to_string_lossy().into_owned();
        assert_ne!(links("readlink /proc/self/ns/ipc").trim(), here);
    }
}
