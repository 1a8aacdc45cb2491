//! An instance of Sigstore in memory and what an honest signer makes with it, in parts that an attack can swap.

use std::sync::Arc;

use attestry_core::{
    Digest, ReasonCode, Timestamp,
    attachment::{Attachment, Form, LegacyMaterial},
    envelope::{EnvelopeJson, IN_TOTO, pae},
    statement::{Statement, StrongDigests},
    trust_root::{Demands, TrustRoot},
    verify::{Candidate, Reading, SubjectDigests, TrustedKey, Verified},
};
use attestry_sign::SigningKey;
use attestry_testkit::{
    authorities::{
        CertificateAuthority, Leaf, TimestampAuthority,
        log::{Generation, LogFault, RekorLog, propose},
        trusted_root,
    },
    clock, keys,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json, value::RawValue};

pub(crate) const ISSUER: &str = "https://token.issuer.test";
pub(crate) const SUBJECT: &str = "https://ci.test/acme/app/release.yml@refs/heads/main";
pub(crate) const MANIFEST: &[u8] = b"manifest";

/// When certificates begin, in the past of every test's `now`.
pub(crate) fn issued() -> Timestamp {
    clock::at("2026-01-20T10:00:00Z")
}

/// When things are signed and logged: inside the certificate's ten minutes.
pub(crate) fn signed() -> Timestamp {
    clock::at("2026-01-20T10:01:00Z")
}

/// The authorities, and the trusted root that names them.
pub(crate) struct World {
    pub(crate) ca: CertificateAuthority,
    pub(crate) tsa: TimestampAuthority,
    pub(crate) v1: RekorLog,
    pub(crate) v2: RekorLog,
    /// When the timestamp authority's time in the root ends.
    pub(crate) tsa_until: Option<Timestamp>,
    pub(crate) demands: Demands,
}

/// What a bundle is made of.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) media_type: &'static str,
    /// `certificate`, `x509CertificateChain` or `publicKey`, with its value.
    pub(crate) material: (&'static str, Value),
    pub(crate) entries: Vec<Value>,
    pub(crate) timestamps: Vec<Vec<u8>>,
    pub(crate) envelope: EnvelopeJson,
    pub(crate) leaf: Vec<u8>,
}

pub(crate) const V01: &str = "application/vnd.dev.sigstore.bundle+json;version=0.1";
pub(crate) const V02: &str = "application/vnd.dev.sigstore.bundle+json;version=0.2";
pub(crate) const V03: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

impl World {
    pub(crate) fn new() -> Self {
        Self {
            ca: CertificateAuthority::new("acme"),
            tsa: TimestampAuthority::new("acme"),
            v1: RekorLog::new(Generation::V1, "https://rekor.acme.test"),
            v2: RekorLog::new(Generation::V2, "https://log2026.acme.test"),
            tsa_until: None,
            demands: Demands::default(),
        }
    }

    /// The key of a signer: each name has its own.
    pub(crate) fn key(name: &str) -> SigningKey {
        keys::p256(name)
    }

    pub(crate) fn leaf() -> Leaf {
        Leaf::uri(SUBJECT, ISSUER).claim(12, "https://ci.test/acme/app")
    }

    pub(crate) fn certificate(&self, leaf: &Leaf, key: &SigningKey) -> Vec<u8> {
        self.ca.issue(leaf, key.public_key_der(), issued())
    }

    /// Logged in the first generation, with promise, proof and time; no timestamp.
    pub(crate) fn honest(&mut self) -> Parts {
        self.logged(&Self::leaf(), None)
    }

    /// The same with another leaf, or with a fault of the log.
    pub(crate) fn logged(&mut self, leaf: &Leaf, fault: Option<LogFault>) -> Parts {
        let mut parts = self.bare(leaf);
        let request = propose::dsse(&parts.envelope, propose::Verifier::Certificate(&parts.leaf));
        parts.entries.push(self.v1.append_with(&request, signed(), fault).unwrap());
        parts
    }

