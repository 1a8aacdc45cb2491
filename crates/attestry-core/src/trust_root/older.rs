//! Log entries of kinds that older clients wrote and the library cannot read: `intoto` 0.0.1 of Rekor v1 and `dsse`
//! 0.0.2 of early Rekor v2.
//!
//! The library's entry has no place for their kind. Everything else about them is as in other entries: they are read
//! into its type, and what they say is compared here.

use serde::Deserialize;
use serde_json::value::RawValue;
use sigstore_verify::types::TransparencyLogEntry;

use super::{Refusal, SignedContent};
use crate::{Digest, ReasonCode, crypto::PublicKey, envelope::decode_base64, strict_json};

/// An entry of an older kind.
pub(super) struct OlderEntry {
    pub(super) entry: TransparencyLogEntry,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// github.com/sigstore/rekor, `pkg/types/intoto/v0.0.1`.
    Intoto001,
    /// github.com/sigstore/rekor-tiles, `dsse/v0.0.2`, until 2026-06.
    Dsse002,
}

/// Who an entry must name.
#[derive(Debug, Clone, Copy)]
pub(super) enum Signer<'a> {
    /// Exactly this certificate, as DER.
    Certificate(&'a [u8]),
    Key(&'a PublicKey),
}

impl OlderEntry {
    /// The entry, if it says that it is of an older kind.
    pub(super) fn read(json: &RawValue, kind: &str, version: &str) -> Option<serde_json::Result<Self>> {
        // A kind that the library has, of the same generation: what it says of indexes and times it says alike.
        let (kind, like) = match (kind, version) {
            ("intoto", "0.0.1") => (Kind::Intoto001, ("intoto", "0.0.2")),
            ("dsse", "0.0.2") => (Kind::Dsse002, ("hashedrekord", "0.0.2")),
            _ => return None,
        };
        let read = || {
            let mut members: serde_json::Map<String, serde_json::Value> = serde_json::from_str(json.get())?;
            members.insert("kindVersion".to_owned(), serde_json::json!({"kind": like.0, "version": like.1}));
            Ok(Self { entry: serde_json::from_value(members.into())?, kind })
        };
        Some(read())
    }

    /// The entry is about this very signature by this signer.
    pub(super) fn describes(&self, content: &SignedContent<'_>, signer: Signer<'_>) -> Result<(), Refusal> {
        let body = self.entry.canonicalized_body.as_bytes();
        match (self.kind, content) {
            // It holds no signature. It names the envelope by its bytes, which only cosign's layout keeps.
            (Kind::Intoto001, SignedContent::Envelope { payload, legacy_json: Some(json), .. }) => {
                let body: Intoto001 = read_body(body, ("intoto", "0.0.1"))?;
                body.content.hash.is_of(json, "envelope")?;
                if let Some(hash) = &body.content.payload_hash {
                    hash.is_of(payload, "payload")?;
                }
                signer.is_in_pem(&body.public_key)
            }
            (Kind::Dsse002, SignedContent::Envelope { payload, signature, .. }) => {
                let body: Dsse002 = read_body(body, ("dsse", "0.0.2"))?;
                let Dsse002 { dsse: DsseV002 { payload_hash, signatures } } = body;
                if payload_hash.algorithm != "SHA2_256"
                    || decode_base64(&payload_hash.digest).as_deref() != Some(Digest::of(payload).as_bytes())
                {
                    return Err(other(&"its log entry is about another payload"));
                }
                let [logged] = signatures.as_slice() else {
                    return Err(other(&"its log entry is about more or fewer than one signature"));
                };
                if decode_base64(&logged.content).as_deref() != Some(*signature) {
                    return Err(other(&"its log entry is about another signature"));
                }
                let Verifier { x509_certificate, public_key } = &logged.verifier;
                match (x509_certificate, public_key) {
                    (Some(raw), None) => signer.is(&Named::Certificate(raw.decoded()?)),
                    (None, Some(raw)) => signer.is(&Named::Key(raw.decoded()?)),
                    _ => Err(other(&"its log entry names no signer")),
                }
            }
            _ => Err(other(&"its log entry is about an envelope")),
        }
    }
}

/// A signer as an entry names it, as DER.
enum Named {
    Certificate(Vec<u8>),
    Key(Vec<u8>),
}

impl Signer<'_> {
    fn is_in_pem(self, base64: &str) -> Result<(), Refusal> {
        let block = decode_base64(base64).and_then(|text| pem::parse(text).ok());
        match block {
            Some(block) if block.tag() == "CERTIFICATE" => self.is(&Named::Certificate(block.into_contents())),
            Some(block) if block.tag() == "PUBLIC KEY" => self.is(&Named::Key(block.into_contents())),
            _ => Err(other(&"its log entry names no signer")),
        }
    }

    /// A certificate must be named itself; a key may be named by a certificate for it.
    fn is(self, named: &Named) -> Result<(), Refusal> {
        let same = match (self, named) {
            (Self::Certificate(der), Named::Certificate(named)) => der == named,
            (Self::Certificate(_), Named::Key(_)) => false,
            (Self::Key(key), Named::Key(named)) => key.spki_der() == named,
            (Self::Key(key), Named::Certificate(named)) => {
                super::certified_key(named).is_some_and(|named| named.spki_der() == key.spki_der())
            }
        };
        if same { Ok(()) } else { Err(other(&"its log entry is about another signer")) }
    }
}

