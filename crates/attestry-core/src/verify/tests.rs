//! Attachments that must verify, and their twins that must not, each with its reason.
#![allow(clippy::unwrap_used, reason = "tests")]

use p256::{
    ecdsa::{DerSignature, SigningKey, signature::Signer},
    pkcs8::EncodePublicKey,
};
use serde_json::value::RawValue;

use super::*;
use crate::{attachment::LegacyMaterial, bundle::key_bundle, envelope::pae, predicate::COSIGN_SIGN};

const NOW: &str = "2026-01-15T00:00:00Z";

fn key(seed: u8) -> (SigningKey, PublicKey) {
    let key = SigningKey::from_bytes(&[seed; 32].into()).unwrap();
    let public = PublicKey::from_spki_der(key.verifying_key().to_public_key_der().unwrap().as_bytes()).unwrap();
    (key, public)
}

fn subject() -> SubjectDigests {
    SubjectDigests { digest: Digest::of("manifest"), strong: StrongDigests::of(b"manifest") }
}

fn statement_about(digest: Digest) -> Vec<u8> {
    let predicate = RawValue::from_string("{}".to_owned()).unwrap();
    Statement::about(&"registry.example/app".parse().unwrap(), digest, None, COSIGN_SIGN, predicate).to_bytes()
}

fn bundle(seed: u8, payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let (secret, public) = key(seed);
    let signature: DerSignature = secret.sign(&pae(payload_type, payload));
    key_bundle(&public.id(), &EnvelopeJson::new(payload_type, payload, signature.as_bytes()))
}

fn attachment(form: Form, bytes: Vec<u8>) -> Attachment {
    Attachment { digest: Digest::of(&bytes), manifest: Digest::of("m"), form, bytes: bytes.into() }
}

fn judge(attachment: &Attachment, trusted: &TrustedKey) -> Result<(), ReasonCode> {
    match Candidate::read(attachment, &subject()) {
        Ok(Reading::Candidate(candidate)) => {
            candidate.verify(trusted, NOW.parse().unwrap()).map(|_| ()).map_err(|reason| reason.code)
        }
        Ok(Reading::Irrelevant) => Err(ReasonCode::SignatureMissing),
        Err(reason) => Err(reason.code),
    }
}

fn check_bundle(bytes: Vec<u8>, expected: Result<(), ReasonCode>) {
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let judged = judge(&attachment(Form::Bundle, bytes), &TrustedKey::always(key(1).1));
    assert_eq!(judged, expected, "{text}");
}

#[test]
fn a_bundle_by_the_trusted_key_verifies() {
    check_bundle(bundle(1, IN_TOTO, &statement_about(subject().digest)), Ok(()));
}

#[test]
fn attack_01_a_bundle_about_another_digest() {
    check_bundle(bundle(1, IN_TOTO, &statement_about(Digest::of("other"))), Err(ReasonCode::SubjectMismatch));
}

#[test]
fn attack_04_another_payload_type() {
    let payload = statement_about(subject().digest);
    check_bundle(bundle(1, "application/json", &payload), Err(ReasonCode::PayloadTypeWrong));
    let simple = legacy::payload(&"registry.example/app".parse().unwrap(), subject().digest, None);
    check_bundle(
        bundle(1, "application/vnd.dev.cosign.simplesigning.v1+json", &simple),
        Err(ReasonCode::PayloadTypeWrong),
    );
}

