//! A recipe as a manifest shows it.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{Firmware, Network, Recipe};
use crate::base::size::ByteSize;

/// What is left of `system` beside a kickstart of the user's own.
#[derive(Serialize)]
struct ToldSystem<'a> {
    network: &'a Network,
}

/// What is left of `disk`.
#[derive(Serialize)]
struct Machine {
    size: ByteSize,
    firmware: Firmware,
}

impl Serialize for Recipe {
    /// Every field under its name, but those that a kickstart of the user's own decides: a default there would be a false statement.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", &self.name)?;
        map.serialize_entry("summary", &self.summary)?;
        map.serialize_entry("media", &self.media)?;
        map.serialize_entry("repositories", &self.repositories)?;
        if self.own_kickstart().is_some() {
            map.serialize_entry("system", &ToldSystem { network: &self.system.network })?;
            map.serialize_entry("disk", &Machine { size: self.disk.size, firmware: self.disk.firmware })?;
        } else {
            map.serialize_entry("system", &self.system)?;
            map.serialize_entry("kernel", &self.kernel)?;
            map.serialize_entry("packages", &self.packages)?;
            map.serialize_entry("services", &self.services)?;
            map.serialize_entry("users", &self.users)?;
            map.serialize_entry("files", &self.files)?;
            map.serialize_entry("disk", &self.disk)?;
        }
        map.serialize_entry("build", &self.build)?;
        map.serialize_entry("provision", &self.provision)?;
        map.serialize_entry("checks", &self.checks)?;
        map.serialize_entry("output", &self.output)?;
        map.end()
    }
}
