//! The options of copies as files, and the copies themselves.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use crate::base::host_name::HostName;
use crate::base::size::ByteSize;
use crate::run::name::Name;
use crate::run::wanted::{Many, Personal};

/// The options of copies as files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedFiles {
    /// Their name, with numbers where there are several; else that of the artifact or image.
    pub name: Option<Name>,
    /// How many, or which.
    pub many: Many,
    /// The settings of each; the address is that of the first one, if they are numbered.
    pub personal: Personal,
    /// The router of those that have addresses.
    pub gateway: Option<Ipv4Addr>,
    /// Their name servers.
    pub dns: Vec<Ipv4Addr>,
    /// Whether each file has all of its disk, and needs no other.
    pub full: bool,
    /// Size of each disk; that of the image when it is not given.
    pub disk: Option<ByteSize>,
    /// Memory of a machine in the documents.
    pub memory: ByteSize,
    /// Processors of it.
    pub cpus: u32,
}

/// A copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClonedFile {
    /// Its name.
    pub name: Name,
    /// Its disk.
    pub file: PathBuf,
    /// Bytes that the file occupies on the host.
    pub allocated: u64,
    /// Its host name.
    pub hostname: HostName,
    /// Its fixed address, with the prefix length; else it asks for one by DHCP.
    pub address: Option<(Ipv4Addr, u8)>,
}
