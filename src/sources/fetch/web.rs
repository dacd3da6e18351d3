//! How a host reaches the network.

use std::time::Duration;

use crate::base::secret::Secret;

/// Whether files are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetch {
    /// Now.
    Now,
    /// Only see whether they can be fetched.
    Look,
}

/// How this host reaches the network.
#[derive(Debug, Clone)]
pub struct Web {
    /// The host's proxies.
    pub proxies: Proxies,
    /// The longest time in which a server may send nothing.
    pub silence: Duration,
    /// The waits after each failure in a row. After the last one the server is given up.
    pub pauses: Vec<Duration>,
}

impl Web {
    /// With these proxies, and the usual waits.
    pub fn through(proxies: Proxies) -> Self {
        Self { proxies, silence: Duration::from_secs(60), pauses: [1, 2, 4, 8, 16].map(Duration::from_secs).into() }
    }
}

/// Proxies, as the variables of that name say, which may hold a password.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// `http_proxy`.
    pub http: Option<Secret>,
    /// `https_proxy`.
    pub https: Option<Secret>,
    /// `all_proxy`.
    pub all: Option<Secret>,
    /// `no_proxy`: hosts that are reached without a proxy.
    pub none: Option<String>,
}
