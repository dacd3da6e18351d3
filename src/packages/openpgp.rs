//! OpenPGP (RFC 4880), as far as needed before gpgv is called: which keys a file has, and whether a file is a signature.
//!
//! No cryptography is done here. Armor is taken off, since gpgv 2.2 reads keyrings without it; keys are told apart by their fingerprints;
//! and a file that is not exactly one signature over binary data is not given to gpgv.

mod armor;
mod keys;
mod packet;
mod signature;

pub use keys::{KeyBlock, keys};
pub use signature::{HashAlgorithm, Signature, detached};
