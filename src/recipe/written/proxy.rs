//! The proxy of a system, as written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The proxy through which programs of the image reach HTTP servers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::recipe) struct Proxy {
    /// Proxy for `http://`, such as "http://proxy.example.org:3128". No name and password: everybody who has the image could read them.
    pub http: Option<String>,
    /// Proxy for `https://`. Default: that of `http`.
    pub https: Option<String>,
    /// Servers that are reached directly, beside the machine itself: names, domains like ".example.org", addresses, networks like
    /// "10.0.0.0/8".
    #[serde(default)]
    pub no_proxy: Vec<String>,
}