#[test]
fn attack_10_a_message_signature_is_no_signature_of_an_image() {
    let text = String::from_utf8(bundle(1, IN_TOTO, &statement_about(subject().digest))).unwrap();
    let start = text.find(r#""dsseEnvelope""#).unwrap();
    let changed = format!(r#"{}"messageSignature":{{"signature":"AA=="}}}}"#, &text[..start]);
    check_bundle(changed.into_bytes(), Err(ReasonCode::SignatureMissing));
}

#[test]
fn attack_11_a_payload_that_does_not_parse() {
    check_bundle(bundle(1, IN_TOTO, b"{}"), Err(ReasonCode::StatementMalformed));
    check_bundle(bundle(1, IN_TOTO, b"not json"), Err(ReasonCode::StatementMalformed));
}

#[test]
fn another_key_and_an_altered_bundle_are_told_apart() {
    let payload = statement_about(subject().digest);
    check_bundle(bundle(2, IN_TOTO, &payload), Err(ReasonCode::KeyUnknown));
    // The trusted key's hint over somebody else's signature.
    let (secret, _) = key(2);
    let forged: DerSignature = secret.sign(&pae(IN_TOTO, &payload));
    let envelope = EnvelopeJson::new(IN_TOTO, &payload, forged.as_bytes());
    check_bundle(key_bundle(&key(1).1.id(), &envelope), Err(ReasonCode::SignatureInvalid));
}

#[test]
fn every_flipped_byte_of_the_signed_parts_is_refused() {
    let good = String::from_utf8(bundle(1, IN_TOTO, &statement_about(subject().digest))).unwrap();
    let trusted = TrustedKey::always(key(1).1);
    for member in [r#""payload":""#, r#""sig":""#] {
        let start = good.find(member).unwrap() + member.len();
        let end = start + good[start..].find('"').unwrap();
        for at in start..end {
            let mut bytes = good.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            assert!(judge(&attachment(Form::Bundle, bytes), &trusted).is_err(), "byte {at}");
        }
    }
}

#[test]
fn a_key_counts_only_inside_its_window() {
    let bytes = bundle(1, IN_TOTO, &statement_about(subject().digest));
    let bundle = attachment(Form::Bundle, bytes);
    for (from, until, expected) in [
        (Some("2026-01-15T00:00:00Z"), None, Ok(())),
        (Some("2026-01-15T00:00:01Z"), None, Err(ReasonCode::KeyNotValidThen)),
        (None, Some("2026-01-15T00:00:01Z"), Ok(())),
        (None, Some("2026-01-15T00:00:00Z"), Err(ReasonCode::KeyNotValidThen)),
    ] {
        let time = |t: Option<&str>| t.map(|t| t.parse().unwrap());
        let trusted = TrustedKey { valid_from: time(from), valid_until: time(until), ..TrustedKey::always(key(1).1) };
        assert_eq!(judge(&bundle, &trusted), expected, "{from:?} {until:?}");
    }
}

#[test]
fn without_a_trust_root_log_entries_are_not_looked_at() {
    let text = String::from_utf8(bundle(1, IN_TOTO, &statement_about(subject().digest))).unwrap();
    let root = Arc::new(TrustRoot::public_good(Default::default()));
    let trusted = TrustedKey { trust_root: Some(root), ..TrustedKey::always(key(1).1) };
    assert_eq!(judge(&attachment(Form::Bundle, text.clone().into_bytes()), &trusted), Ok(()));
    for (entries, expected) in [
        (r#""tlogEntries":[{}],"#, ReasonCode::BundleUnsupported),
        (r#""tlogEntries":[{"kindVersion":{"kind":"alpine","version":"0.0.1"}}],"#, ReasonCode::BundleUnsupported),
        (r#""tlogEntries":[{"kindVersion":{"kind":"dsse","version":"0.0.1"}}],"#, ReasonCode::BundleMalformed),
        (
            r#""timestampVerificationData":{"rfc3161Timestamps":[{"signedTimestamp":"AA=="}]},"#,
            ReasonCode::TimestampInvalid,
        ),
        (
            r#""timestampVerificationData":{"rfc3161Timestamps":[{"signedTimestamp":"A A="}]},"#,
            ReasonCode::BundleMalformed,
        ),
    ] {
        let with = text.replace(r#""verificationMaterial":{"#, &format!(r#""verificationMaterial":{{{entries}"#));
        let with = attachment(Form::Bundle, with.into_bytes());
        assert_eq!(judge(&with, &trusted), Err(expected), "{entries}");
        assert_eq!(judge(&with, &TrustedKey::always(key(1).1)), Ok(()), "{entries}");
    }
    for log in [LogProof::Promise, LogProof::Inclusion] {
        let required = TrustedKey { log, ..trusted.clone() };
        let judged = judge(&attachment(Form::Bundle, text.clone().into_bytes()), &required);
        assert_eq!(judged, Err(ReasonCode::LogEntryMissing));
    }
}

#[test]
fn legacy_layers_are_judged_by_the_same_code() {
    let payload = legacy::payload(&"registry.example/app".parse().unwrap(), subject().digest, None);
    let (secret, public) = key(1);
    let signature: DerSignature = secret.sign(&payload);
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let material = |signature: String| LegacyMaterial { signature, ..Default::default() };
    let good = STANDARD.encode(signature.as_bytes());
    let trusted = TrustedKey::always(public);
    for (signature, bytes, expected) in [
        (good.clone(), payload.clone(), Ok(())),
        (good.clone(), [&payload[..], b" "].concat(), Err(ReasonCode::KeyUnknown)),
        (String::new(), payload.clone(), Err(ReasonCode::BundleMalformed)),
        (good.clone(), b"{}".to_vec(), Err(ReasonCode::StatementMalformed)),
    ] {
        assert_eq!(judge(&attachment(Form::SimpleSigning(material(signature)), bytes), &trusted), expected);
    }
    let other = legacy::payload(&"registry.example/app".parse().unwrap(), Digest::of("other"), None);
    let form = Form::SimpleSigning(material(good));
    assert_eq!(judge(&attachment(form, other), &trusted), Err(ReasonCode::SubjectMismatch));
    let statement = statement_about(subject().digest);
    let signature: DerSignature = secret.sign(&pae(IN_TOTO, &statement));
    let envelope = serde_json::to_vec(&EnvelopeJson::new(IN_TOTO, &statement, signature.as_bytes())).unwrap();
    assert_eq!(judge(&attachment(Form::Envelope(LegacyMaterial::default()), envelope), &trusted), Ok(()));
}

/// Where only a file's digest is known, and where a trust root would look at what is not there.
#[test]
fn a_file_known_by_its_digest_needs_a_signature_that_fits() {
    use crate::bundle::key_message_bundle;
    let (secret, public) = key(1);
    let file = b"release";
    let digest = Digest::of(file);
    let bundle = |signed: &[u8]| {
        let signature: DerSignature = secret.sign(signed);
        key_message_bundle(&public.id(), &digest, signature.as_bytes())
    };
    let root = Arc::new(TrustRoot::public_good(Default::default()));
    let with_root = TrustedKey { trust_root: Some(root), ..TrustedKey::always(public.clone()) };
    for trusted in [TrustedKey::always(public.clone()), with_root] {
        for content in [FileContent::Sha256(digest), FileContent::Bytes(file)] {
            let judge = |bundle: &[u8], trusted: &TrustedKey| {
                let judged = verify_file(bundle, content, FileSigner::Key(trusted), NOW.parse().unwrap());
                judged.map(|verified| verified.payload()).map_err(|reason| reason.code)
            };
            assert_eq!(judge(&bundle(file), &trusted), Ok(digest), "{content:?}");
            assert_eq!(judge(&bundle(b"other"), &trusted), Err(ReasonCode::KeyUnknown), "{content:?}");
            let other = TrustedKey { key: key(2).1, ..trusted.clone() };
            assert_eq!(judge(&bundle(file), &other), Err(ReasonCode::KeyUnknown), "{content:?}");
            // Without a trust root nobody looks at what came along, and with one all of it must be good.
            let entry =
                r#""verificationMaterial":{"tlogEntries":[{"kindVersion":{"kind":"alpine","version":"0.0.1"}}],"#;
            let text = String::from_utf8(bundle(b"other")).unwrap().replacen(r#""verificationMaterial":{"#, entry, 1);
            let expected = match (&trusted.trust_root, content) {
                (Some(_), FileContent::Sha256(_)) => ReasonCode::BundleUnsupported,
                _ => ReasonCode::KeyUnknown,
            };
            assert_eq!(judge(text.as_bytes(), &trusted), Err(expected), "{content:?}");
        }
    }
}