    /// Logged in the second generation, with a timestamp.
    pub(crate) fn honest_v2(&mut self) -> Parts {
        let mut parts = self.bare(&Self::leaf());
        let (message, signature) = (parts.message(), parts.signature());
        let request = propose::hashedrekord_v002(&message, &signature, propose::Verifier::Certificate(&parts.leaf));
        parts.entries.push(self.v2.append(&request, signed()).unwrap());
        parts.timestamps.push(self.tsa.stamp(&signature, signed()));
        parts
    }

    /// Signed with a certificate, nothing more.
    pub(crate) fn bare(&self, leaf: &Leaf) -> Parts {
        self.signed_by(leaf, &Self::key("signer"), &statement(Digest::of(MANIFEST)))
    }

    pub(crate) fn signed_by(&self, leaf: &Leaf, key: &SigningKey, payload: &[u8]) -> Parts {
        let leaf = self.certificate(leaf, key);
        let envelope = EnvelopeJson::new(IN_TOTO, payload, &key.sign(&pae(IN_TOTO, payload)));
        let material = ("certificate", json!({"rawBytes": STANDARD.encode(&leaf)}));
        Parts { media_type: V03, material, entries: Vec::new(), timestamps: Vec::new(), envelope, leaf }
    }

    /// Another instance, whose logs this one's trusted root does not name.
    pub(crate) fn elsewhere() -> Self {
        Self {
            v1: RekorLog::new(Generation::V1, "https://rekor.elsewhere.test"),
            v2: RekorLog::new(Generation::V2, "https://log.elsewhere.test"),
            ..Self::new()
        }
    }

    /// Three of which an entry must not stand for `honest`: another statement, another key, and another certificate for
    /// the same key and identity, with the very same signature.
    pub(crate) fn foreign(&self, honest: &Parts) -> [Parts; 3] {
        let key = Self::key("signer");
        let leaf = self.certificate(&Self::leaf().claim(11, "elsewhere"), &key);
        [
            self.signed_by(&Self::leaf(), &key, &statement(Digest::of("other"))),
            self.signed_by(&Self::leaf(), &Self::key("other"), &statement(Digest::of(MANIFEST))),
            Parts { leaf, ..honest.clone() },
        ]
    }

    pub(crate) fn root(&self) -> Arc<TrustRoot> {
        Arc::new(TrustRoot::from_json(self.trusted_root().to_string().as_bytes(), self.demands).unwrap())
    }

    pub(crate) fn trusted_root(&self) -> Value {
        let start = clock::at("2025-01-01T00:00:00Z");
        trusted_root(&self.ca, &self.tsa, [&self.v1, &self.v2], start, self.tsa_until)
    }

    pub(crate) fn judge(&self, parts: &Parts) -> Result<Verified<Statement>, ReasonCode> {
        self.judge_attachment(&bundle_attachment(parts.bundle()), clock::now())
    }

    pub(crate) fn judge_attachment(
        &self,
        attachment: &Attachment,
        now: Timestamp,
    ) -> Result<Verified<Statement>, ReasonCode> {
        match Candidate::read(attachment, &subject()) {
            Ok(Reading::Candidate(candidate)) => {
                candidate.verify_keyless(&self.root(), None, now).map_err(|reason| reason.code)
            }
            Ok(Reading::Irrelevant) => Err(ReasonCode::SignatureMissing),
            Err(reason) => Err(reason.code),
        }
    }

    #[track_caller]
    pub(crate) fn refused(&self, parts: &Parts, expected: ReasonCode) {
        assert_eq!(self.judge(parts).map(|_| ()), Err(expected));
    }
}

impl Parts {
    /// The bytes that the envelope's signature covers.
    pub(crate) fn message(&self) -> Vec<u8> {
        pae(&self.envelope.payload_type, &STANDARD.decode(&self.envelope.payload).unwrap())
    }

    pub(crate) fn signature(&self) -> Vec<u8> {
        STANDARD.decode(&self.envelope.signatures[0].sig).unwrap()
    }

