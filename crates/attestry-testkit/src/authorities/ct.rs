//! A certificate transparency log that promises to include certificates, and keeps none.

use attestry_core::{Digest, Timestamp};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use der::Encode as _;
use p256::ecdsa::SigningKey;
use serde_json::{Value, json};

use super::{certificate, period};

/// The log of one name (RFC 6962): its key is the same in every run.
#[derive(Debug, Clone)]
pub struct CtLog {
    name: String,
    key: SigningKey,
    extensions: Vec<u8>,
}

impl CtLog {
    /// The log of this name. Its promises carry no extensions.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), key: certificate::key(&format!("ct log {name}")), extensions: Vec::new() }
    }

    /// Puts these bytes into the extensions field of each promise, where verifiers tend to expect nothing.
    #[must_use]
    pub fn with_extensions(mut self, extensions: &[u8]) -> Self {
        extensions.clone_into(&mut self.extensions);
        self
    }

    /// SHA-256 of the public key.
    pub fn log_id(&self) -> [u8; 32] {
        *Digest::of(self.public_key_der()).as_bytes()
    }

    /// The key that promises are checked with: `SubjectPublicKeyInfo` in DER.
    pub fn public_key_der(&self) -> Vec<u8> {
        certificate::public_key(&self.key).to_der().unwrap()
    }

    /// A signed certificate timestamp: the promise to include a certificate that the holder of `issuer_key_der` will
    /// issue with the contents `tbs_der`.
    pub fn promise(&self, issuer_key_der: &[u8], tbs_der: &[u8], at: Timestamp) -> Vec<u8> {
        const VERSION_1: u8 = 0;
        const CERTIFICATE_TIMESTAMP: u8 = 0;
        const PRECERTIFICATE_ENTRY: u16 = 1;
        const SHA256_ECDSA: [u8; 2] = [4, 3];
        let milliseconds = u64::try_from(at.as_millisecond()).unwrap().to_be_bytes();

        let mut signed = vec![VERSION_1, CERTIFICATE_TIMESTAMP];
        signed.extend(milliseconds);
        signed.extend(PRECERTIFICATE_ENTRY.to_be_bytes());
        signed.extend(Digest::of(issuer_key_der).as_bytes());
        // A length of three bytes.
        signed.extend(&u32::try_from(tbs_der.len()).unwrap().to_be_bytes()[1..]);
        signed.extend(tbs_der);
        signed.extend(prefixed(&self.extensions));

        let mut promise = vec![VERSION_1];
        promise.extend(self.log_id());
        promise.extend(milliseconds);
        promise.extend(prefixed(&self.extensions));
        promise.extend(SHA256_ECDSA);
        promise.extend(prefixed(&certificate::signature(&self.key, &signed)));
        promise
    }

    /// The log's element of `ctlogs` in `trusted_root.json`.
    pub fn trusted_root_entry(&self, start: Timestamp, end: Option<Timestamp>) -> Value {
        json!({
            "baseUrl": format!("https://{}.test", self.name),
            "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": STANDARD.encode(self.public_key_der()),
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                "validFor": period(start, end),
            },
            "logId": { "keyId": STANDARD.encode(self.log_id()) },
        })
    }
}

/// The list that a certificate embeds, before it is wrapped into an octet string.
pub(super) fn list(promises: &[Vec<u8>]) -> Vec<u8> {
    prefixed(&promises.iter().flat_map(|promise| prefixed(promise)).collect::<Vec<_>>())
}

/// The bytes after their length, which takes two bytes.
fn prefixed(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}
