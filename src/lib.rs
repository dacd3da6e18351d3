//! goldsmith turns one TOML recipe into a golden VM image that has been proved to work.
//!
//! # The flow
//!
//! ```text
//! file ─recipe::load→ Recipe ─sources::resolve→ Resolved (Pins, VerifiedFiles) ─plan::plan→ Plan, a Job for each stage
//!      ─stages, each a layer from the cache or a machine's work→ sealed Layer ─image::export→ qcow2
//!      ─verify::verify (disk read, system booted, boot path walked)→ Report ─artifact::Draft::publish→ Artifact
//! ```
//!
//! [`pipeline`] is that line as code, on one page. Values move right only; what flows back is [`base::event`]s and errors.
//!
//! # The house
//!
//! The modules below stand in reading order, and each may import those above it only as far as `tests/architecture` says. No file imports
//! itself through others: what two files need of each other has a file of its own, which both import.
//!
//! - [`base`] has what means the same everywhere: sizes, digests, events, failures, the wrapper around external programs.
//! - [`hardware`] has words that a recipe, a disk and a machine share: firmware, partition table, format of an image file.
//! - [`recipe`] knows what the user wants, [`kickstart`] the language of one installer, [`installer`] how the first becomes what
//!   an installer reads. All three are pure: no file, no process, no clock.
//! - [`packages`] knows what a repository offers and what a system gets of it; pure as well.
//! - [`cache`] keeps bytes under ids, [`sources`] pins inputs by digest, [`plan`] names the stages by content.
//! - [`handover`] knows the documents that hypervisors, clouds and registries want with an image; pure. Exports and clones are written with them.
//! - [`machine`] runs one QEMU and scripts as root in it, and does not know what for. [`image`] reads and writes disks at rest, and
//!   does not know who runs them.
//! - [`inventory`] tells which packages an image has, [`sbom`] says it in the words of SPDX and CycloneDX, [`compare`] tells what two
//!   images differ in, [`audit`] what one should not give away. [`stages`] execute a plan, [`verify`] judges the result without knowing how
//!   it was made, [`artifact`] is what is published, [`run`] starts it again as a local VM: at the terminal, or under a name, in a
//!   process of its own; or makes disks of it that are each one's own, to be run elsewhere. Two of them prove that clones differ.
//! - [`report`] writes the page that people read of a build, good or failed.
//! - [`cli`] is the only printer, the only reader of the environment and the only place that knows exit codes.
//!
//! # What is never there
//!
//! - No success without the guest's word: a nonce over the runner's port, then a clean power-off. A power-off alone is an event.
//! - No port, no root, no agent, no password to get in: unix sockets and virtio-serial, user namespaces, direct kernel boot.
//! - No half-made file under a final name ([`base::atomic`]), no child that outlives us ([`base::process`]), no wait for a
//!   guest without a deadline that knows the accelerator ([`machine::watch`]).
//! - No second thread that spawns: the runtime is the main thread's own, since a child's parent-death signal fires with the thread
//!   that spawned it.
//!
//! # On disk
//!
//! The store ([`cache`]) holds layers, fetched files, locks, scratch directories, what was found out once (digests of files), and the secret that
//! salts are derived from. An artifact ([`artifact`]) is a directory: `NAME.qcow2`, the same disk in the formats that the recipe's `[output]` names
//! (`NAME.vmdk`, …), `manifest.json`, `report.html`, `SHA256SUMS`, `build.ndjson`. A failed build leaves `NAME.failed-TIME` instead. The machines of [`run`]
//! that have names are kept in the user's state directory, each in a directory of its own (`run/record.rs`).

pub mod base;
pub mod hardware;
pub mod recipe;
pub mod kickstart;
pub mod installer;
pub mod packages;
pub mod cache;
pub mod sources;
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
pub mod report;
pub mod run;
pub mod pipeline;
pub mod cli;
