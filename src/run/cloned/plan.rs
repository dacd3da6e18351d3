//! Plans each copy of an image: its names, its address, its files. Pure.

use std::net::Ipv4Addr;

use super::wanted::WantedFiles;
use crate::base::host_name::HostName;
use crate::image::PutFile;
use crate::run::error::RunError;
use crate::run::name::Name;
use crate::run::network::{self, Newcomer, NoPlace};
use crate::run::own_files::{Fixed, OwnFiles, Texts};
use crate::run::personal::LOOPBACK;
use crate::run::wanted::Individual;

/// The plan of one copy.
pub(super) struct Planned {
    pub(super) name: Name,
    pub(super) hostname: HostName,
    /// With the prefix length.
    pub(super) address: Option<(Ipv4Addr, u8)>,
    /// Whether root logs in by a key that was given.
    pub(super) has_keys: bool,
    pub(super) files: Vec<PutFile>,
}

/// Why copies cannot be made as they are wanted.
pub(super) fn no_clones(why: impl Into<String>, help: &'static str) -> RunError {
    RunError::NoClones { why: why.into(), help }
}

/// The plan of each copy.
///
/// # Errors
/// Names or addresses contradict each other, or the image has no file for an address.
pub(super) fn plan(wanted: &WantedFiles, name: Name, texts: &Texts) -> Result<Vec<Planned>, RunError> {
    let individuals = wanted.many.individuals(name, &wanted.personal);
    let hostnames: Vec<_> = individuals.iter().map(|one| one.personal.hostname.clone().or_else(|| one.name.host_name())).collect();
    let newcomers: Vec<Newcomer<'_>> = individuals
        .iter()
        .zip(&hostnames)
        .map(|(Individual { name, personal, .. }, hostname)| Newcomer { name, hostname: hostname.as_ref(), address: personal.address })
        .collect();
    let places =
        places(&newcomers, wanted).map_err(|faults| match (wanted.many.faults_of_table(&faults, &individuals), faults.first()) {
            (None, Some(NoPlace { why, help, .. })) => no_clones(why, help),
            (of_table, _) => of_table.unwrap_or_else(|| no_clones("there are none", "make one at least")),
        })?;
    if places.iter().any(Option::is_some) && !texts.have_address() {
        return Err(no_clones(
            "addresses are given, and the image says neither in /etc/network/interfaces nor in ifcfg-eth0 how eth0 has one",
            "leave the addresses out: such copies ask for one by DHCP",
        ));
    }
    if (wanted.gateway.is_some() || !wanted.dns.is_empty()) && places.iter().all(Option::is_none) {
        return Err(no_clones(
            "a gateway or a name server is given, and no clone has an address",
            "give addresses, with --address or in the table, or leave --gateway and --dns out: DHCP tells them",
        ));
    }
    let unaddressed = places.iter().filter(|place| place.is_none()).count();
    if let Some((address, prefix)) = texts.fixed().filter(|_| unaddressed > 1) {
        return Err(no_clones(
            format!("the image has the fixed address {address}/{prefix}, which {unaddressed} clones would share"),
            "give each an address: --address for the first, or the column `address` of a table",
        ));
    }
    let hostnames: Vec<HostName> = hostnames.into_iter().flatten().collect();
    let names = |index: usize| network::names(&individuals[index].name, Some(&hostnames[index]));
    let all: Vec<_> = (0..places.len()).filter_map(|index| places[index].map(|(address, _)| (address, names(index)))).collect();
    let files = |index: usize| {
        let Some((address, prefix)) = places[index] else {
            let own = [(LOOPBACK, names(index))].into_iter().chain(all.iter().cloned());
            return (own.collect(), None);
        };
        (all.clone(), Some(Fixed { address, prefix, gateway: wanted.gateway, dns: &wanted.dns }))
    };
    let planned = individuals.iter().enumerate().map(|(index, Individual { name, personal, .. })| {
        let (names, address) = files(index);
        let own = OwnFiles { hostname: &hostnames[index], names, keys: &personal.keys, address };
        // A copy without its own address has the image's, if that is fixed.
        let address = places[index].or(texts.fixed());
        let (hostname, has_keys) = (hostnames[index].clone(), !personal.keys.is_empty());
        Planned { name: name.clone(), hostname, address, has_keys, files: texts.files(&own) }
    });
    Ok(planned.collect())
}

/// The addresses of the copies that get one.
fn places(newcomers: &[Newcomer<'_>], wanted: &WantedFiles) -> Result<Vec<Option<(Ipv4Addr, u8)>>, Vec<NoPlace>> {
    let mut faults = network::misnamed(newcomers, &[]);
    let addressed: Vec<usize> = (0..newcomers.len()).filter(|index| newcomers[*index].address.is_some()).collect();
    let of_those: Vec<Newcomer<'_>> = addressed.iter().map(|index| newcomers[*index]).collect();
    let mut places = vec![None; newcomers.len()];
    match network::addresses(&of_those, &[]) {
        Ok(found) => addressed.iter().zip(found).for_each(|(index, place)| places[*index] = Some(place)),
        Err(more) => faults.extend(more.into_iter().map(|fault| NoPlace { index: addressed[fault.index], ..fault })),
    }
    for (index, place) in places.iter().enumerate() {
        let (Some((address, prefix)), Some(gateway)) = (*place, wanted.gateway) else { continue };
        if gateway == address {
            let why = format!("{address} is the gateway's address");
            faults.push(NoPlace { index, why, help: "begin behind it, or name another gateway" });
        } else if !network::reaches(address, prefix, gateway) {
            let why = format!("the gateway {gateway} is no machine on the network of {address}/{prefix}");
            faults.push(NoPlace { index, why, help: "name another, or write the prefix length behind the address: 10.0.0.11/16" });
        }
    }
    if faults.is_empty() { Ok(places) } else { Err(faults) }
}
