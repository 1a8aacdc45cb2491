//! A request to a log, read strictly: what is unknown, wrongly hashed or wrongly signed is refused.

use attestry_core::{
    Digest, canonical,
    crypto::{Algorithm, PublicKey},
    envelope::{EnvelopeJson, UnverifiedEnvelope, pae},
    strict_json,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use p256::{
    ecdsa::{DerSignature, VerifyingKey, signature::hazmat::PrehashVerifier as _},
    pkcs8::DecodePublicKey as _,
};
use serde::Deserialize;
use serde_json::{Value, json};

use self::shape::{
    Dsse, DsseV002, Hash, HashedRekord, HashedRekordV002, IntotoV001, IntotoV002, Proposal, RawBytes, RequestV2,
    VerifierV2,
};
use super::{
    Generation,
    propose::{P256, Verifier, hex_digest},
};

mod shape;

/// Why a log does not take an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Unknown or absent members, or members of another type.
    #[error("the request does not have the shape of a known entry: {0}")]
    Shape(String),
    /// A kind or version that this log does not keep.
    #[error("{kind} {version} is not kept here")]
    Kind {
        /// The kind asked for.
        kind: String,
        /// Its version.
        version: String,
    },
    /// Something that should be base64, hexadecimal or PEM is not.
    #[error("{0} cannot be decoded")]
    Encoding(&'static str),
    /// A hash that is not that of the content beside it, or of another algorithm.
    #[error("{0} is not the hash of what it stands beside")]
    Hash(&'static str),
    /// A certificate or a key that is not understood, or another than its details say.
    #[error("the verifier is not a certificate or a key that is understood here")]
    Verifier,
    /// The signature does not verify.
    #[error("the signature does not verify")]
    Signature,
    /// The log has this entry.
    #[error("an equivalent entry exists at index {index}")]
    Duplicate {
        /// Its index in the tree, from zero.
        index: usize,
    },
}

/// An entry that may be logged.
#[derive(Debug, Clone)]
pub(crate) struct Accepted {
    /// What kind it is.
    pub(crate) kind: &'static str,
    /// And of which version.
    pub(crate) version: &'static str,
    /// The canonical body that is the leaf.
    pub(crate) body: Vec<u8>,
}

impl Accepted {
    /// Reads and checks a request of this generation.
    pub(crate) fn read(generation: Generation, request: &Value) -> Result<Self, Refusal> {
        match generation {
            Generation::V1 => {
                let proposal: Proposal = shape(request)?;
                match (proposal.kind.as_str(), proposal.api_version.as_str()) {
                    ("hashedrekord", "0.0.1") => hashedrekord(&shape(&proposal.spec)?),
                    ("dsse", "0.0.1") => dsse(&shape(&proposal.spec)?),
                    ("intoto", "0.0.1") => intoto_v001(&shape(&proposal.spec)?),
                    ("intoto", "0.0.2") => intoto_v002(&shape(&proposal.spec)?),
                    _ => Err(Refusal::Kind { kind: proposal.kind, version: proposal.api_version }),
                }
            }
            Generation::V2 => match shape(request)? {
                RequestV2::HashedRekord(rekord) => hashedrekord_v002(&rekord),
                RequestV2::Dsse(dsse) => dsse_v002(&dsse),
            },
        }
    }

    fn new(kind: &'static str, version: &'static str, spec: Value) -> Self {
        let body = canonical::to_vec(&json!({ "apiVersion": version, "kind": kind, "spec": spec }));
        Self { kind, version, body }
    }
}

fn hashedrekord(spec: &HashedRekord) -> Result<Accepted, Refusal> {
    let hash = sha256("data.hash", &spec.data.hash)?;
    let signature = base64("signature.content", &spec.signature.content)?;
    let verifier = OwnedVerifier::from_pem(&spec.signature.public_key.content)?;
    verifier.check_hash(&hash, &signature)?;
    let spec = json!({
        "data": { "hash": { "algorithm": "sha256", "value": hex::encode(hash) } },
        "signature": {
            "content": STANDARD.encode(signature),
            "publicKey": { "content": STANDARD.encode(verifier.get().pem()) },
        },
    });
    Ok(Accepted::new("hashedrekord", "0.0.1", spec))
}

fn dsse(spec: &Dsse) -> Result<Accepted, Refusal> {
    let text = &spec.proposed_content.envelope;
    let envelope = envelope(text)?;
    let verifiers: Vec<OwnedVerifier> = (spec.proposed_content.verifiers.iter())
        .map(|verifier| OwnedVerifier::from_pem(verifier))
        .collect::<Result<_, _>>()?;
    let mut signatures = Vec::new();
    for signature in &envelope.signatures {
        let verifier = (verifiers.iter())
            .find(|verifier| verifier.check(&envelope.signed_bytes(), signature).is_ok())
            .ok_or(Refusal::Signature)?;
        let verifier = STANDARD.encode(verifier.get().pem());
        signatures.push(json!({ "signature": STANDARD.encode(signature), "verifier": verifier }));
    }
    if signatures.len() != verifiers.len() {
        return Err(Refusal::Verifier);
    }
    signatures.sort_by_key(|signature| signature["signature"].to_string());
    let spec = json!({
        "envelopeHash": { "algorithm": "sha256", "value": hex_digest(text.as_bytes()) },
        "payloadHash": { "algorithm": "sha256", "value": hex_digest(&envelope.payload) },
        "signatures": signatures,
    });
    Ok(Accepted::new("dsse", "0.0.1", spec))
}

fn intoto_v001(spec: &IntotoV001) -> Result<Accepted, Refusal> {
    let text = &spec.content.envelope;
    let envelope = envelope(text)?;
    let verifier = OwnedVerifier::from_pem(&spec.public_key)?;
    for signature in &envelope.signatures {
        verifier.check(&envelope.signed_bytes(), signature)?;
    }
    let (hash, payload_hash) = (hex_digest(text.as_bytes()), hex_digest(&envelope.payload));
    for (what, said, found) in
        [("hash", &spec.content.hash, &hash), ("payloadHash", &spec.content.payload_hash, &payload_hash)]
    {
        if said.as_ref().is_some_and(|said| said.algorithm != "sha256" || said.value != *found) {
            return Err(Refusal::Hash(what));
        }
    }
    let spec = json!({
        "content": {
            "hash": { "algorithm": "sha256", "value": hash },
            "payloadHash": { "algorithm": "sha256", "value": payload_hash },
        },
        "publicKey": STANDARD.encode(verifier.get().pem()),
    });
    Ok(Accepted::new("intoto", "0.0.1", spec))
}

fn intoto_v002(spec: &IntotoV002) -> Result<Accepted, Refusal> {
    let content = &spec.content;
    let twice = |what, text: &str| {
        let inner = String::from_utf8(base64(what, text)?).map_err(|_| Refusal::Encoding(what))?;
        base64(what, &inner)
    };
    let payload = twice("envelope.payload", &content.envelope.payload)?;
    if sha256("payloadHash", &content.payload_hash)? != *Digest::of(&payload).as_bytes() {
        return Err(Refusal::Hash("payloadHash"));
    }
    // The hash covers the envelope as the client serialised it, which only the client knows.
    let hash = sha256("hash", &content.hash)?;
    let signed = pae(&content.envelope.payload_type, &payload);
    let mut signatures = Vec::new();
    for signature in &content.envelope.signatures {
        let verifier = OwnedVerifier::from_pem(&signature.public_key)?;
        verifier.check(&signed, &twice("sig", &signature.sig)?)?;
        signatures.push(json!({ "sig": signature.sig, "publicKey": STANDARD.encode(verifier.get().pem()) }));
    }
    if signatures.is_empty() {
        return Err(Refusal::Signature);
    }
    let spec = json!({
        "content": {
            "envelope": { "payloadType": content.envelope.payload_type, "signatures": signatures },
            "hash": { "algorithm": "sha256", "value": hex::encode(hash) },
            "payloadHash": content.payload_hash.to_json(),
        },
    });
    Ok(Accepted::new("intoto", "0.0.2", spec))
}

fn hashedrekord_v002(rekord: &HashedRekordV002) -> Result<Accepted, Refusal> {
    let hash: [u8; 32] = base64("digest", &rekord.digest)?.try_into().map_err(|_| Refusal::Hash("digest"))?;
    let signature = base64("signature.content", &rekord.signature.content)?;
    let der = OwnedVerifier::from_raw(&rekord.signature.verifier)?;
    der.check_hash(&hash, &signature)?;
    let rekord = json!({
        "data": { "algorithm": "SHA2_256", "digest": STANDARD.encode(hash) },
        "signature": { "content": STANDARD.encode(signature), "verifier": der.get().raw() },
    });
    Ok(Accepted::new("hashedrekord", "0.0.2", json!({ "hashedRekordV002": rekord })))
}

fn dsse_v002(request: &DsseV002) -> Result<Accepted, Refusal> {
    let envelope =
        UnverifiedEnvelope::from_json(&request.envelope).map_err(|error| Refusal::Shape(error.to_string()))?;
    let verifiers: Vec<OwnedVerifier> =
        request.verifiers.iter().map(OwnedVerifier::from_raw).collect::<Result<_, _>>()?;
    let mut signatures = Vec::new();
    for signature in &envelope.signatures {
        let verifier = (verifiers.iter())
            .find(|verifier| verifier.check(&envelope.signed_bytes(), signature).is_ok())
            .ok_or(Refusal::Signature)?;
        signatures.push(json!({ "content": STANDARD.encode(signature), "verifier": verifier.get().raw() }));
    }
    if signatures.len() != verifiers.len() {
        return Err(Refusal::Verifier);
    }
    let hash = json!({ "algorithm": "SHA2_256", "digest": STANDARD.encode(Digest::of(&envelope.payload).as_bytes()) });
    Ok(Accepted::new("dsse", "0.0.2", json!({ "dsseV002": { "payloadHash": hash, "signatures": signatures } })))
}

/// A verifier with bytes of its own.
enum OwnedVerifier {
    Certificate(Vec<u8>),
    PublicKey(Vec<u8>),
}

impl OwnedVerifier {
    /// Reads the base64 of PEM.
    fn from_pem(content: &str) -> Result<Self, Refusal> {
        let block = pem::parse(base64("the verifier", content)?).map_err(|_| Refusal::Encoding("the verifier"))?;
        match block.tag() {
            "CERTIFICATE" => Ok(Self::Certificate(block.into_contents())),
            "PUBLIC KEY" => Ok(Self::PublicKey(block.into_contents())),
            _ => Err(Refusal::Verifier),
        }
    }

    /// Reads the second generation's, of the one algorithm that it is asked for here.
    fn from_raw(verifier: &VerifierV2) -> Result<Self, Refusal> {
        if verifier.key_details != P256 {
            return Err(Refusal::Verifier);
        }
        match (&verifier.x509_certificate, &verifier.public_key) {
            (Some(certificate), None) => Ok(Self::Certificate(raw(certificate)?)),
            (None, Some(key)) => Ok(Self::PublicKey(raw(key)?)),
            _ => Err(Refusal::Verifier),
        }
    }

    fn get(&self) -> Verifier<'_> {
        match self {
            Self::Certificate(der) => Verifier::Certificate(der),
            Self::PublicKey(der) => Verifier::PublicKey(der),
        }
    }

    fn key(&self) -> Result<PublicKey, Refusal> {
        PublicKey::from_spki_der(&self.get().spki().ok_or(Refusal::Verifier)?).map_err(|_| Refusal::Verifier)
    }

    fn check(&self, message: &[u8], signature: &[u8]) -> Result<(), Refusal> {
        self.key()?.verify(message, signature).map_err(|_| Refusal::Signature)
    }

    /// The log sees the hash and not what was hashed, so only ECDSA over SHA-256 can be checked.
    fn check_hash(&self, hash: &[u8; 32], signature: &[u8]) -> Result<(), Refusal> {
        let key = self.key()?;
        if key.algorithm() != Algorithm::EcdsaP256Sha256 {
            return Err(Refusal::Verifier);
        }
        let key = VerifyingKey::from_public_key_der(key.spki_der()).map_err(|_| Refusal::Verifier)?;
        let signature = DerSignature::try_from(signature).map_err(|_| Refusal::Signature)?;
        key.verify_prehash(hash, &signature).map_err(|_| Refusal::Signature)
    }
}

fn shape<T: for<'de> Deserialize<'de>>(value: &Value) -> Result<T, Refusal> {
    T::deserialize(value).map_err(|error| Refusal::Shape(error.to_string()))
}

fn envelope(text: &str) -> Result<UnverifiedEnvelope, Refusal> {
    let json: EnvelopeJson = strict_json::read(text.as_bytes()).map_err(|error| Refusal::Shape(error.to_string()))?;
    UnverifiedEnvelope::from_json(&json).map_err(|error| Refusal::Shape(error.to_string()))
}

fn base64(what: &'static str, text: &str) -> Result<Vec<u8>, Refusal> {
    STANDARD.decode(text).map_err(|_| Refusal::Encoding(what))
}

fn raw(bytes: &RawBytes) -> Result<Vec<u8>, Refusal> {
    base64("rawBytes", &bytes.raw_bytes)
}

fn sha256(what: &'static str, hash: &Hash) -> Result<[u8; 32], Refusal> {
    if hash.algorithm != "sha256" {
        return Err(Refusal::Hash(what));
    }
    let bytes = hex::decode(&hash.value).map_err(|_| Refusal::Encoding(what))?;
    bytes.try_into().map_err(|_| Refusal::Hash(what))
}
