//! goldsmith turns one TOML recipe into a golden VM image that has been proved to work.
//!
//! # The flow
//!
//! ```text
//! file ─recipe::load→ Recipe ─Answers::of→ Answers, what the installer is told
//!      ─sources::resolve→ Resolved ─closure::choose→ Chosen, all by digest ─plan::plan→ Plan, a Job for each stage
//!      ─sources::prove, gather→ what an installation reads ─stages, each a layer from the cache or a machine's work→ sealed Layer ─image::export→ qcow2
//!      ─verify::verify (disk read, system booted, boot path walked)→ Report ─artifact::Draft::publish→ Artifact
//! ```
//!
//! A machine of [`run`] that was changed by hand enters at the sealing, with an artifact as its parent in the place of a recipe.
//!
//! [`pipeline`] is that line as code, on one page. Values only move to the right; only [`base::event`]s and errors come back.
//!
//! # The house
//!
//! The modules below stand in reading order, and each may import those above it only as far as `tests/architecture` says. There are no
//! import circles between files: if two files need something from each other, it is in a third file, which both import.
//!
//! - [`base`] has what all modules use: sizes, digests, events, failures, the wrapper around external programs.
//! - [`hardware`] has what a recipe, a disk and a machine share: firmware, partition table, format of an image file, and what a machine is given.
//! - [`recipe`] knows what the user wants, [`kickstart`] the language of one installer, [`installer`] how the first becomes what
//!   an installer reads. All three are pure: no file, no process, no clock.
//! - [`packages`] knows what a repository offers and what a system gets of it; pure as well.
//! - [`cache`] keeps bytes under ids, [`sources`] pins inputs by digest, [`closure`] works out the packages that an installation gets, and which of
//!   them come from online repositories, [`plan`] names the stages by content.
//! - [`handover`] makes the documents that hypervisors, clouds and registries need with an image; pure. Exports and clones are written with
//!   them.
//! - [`machine`] runs one QEMU and scripts as root in it, for any purpose. [`image`] reads and writes disks at rest, and does not
//!   depend on machines.
//! - [`inventory`] lists the packages of an image, [`sbom`] writes them as SPDX and CycloneDX, [`compare`] finds the differences of two
//!   images, [`audit`] finds data that an image must not give away. [`stages`] execute a plan, [`verify`] judges the result without
//!   knowing how it was made, [`artifact`] is the published directory, [`run`] starts it again as a local VM: at the terminal, or under a
//!   name, in a separate process; or makes disks from it with different identities, to be run elsewhere. Two machines prove that clones
//!   differ.
//! - [`preflight`] reports all that can be known about a build before its first boot.
//! - [`report`] writes the page about a build for people, whether it succeeded or failed.
//! - Only [`cli`] prints, reads the environment and uses exit codes.
//!
//! # What is never there
//!
//! - No success without a proof by the guest: a nonce over the runner's port, then a clean power-off. A power-off alone proves nothing.
//! - No port, no root, no agent, no password to get in: unix sockets and virtio-serial, user namespaces, direct kernel boot.
//! - No half-made file under a final name ([`base::atomic`]), no child that outlives us ([`base::process`]), no wait for a
//!   guest without a deadline that knows the accelerator ([`machine::watch`]).
//! - No second thread that spawns: the runtime is the main thread's own, since a child's parent-death signal fires with the thread
//!   that spawned it.
//!
//! # On disk
//!
//! The store ([`cache`]) holds layers, saved states of booted systems, fetched files, copies of images, locks, scratch directories, remembered results (digests of files), and the secret
//! that salts are derived from. An artifact ([`artifact`]) is a directory: `NAME.qcow2`, the same disk in the formats that the recipe's
//! `[output]` names (`NAME.vmdk`, …), the saved state of its system if that is wanted (`NAME.warm.tar.zst`), `manifest.json`, `report.html`, `SHA256SUMS`, `build.ndjson`. A failed build leaves
//! `NAME.failed-TIME` instead. The machines of [`run`] that have names are kept in the user's state directory, each in a directory of its
//! own (`run/record.rs`).

pub mod base;
pub mod hardware;
pub mod recipe;
pub mod kickstart;
pub mod installer;
pub mod packages;
pub mod cache;
pub mod sources;
pub mod closure;
pub mod plan;
pub mod machine;
pub mod handover;
pub mod image;
pub mod inventory;
pub mod sbom;
pub mod compare;
pub mod stages;
pub mod audit;
pub mod verify;
pub mod artifact;
pub mod preflight;
pub mod report;
pub mod run;
pub mod pipeline;
pub mod cli;
