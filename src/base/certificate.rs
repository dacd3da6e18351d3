//! Certificates of X.509, in PEM. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::{PemObject, SectionKind};
use x509_cert::Certificate as X509;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};

use super::digest::Sha256Digest;
use super::text::printable;

/// The certificate of an authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Whose it is (RFC 4514): `CN=Lab CA,O=Lab`.
    pub subject: String,
    /// Who signed it: its subject itself, when it is a root.
    pub issuer: String,
    /// When it begins to be valid, in seconds since 1970.
    pub not_before: u64,
    /// When it ends to be valid, in seconds since 1970.
    pub not_after: u64,
    /// Of its DER, as `openssl x509 -fingerprint -sha256` tells it.
    pub sha256: Sha256Digest,
    der: Vec<u8>,
}

/// Why some bytes are no certificate of an authority. They are not repeated: they may be a private key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the sentences say it")]
pub enum NotAnAuthority {
    #[error("there is a private key in it, which has no place here")]
    PrivateKey,
    #[error("there is no certificate in PEM in it")]
    NotPem,
    #[error("there are {0} certificates in it")]
    Several(usize),
    #[error("this certificate is cut short or garbled")]
    Garbled,
    #[error("`{0}` is not the certificate of an authority: its basic constraints do not say `CA:TRUE`")]
    Leaf(String),
    #[error("`{0}` is not the certificate of an authority: its key usage does not say that it signs certificates (`keyCertSign`)")]
    SignsNothing(String),
}

impl NotAnAuthority {
    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::PrivateKey => "keep the key where it is used, and give the certificate alone: what begins with `BEGIN CERTIFICATE`",
            Self::NotPem => {
                "give a text with `-----BEGIN CERTIFICATE-----`; `openssl x509 -inform DER -in FILE` prints it of a binary file"
            }
            Self::Several(_) => "give each its own table: Debian looks an authority up by the first certificate of a file alone",
            Self::Garbled => "copy it again, from `-----BEGIN CERTIFICATE-----` to `-----END CERTIFICATE-----`",
            Self::Leaf(_) | Self::SignsNothing(_) => {
                "give the certificate of the authority that signed it; what is trusted on EL7 is authorities alone"
            }
        }
    }
}

/// Whether some line of `bytes` begins or ends a private key in PEM, of any kind.
pub fn holds_private_key(bytes: &[u8]) -> bool {
    String::from_utf8_lossy(bytes).contains("PRIVATE KEY-----")
}

impl Certificate {
    /// The one certificate of an authority in `pem`, which may hold other text around it.
    ///
    /// # Errors
    /// It is something else.
    pub fn of_pem(pem: &[u8]) -> Result<Self, NotAnAuthority> {
        if holds_private_key(pem) {
            return Err(NotAnAuthority::PrivateKey);
        }
        let sections: Result<Vec<_>, _> = <(SectionKind, Vec<u8>)>::pem_slice_iter(pem).collect();
        let sections = sections.map_err(|_| NotAnAuthority::Garbled)?;
        let mut certificates = sections.into_iter().filter(|(kind, _)| *kind == SectionKind::Certificate).map(|(_, der)| der);
        let der = certificates.next().ok_or(NotAnAuthority::NotPem)?;
        match certificates.count() {
            0 => Self::of_der(der),
            more => Err(NotAnAuthority::Several(more + 1)),
        }
    }

    /// RFC 5280, 4.2.1.9: authorities say so. Certificates of version 1, which cannot, are not taken for one.
    fn of_der(der: Vec<u8>) -> Result<Self, NotAnAuthority> {
        let parsed = X509::from_der(&der).map_err(|_| NotAnAuthority::Garbled)?;
        let said = parsed.tbs_certificate();
        let subject = printable(&said.subject().to_string());
        let constraints = said.get_extension::<BasicConstraints>().map_err(|_| NotAnAuthority::Garbled)?;
        if !constraints.is_some_and(|(_, constraints)| constraints.ca) {
            return Err(NotAnAuthority::Leaf(subject));
        }
        // RFC 5280, 4.2.1.3: where there is a key usage, it has to say so.
        let usage = said.get_extension::<KeyUsage>().map_err(|_| NotAnAuthority::Garbled)?;
        if usage.is_some_and(|(_, usage)| !usage.key_cert_sign()) {
            return Err(NotAnAuthority::SignsNothing(subject));
        }
        let validity = said.validity();
        Ok(Self {
            subject,
            issuer: printable(&said.issuer().to_string()),
            not_before: validity.not_before.to_unix_duration().as_secs(),
            not_after: validity.not_after.to_unix_duration().as_secs(),
            sha256: Sha256Digest::of(&der),
            der,
        })
    }

