//! Verifying a keyless bundle against the bare library call on the same bytes, both in this process.
//!
//! The library's side does what its user would: parse, then verify with a verifier that was built once. Ours also
//! passes over the JSON strictly, reads the statement and the identity, and walks the chain again.

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use attestry_core::attachment::{Attachment, Form};
use attestry_core::statement::{Statement, StrongDigests};
use attestry_core::trust_root::{Demands, PUBLIC_GOOD, TrustRoot};
use attestry_core::verify::{Candidate, FileContent, FileSigner, Reading, SubjectDigests, verify_file};
use attestry_core::{Digest, Timestamp};
use sigstore_verify::trust_root::TrustedRoot;
use sigstore_verify::types::{Artifact, ArtifactDigest, Bundle, Sha256Hash, SignatureContent};
use sigstore_verify::{VerificationPolicy, Verifier};

use super::{Bar, Measured, median};
use crate::command;

const VECTORS: &str = "tests/vectors/sigstore-conformance/bundle-verify";
/// Envelopes and a file's signature, with entries of both generations of the log. Each is real.
const BUNDLES: [&str; 4] =
    ["happy-path-intoto-in-dsse-v3", "happy-path-v0.3", "rekor2-dsse-happy-path", "rekor2-happy-path"];
/// Verifications in one reading of the clock.
const BATCH: u32 = 10;

pub(super) fn run(short: bool) -> Result<Vec<Measured>> {
    let rounds = if short { 10 } else { 300 };
    BUNDLES.iter().map(|name| measure(name, rounds).with_context(|| (*name).to_owned())).collect()
}

fn measure(name: &str, rounds: u32) -> Result<Measured> {
    let input = Input::read(name)?;
    let mut pairs = Vec::new();
    // The first round only warms up.
    for round in 0..=rounds {
        // Which side goes first changes, so that neither always finds the caches as the other left them.
        let pair = if round % 2 == 0 {
            let ours = time(|| input.ours())?;
            (ours, time(|| input.theirs())?)
        } else {
            let theirs = time(|| input.theirs())?;
            (time(|| input.ours())?, theirs)
        };
        if round > 0 {
            pairs.push(pair);
        }
    }
    let microseconds = |seconds: Vec<f64>| format!("{:.1} µs", median(seconds) * 1e6);
    Ok(Measured {
        name: format!("verifying the keyless bundle {name} ({} bytes) against the library's call", input.bytes.len()),
        ours: microseconds(pairs.iter().map(|p| p.0).collect()),
        theirs: microseconds(pairs.iter().map(|p| p.1).collect()),
        ratio: median(pairs.iter().map(|(ours, theirs)| ours / theirs).collect()),
        bar: Bar::AtMost(1.1),
        notes: vec![format!("{rounds} pairs of {BATCH} in turn, medians; the ratio is the median over the pairs")],
    })
}

/// Seconds for one call.
fn time<T>(mut call: impl FnMut() -> Result<T>) -> Result<f64> {
    let start = Instant::now();
    for _ in 0..BATCH {
        black_box(call()?);
    }
    Ok(start.elapsed().as_secs_f64() / f64::from(BATCH))
}

/// A bundle with what both sides need to verify it.
struct Input {
    bytes: Vec<u8>,
    about: About,
    root: TrustRoot,
    verifier: Verifier,
    policy: VerificationPolicy,
    now: Timestamp,
}

/// What the bundle is about.
enum About {
    /// Its statement names this digest.
    Image { attachment: Box<Attachment>, subject: SubjectDigests },
    /// It signs this file.
    File(Vec<u8>),
}

impl Input {
    fn read(name: &str) -> Result<Self> {
        let vectors = command::root().join(VECTORS);
        let folder = vectors.join(name);
        let bytes = read(&folder.join("bundle.sigstore.json"))?;
        let own_root = folder.join("trusted_root.json");
        let root = if own_root.exists() { read(&own_root)? } else { PUBLIC_GOOD.as_bytes().to_vec() };
        let verifier = Verifier::new(&TrustedRoot::from_json(std::str::from_utf8(&root)?)?)?;
        let about = match Bundle::from_json(std::str::from_utf8(&bytes)?)?.content {
            SignatureContent::DsseEnvelope(envelope) => {
                let statement = Statement::parse(envelope.payload.as_bytes())?;
                let named = statement.subjects.first().and_then(|subject| subject.digest.get("sha256"));
                let digest = format!("sha256:{}", named.context("its statement names no SHA-256")?).parse()?;
                About::image(&bytes, digest)
            }
            _ => {
                let own = folder.join("artifact");
                About::File(read(&if own.exists() { own } else { vectors.join("a.txt") })?)
            }
        };
        Ok(Self {
            bytes,
            about,
            root: TrustRoot::from_json(&root, Demands::default())?,
            verifier,
            policy: VerificationPolicy::any_identity(),
            now: Timestamp::now(),
        })
    }

    fn ours(&self) -> Result<()> {
        let refused = |reason| anyhow!("refused: {reason:?}");
        match &self.about {
            About::Image { attachment, subject } => {
                let reading = Candidate::read(attachment, subject).map_err(refused)?;
                let Reading::Candidate(candidate) = reading else { return Err(anyhow!("it is about no image")) };
                black_box(candidate.verify_keyless(&self.root, None, self.now).map_err(refused)?);
            }
            About::File(file) => {
                let signer = FileSigner::Certificate { root: &self.root, pending: None };
                let verified = verify_file(&self.bytes, FileContent::Bytes(file), signer, self.now);
                black_box(verified.map_err(refused)?);
            }
        }
        Ok(())
    }

    fn theirs(&self) -> Result<()> {
        let bundle = Bundle::from_json(std::str::from_utf8(&self.bytes)?)?;
        let artifact = match &self.about {
            About::Image { subject, .. } => {
                Artifact::Digest(ArtifactDigest::sha256(Sha256Hash::new(*subject.digest.as_bytes())))
            }
            About::File(file) => Artifact::Blob(file),
        };
        black_box(self.verifier.verify(artifact, &bundle, &self.policy)?);
        Ok(())
    }
}

impl About {
    /// As the registry client hands it over: with the digest of the bundle checked.
    fn image(bundle: &[u8], named: Digest) -> Self {
        let digest = Digest::of(bundle);
        let attachment =
            Box::new(Attachment { digest, manifest: digest, form: Form::Bundle, bytes: bundle.to_vec().into() });
        Self::Image { attachment, subject: SubjectDigests { digest: named, strong: StrongDigests::unknown() } }
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
