//! The kernels of a system on a disk, and their modules.

use super::error::ImageError;
use super::root::Root;

/// Largest list of modules that is read; Debian's has 1 MiB.
const MAX_LIST_BYTES: u64 = 16 << 20;
const MODULES: &str = "/lib/modules";

/// A kernel that is installed with its modules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledKernel {
    /// Its release, as `uname -r` says it.
    pub release: String,
    modules: String,
}

impl InstalledKernel {
    /// Whether it has the module, in a file of its own or built in.
    pub fn has(&self, module: &str) -> bool {
        self.modules.contains(&format!("/{module}.ko"))
    }
}

/// The kernels of the system, with their lists of modules: a path a line (modules.dep(5), and Linux' Documentation/kbuild/kbuild.rst,
/// "modules.builtin").
///
/// # Errors
/// The disk cannot be read, or the system has no modules.
pub fn kernels(root: &Root) -> Result<Vec<InstalledKernel>, ImageError> {
    let mut all = Vec::new();
    for version in root.read_dir(MODULES)? {
        let release = version.to_string_lossy().into_owned();
        let mut modules = String::new();
        for name in ["modules.dep", "modules.builtin"] {
            if let Some(bytes) = root.read_if_there(format!("{MODULES}/{release}/{name}"), MAX_LIST_BYTES)? {
                modules.push_str(&String::from_utf8_lossy(&bytes));
            }
        }
        if !modules.is_empty() {
            all.push(InstalledKernel { release, modules });
        }
    }
    Ok(all)
}
