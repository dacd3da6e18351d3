//! Images of containers, as resolved.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Passage;
use crate::base::digest::Sha256Digest;

/// Packages with a Docker Engine: Docker's own, Debian's, the Moby project's, EL7's.
pub const DOCKER_ENGINES: [&str; 4] = ["docker-ce", "docker.io", "moby-engine", "docker"];

/// An archive of images that Docker is to have.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ContainerImage {
    /// Where the archive is on the host: absolute, or relative to the working directory. Not part of any key.
    #[serde(skip)]
    pub path: PathBuf,
    /// What it must hash to, when the recipe pins it.
    pub sha256: Option<Sha256Digest>,
    /// The container that the proof runs from it. The archive then has one image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<ContainerRun>,
    /// Where the recipe names the archive. For errors about its content, which is only known when it is read.
    #[serde(skip)]
    pub at: Option<Passage>,
}

/// An image of an archive, by the archive's own data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DockerImage {
    /// Docker's id of it: the digest of its configuration.
    pub id: Sha256Digest,
    /// Its names, each as Docker shows it: `busybox:1.36`. At least one.
    pub tags: Vec<String>,
    /// `linux`.
    pub os: String,
    /// `amd64`.
    pub architecture: String,
}

impl DockerImage {
    /// Its name for people.
    pub fn name(&self) -> &str {
        self.tags.first().map_or("", String::as_str)
    }
}

/// A command in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerRun {
    /// The program and its arguments; empty for the image's own.
    pub command: Vec<String>,
    /// The wanted standard output, apart from white space at both ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout: Option<String>,
}
