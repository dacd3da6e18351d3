//! OpenPGP (RFC 4880), as much of it as shows what is handed to gpgv: which keys a file has, and whether a signature is one.
//!
//! No cryptography is done here. Armor is taken off, since gpgv 2.2 reads keyrings without it; keys are told apart by their fingerprints;
//! and what is not exactly one signature over binary data never gets as far as gpgv.

mod armor;
mod keys;
mod packet;
mod signature;

pub use keys::{KeyBlock, keys};
pub use signature::{HashAlgorithm, Signature, detached};
