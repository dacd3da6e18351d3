//! Public keys of ssh. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::fault::Fault;
use super::text::ends_or_hides_a_line;
use super::word::word;

/// Key types of OpenSSH that both EL7 (7.4) and Debian 12 accept.
const KEY_TYPES: [&str; 5] = ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"];

word! {
    /// A line of `authorized_keys`, without options.
    PublicKey, public_key
}

/// The fault does not repeat the text: it may be a private key.
fn public_key(text: &str) -> Result<(), Fault> {
    let help = "copy the one line of a `.pub` file: `ssh-ed25519 AAAA… comment`";
    if text.contains("PRIVATE KEY") {
        return Err(Fault::new("this is a private key, which has no place here", help));
    }
    let mut words = text.split(' ');
    let (kind, blob) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if text.contains(ends_or_hides_a_line) {
        return Err(Fault::new("a public key is one line", help));
    }
    if !KEY_TYPES.contains(&kind) {
        return Err(Fault::new("this is not a public key", format!("{help}; known are {}", KEY_TYPES.join(", "))));
    }
    // RFC 4253, 6.6: the blob begins with the length and the name of the key type.
    let head: Vec<u8> = [&(kind.len() as u32).to_be_bytes()[..], kind.as_bytes()].concat();
    match STANDARD.decode(blob).ok() {
        Some(bytes) if bytes.starts_with(&head) && bytes.len() > head.len() + 32 => Ok(()),
        _ => Err(Fault::new("this public key is cut short or garbled", help)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_whole_and_public() {
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ4NYKx3kLcbnDQZ8cGpT8PKuOBcXCHRPrzaHKTOx3f1 me@here";
        assert_eq!(key.parse::<PublicKey>().unwrap(), key);
        for text in [
            "",
            "ssh-ed25519",
            "ssh-ed25519 AAAA",
            "ssh-dss AAAA",
            &key[..60],
            &key.replace("ed25519 ", "rsa "),
            &format!("{key}\n"),
            &format!("{key}\u{2028}"),
            "-----BEGIN OPENSSH PRIVATE KEY-----",
        ] {
            let fault = text.parse::<PublicKey>().unwrap_err();
            assert!(text.is_empty() || !fault.what.contains(text), "{text}");
        }
    }
}