    pub(crate) fn bundle(&self) -> Vec<u8> {
        let (name, material) = &self.material;
        let timestamps = self.timestamps.iter().map(|der| json!({"signedTimestamp": STANDARD.encode(der)}));
        let bundle = json!({
            "mediaType": self.media_type,
            "verificationMaterial": {
                *name: material,
                "tlogEntries": self.entries,
                "timestampVerificationData": {"rfc3161Timestamps": timestamps.collect::<Vec<_>>()},
            },
            "dsseEnvelope": self.envelope,
        });
        serde_json::to_vec(&bundle).unwrap()
    }

    /// In the shape of an older bundle: a chain in place of the certificate.
    pub(crate) fn older(mut self, media_type: &'static str, chain: &[Vec<u8>]) -> Self {
        self.media_type = media_type;
        let all = std::iter::once(&self.leaf).chain(chain);
        let all: Vec<Value> = all.map(|der| json!({"rawBytes": STANDARD.encode(der)})).collect();
        self.material = ("x509CertificateChain", json!({"certificates": all}));
        self
    }

    /// cosign's annotations for a legacy layer: certificate, chain, and the first entry's promise.
    pub(crate) fn annotations(&self, chain: &[Vec<u8>], signature: &[u8]) -> LegacyMaterial {
        let pem = |der: &Vec<u8>| propose::Verifier::Certificate(der).pem();
        let entry = self.entries.first().map(|entry| {
            let integer = |name: &str| entry[name].as_str().unwrap().parse::<u64>().unwrap();
            let log_id = hex::encode(STANDARD.decode(entry["logId"]["keyId"].as_str().unwrap()).unwrap());
            let payload = json!({
                "body": entry["canonicalizedBody"],
                "integratedTime": integer("integratedTime"),
                "logIndex": integer("logIndex"),
                "logID": log_id,
            });
            json!({"SignedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"], "Payload": payload})
        });
        LegacyMaterial {
            signature: STANDARD.encode(signature),
            certificate: Some(pem(&self.leaf)),
            chain: Some(chain.iter().map(pem).collect()),
            log_entry: entry.map(|entry| entry.to_string()),
            timestamp: (self.timestamps.first())
                .map(|der| json!({"SignedRFC3161Timestamp": STANDARD.encode(der)}).to_string()),
        }
    }
}

/// A trusted root as a test has changed it.
pub(crate) fn root_of(json: &Value) -> Arc<TrustRoot> {
    Arc::new(TrustRoot::from_json(json.to_string().as_bytes(), Demands::default()).unwrap())
}

/// The attachment, which can be read and is about our subject.
pub(crate) fn candidate(attachment: &Attachment) -> Arc<Candidate> {
    match Candidate::read(attachment, &subject()) {
        Ok(Reading::Candidate(candidate)) => candidate,
        other => panic!("readable: {other:?}"),
    }
}

/// What it comes to by certificate, under another root than its world's.
pub(crate) fn judge_under(root: &Value, attachment: &Attachment, now: Timestamp) -> Result<(), ReasonCode> {
    candidate(attachment).verify_keyless(&root_of(root), None, now).map(|_| ()).map_err(|reason| reason.code)
}

/// The time that is proven of it, by a key.
pub(crate) fn judge_by_key(trusted: &TrustedKey, attachment: &Attachment) -> Result<Option<Timestamp>, ReasonCode> {
    candidate(attachment).verify(trusted, clock::now()).map(|v| v.time()).map_err(|reason| reason.code)
}

pub(crate) fn bundle_attachment(bytes: Vec<u8>) -> Attachment {
    attachment(Form::Bundle, bytes)
}

pub(crate) fn attachment(form: Form, bytes: Vec<u8>) -> Attachment {
    let digest = Digest::of(&bytes);
    Attachment { digest, manifest: digest, form, bytes: bytes.into() }
}

pub(crate) fn subject() -> SubjectDigests {
    SubjectDigests { digest: Digest::of(MANIFEST), strong: StrongDigests::of(MANIFEST) }
}

pub(crate) fn statement(digest: Digest) -> Vec<u8> {
    let predicate = RawValue::from_string("{}".to_owned()).unwrap();
    let repository = "registry.example/app".parse().unwrap();
    Statement::about(&repository, digest, None, attestry_core::predicate::COSIGN_SIGN, predicate).to_bytes()
}
