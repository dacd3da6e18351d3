//! The host's part in resolving a recipe's inputs.

use std::path::Path;

use super::fetch::{Fetch, Web};
use crate::cache::Store;

/// The host's part in the resolution.
#[derive(Debug, Clone, Copy)]
pub struct Host<'a> {
    /// The directory of apt's configuration: `/etc/apt`.
    pub apt: &'a Path,
    /// A directory for scratch files.
    pub scratch: &'a Path,
    /// The store, with files and results of earlier runs.
    pub store: &'a Store,
    /// How the network is reached.
    pub web: &'a Web,
    /// Whether missing files are fetched, or only looked for.
    pub fetch: Fetch,
}

impl<'a> Host<'a> {
    /// This host, with scratch files in `scratch`.
    pub fn this(store: &'a Store, scratch: &'a Path, web: &'a Web, fetch: Fetch) -> Self {
        Self { apt: Path::new("/etc/apt"), scratch, store, web, fetch }
    }

    /// How the network is reached by this resolution: a look has short deadlines.
    pub(super) fn patience(&self) -> Web {
        match self.fetch {
            Fetch::Now => self.web.clone(),
            Fetch::Look => Web { pauses: Vec::new(), ..self.web.clone() },
        }
    }
}
