//! How a host reaches the network.

use std::time::Duration;

use crate::base::secret::Secret;

/// Whether files are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetch {
    /// Now.
    Now,
    /// Only see whether they can be.
    Look,
}

/// How this host reaches the network.
#[derive(Debug, Clone)]
pub struct Web {
    /// The host's proxies.
    pub proxies: Proxies,
    /// How long a server may say nothing.
    pub silence: Duration,
    /// What is waited after each failure of a server in a row; when they are used up, it is left.
    pub pauses: Vec<Duration>,
}

impl Web {
    /// Through these proxies; patient.
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
    /// `no_proxy`: which hosts are reached without.
    pub none: Option<String>,
}