    /// The same in PEM (RFC 7468), without what stood around it.
    pub fn pem(&self) -> String {
        let text = STANDARD.encode(&self.der);
        let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
        // Base 64 is ASCII.
        for line in text.as_bytes().chunks(64) {
            pem.push_str(&String::from_utf8_lossy(line));
            pem.push('\n');
        }
        pem + "-----END CERTIFICATE-----\n"
    }
}

/// Digests of the certificates of a bundle, such as `/etc/ssl/certs/ca-certificates.crt`, up to the first that is garbled.
pub fn digests(bundle: &[u8]) -> Vec<Sha256Digest> {
    let sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(bundle).map_while(Result::ok);
    sections.filter(|(kind, _)| *kind == SectionKind::Certificate).map(|(_, der)| Sha256Digest::of(&der)).collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// What `openssl` makes: a certificate with these basic constraints, and its key.
    fn made(constraints: Option<&str>) -> (Vec<u8>, Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        let mut openssl = Command::new("openssl");
        openssl.current_dir(&dir).args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "30"]);
        openssl.args(["-subj", "/O=Lab, the/CN=Lab CA", "-keyout", "key", "-out", "pem", "-config", "config"]);
        let extensions = constraints.map(|said| format!("x509_extensions = e\n[e]\nbasicConstraints = {said}\n")).unwrap_or_default();
        std::fs::write(dir.path().join("config"), format!("[req]\ndistinguished_name = d\n{extensions}[d]\n")).unwrap();
        let ran = openssl.output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        (std::fs::read(dir.path().join("pem")).unwrap(), std::fs::read(dir.path().join("key")).unwrap())
    }

    #[test]
    fn an_authority_is_told_from_everything_else() {
        let (pem, key) = made(Some("critical,CA:TRUE"));
        let found = Certificate::of_pem(&pem).unwrap();
        assert_eq!((&*found.subject, &*found.issuer), ("CN=Lab CA,O=Lab\\, the", "CN=Lab CA,O=Lab\\, the"));
        assert!(Certificate::of_pem(&made(Some("CA:TRUE\nkeyUsage = keyCertSign")).0).is_ok());
        assert_eq!(found.not_after - found.not_before, 30 * 86_400);
        // openssl's own text, and CRLF and words around it.
        assert_eq!(found.pem().as_bytes(), pem);
        let windows = format!("subject=x\r\n{}", String::from_utf8_lossy(&pem).replace('\n', "\r\n"));
        assert_eq!(Certificate::of_pem(windows.as_bytes()), Ok(found.clone()));
        assert_eq!(digests(&[&pem[..], b"# more\n", &pem].concat()), [found.sha256, found.sha256]);

        let leaf = made(Some("CA:FALSE")).0;
        for (bytes, error) in [
            (key.clone(), NotAnAuthority::PrivateKey),
            ([&pem[..], &key].concat(), NotAnAuthority::PrivateKey),
            ([&pem[..], &leaf].concat(), NotAnAuthority::Several(2)),
            (leaf, NotAnAuthority::Leaf("CN=Lab CA,O=Lab\\, the".to_owned())),
            (made(None).0, NotAnAuthority::Leaf("CN=Lab CA,O=Lab\\, the".to_owned())),
            (
                made(Some("CA:TRUE\nkeyUsage = digitalSignature, cRLSign")).0,
                NotAnAuthority::SignsNothing("CN=Lab CA,O=Lab\\, the".to_owned()),
            ),
            (b"".to_vec(), NotAnAuthority::NotPem),
            (b"\x30\x82\x01".to_vec(), NotAnAuthority::NotPem),
            (pem[..pem.len() / 2].to_vec(), NotAnAuthority::Garbled),
            (String::from_utf8_lossy(&pem).replacen("MII", "MI", 1).into_bytes(), NotAnAuthority::Garbled),
            (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec(), NotAnAuthority::Garbled),
        ] {
            assert_eq!(Certificate::of_pem(&bytes), Err(error), "{}", String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn no_piece_of_a_certificate_panics() {
        let (pem, _) = made(Some("CA:TRUE"));
        let der = Certificate::of_pem(&pem).unwrap().der;
        for at in 0..der.len() {
            let _ = Certificate::of_der(der[..at].to_vec());
            let mut bent = der.clone();
            bent[at] ^= 0x55;
            let _ = Certificate::of_der(bent);
        }
    }
}
