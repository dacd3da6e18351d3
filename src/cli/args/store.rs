//! The option of commands that use the store.

use std::path::PathBuf;

use clap::ValueHint;

/// Where layers and downloads are kept.
#[derive(Debug, clap::Args)]
pub struct StoreArgs {
    /// Keep layers and downloads here [default: ~/.cache/goldsmith]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub store: Option<PathBuf>,
}