/// The `spec` of an entry that is what it is said to be.
fn read_body<T: serde::de::DeserializeOwned>(body: &[u8], (kind, version): (&str, &str)) -> Result<T, Refusal> {
    let unreadable = |error: &dyn std::fmt::Display| {
        other(&crate::reason::clean(&format!("its log entry cannot be read: {error}"), 256))
    };
    let body: Body = strict_json::read(body).map_err(|error| unreadable(&error))?;
    if (body.kind.as_str(), body.api_version.as_str()) != (kind, version) {
        return Err(other(&"its log entry is of another kind than it says"));
    }
    serde_json::from_str(body.spec.get()).map_err(|error| unreadable(&error))
}

fn other(message: &dyn std::fmt::Display) -> Refusal {
    Refusal::new(ReasonCode::LogEntryMismatch, message)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    api_version: String,
    kind: String,
    spec: Box<RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Intoto001 {
    content: Intoto001Content,
    /// PEM of certificate or key, in base64.
    public_key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Intoto001Content {
    hash: HexHash,
    /// Since 2022; older entries have none.
    payload_hash: Option<HexHash>,
}

#[derive(Deserialize)]
struct HexHash {
    algorithm: String,
    value: String,
}

impl HexHash {
    fn is_of(&self, bytes: &[u8], what: &str) -> Result<(), Refusal> {
        match self.algorithm == "sha256" && self.value == Digest::of(bytes).hex() {
            true => Ok(()),
            false => Err(other(&format!("its log entry is about another {what}"))),
        }
    }
}

#[derive(Deserialize)]
struct Dsse002 {
    #[serde(rename = "dsseV002")]
    dsse: DsseV002,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DsseV002 {
    payload_hash: Base64Hash,
    signatures: Vec<LoggedSignature>,
}

#[derive(Deserialize)]
struct Base64Hash {
    algorithm: String,
    digest: String,
}

#[derive(Deserialize)]
struct LoggedSignature {
    content: String,
    verifier: Verifier,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Verifier {
    x509_certificate: Option<RawBytes>,
    public_key: Option<RawBytes>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBytes {
    raw_bytes: String,
}

impl RawBytes {
    fn decoded(&self) -> Result<Vec<u8>, Refusal> {
        decode_base64(&self.raw_bytes).ok_or_else(|| other(&"its log entry names no signer"))
    }
}
