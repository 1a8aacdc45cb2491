//! Three formats out, each as the world reads it, and nothing out that core refuses.
#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::{Value, json};

use super::*;
use crate::Algorithm;

fn repository() -> Repository {
    "registry.example/shop/app".parse().unwrap()
}

fn image() -> Digest {
    Digest::of("image")
}

fn annotations() -> BTreeMap<String, String> {
    [("env".to_owned(), "prod & <test>".to_owned())].into()
}

fn keys() -> [SigningKey; 2] {
    [Algorithm::EcdsaP256, Algorithm::Ed25519].map(|algorithm| SigningKey::generate(algorithm).unwrap())
}

fn sbom() -> Predicate {
    Predicate::read(br#"{"spdxVersion": "SPDX-2.3", "n": 1.50}"#, None).unwrap()
}

#[test]
fn a_signature_bundle_is_what_cosign_reads() {
    for key in keys() {
        let statement = image_signature(&repository(), image(), &annotations());
        let signed = SignedAttachment::bundle(&key, &statement, image()).unwrap();
        assert_eq!(signed.media_type(), "application/vnd.dev.sigstore.bundle.v0.3+json");
        assert_eq!(signed.digest(), Digest::of(signed.bytes()));
        assert!(signed.layer_annotations().is_empty());

        let bundle: Value = serde_json::from_slice(signed.bytes()).unwrap();
        let decode =
            |pointer: &str| BASE64_STANDARD.decode(bundle.pointer(pointer).unwrap().as_str().unwrap()).unwrap();
        let payload = decode("/dsseEnvelope/payload");
        let signature = decode("/dsseEnvelope/signatures/0/sig");
        // No other member anywhere: Go refuses unknown ones.
        assert_eq!(
            bundle,
            json!({
                "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
                "verificationMaterial": {"publicKey": {"hint": BASE64_STANDARD.encode(key.key_id().as_bytes())}},
                "dsseEnvelope": {
                    "payload": BASE64_STANDARD.encode(&payload),
                    "payloadType": "application/vnd.in-toto+json",
                    "signatures": [{"sig": BASE64_STANDARD.encode(&signature)}],
                },
            })
        );
        assert_eq!(
            serde_json::from_slice::<Value>(&payload).unwrap(),
            json!({
                "_type": "https://in-toto.io/Statement/v1",
                "subject": [{
                    "name": "registry.example/shop/app",
                    "digest": {"sha256": image().hex()},
                    "annotations": {"env": "prod & <test>"},
                }],
                "predicateType": "https://sigstore.dev/cosign/sign/v1",
                "predicate": {},
            })
        );
        let signed_bytes =
            [format!("DSSEv1 28 application/vnd.in-toto+json {} ", payload.len()).as_bytes(), &payload].concat();
        key.public_key().verify(&signed_bytes, &signature).unwrap();
    }
}

#[test]
fn attestations_carry_the_predicate_as_it_was() {
    for key in keys() {
        let statement = attestation(&repository(), image(), &sbom());
        let bundle = SignedAttachment::bundle(&key, &statement, image()).unwrap();
        let legacy = SignedAttachment::legacy_attestation(&key, &statement, image()).unwrap();
        for signed in [&bundle, &legacy] {
            assert_eq!(signed.statement().predicate.get(), r#"{"spdxVersion": "SPDX-2.3", "n": 1.50}"#);
            assert_eq!(signed.statement().predicate_type, "https://spdx.dev/Document");
            assert_eq!(signed.proof().key_id(), key.key_id());
            assert_eq!(signed.proof().time(), None, "a key alone proves no time");
        }
        assert_eq!(legacy.media_type(), "application/vnd.dsse.envelope.v1+json");
        let expected = [
            ("dev.cosignproject.cosign/signature".to_owned(), String::new()),
            ("predicateType".to_owned(), "https://spdx.dev/Document".to_owned()),
        ];
        assert_eq!(legacy.layer_annotations(), expected.into());
    }
}

#[test]
fn a_legacy_signature_covers_its_payload() {
    for key in keys() {
        let signed = SignedAttachment::legacy_signature(&key, &repository(), image(), &BTreeMap::new()).unwrap();
        assert_eq!(signed.media_type(), "application/vnd.dev.cosign.simplesigning.v1+json");
        let payload = format!(
            r#"{{"critical":{{"identity":{{"docker-reference":"registry.example/shop/app"}},"image":{{"docker-manifest-digest":"{}"}},"type":"cosign container image signature"}},"optional":null}}"#,
            image()
        );
        assert_eq!(std::str::from_utf8(signed.bytes()).unwrap(), payload);
        let annotations = signed.layer_annotations();
        assert_eq!(annotations.keys().collect::<Vec<_>>(), ["dev.cosignproject.cosign/signature"]);
        let signature = BASE64_STANDARD.decode(&annotations["dev.cosignproject.cosign/signature"]).unwrap();
        key.public_key().verify(payload.as_bytes(), &signature).unwrap();
    }
}

#[test]
fn what_core_refuses_does_not_leave() {
    let [key, _] = keys();
    let other = Digest::of("another image");
    let refused = |result: Result<SignedAttachment, Error>| match result {
        Err(Error::NotVerified(reason)) => reason.code,
        other => panic!("{other:?}"),
    };
    // A mix-up of digests between resolving and signing is the fault that this step is for.
    let statement = image_signature(&repository(), image(), &annotations());
    assert_eq!(refused(SignedAttachment::bundle(&key, &statement, other)), ReasonCode::SubjectMismatch);
    assert_eq!(refused(SignedAttachment::legacy_attestation(&key, &statement, other)), ReasonCode::SubjectMismatch);
    // A statement that is not about anything.
    let nothing = Statement { subjects: vec![], ..statement.clone() };
    assert_eq!(refused(SignedAttachment::bundle(&key, &nothing, image())), ReasonCode::SubjectMismatch);
    // A member of a predicate twice: strict readers would refuse the whole statement.
    let twice = RawValue::from_string(r#"{"a":1,"a":2}"#.to_owned()).unwrap();
    let twice = Statement { predicate: twice, ..statement.clone() };
    assert_eq!(refused(SignedAttachment::bundle(&key, &twice, image())), ReasonCode::StatementMalformed);
    // A signature of another key than the one that is verified with.
    let form = Form::SimpleSigning(LegacyMaterial { signature: BASE64_STANDARD.encode(b"x"), ..Default::default() });
    let payload = legacy::payload(&repository(), image(), None);
    assert_eq!(refused(SignedAttachment::verified(&key, form, payload, image())), ReasonCode::KeyUnknown);
}

#[test]
fn a_bundle_that_nobody_would_read_is_not_made() {
    let [key, _] = keys();
    // Under the predicate's own bound, but base64 makes a third more of it.
    let text = format!(r#"{{"spdxVersion":"SPDX-2.3","x":"{}"}}"#, "x".repeat(MAX_BUNDLE * 4 / 5));
    let predicate = Predicate::read(text.as_bytes(), None).unwrap();
    let statement = attestation(&repository(), image(), &predicate);
    let error = SignedAttachment::bundle(&key, &statement, image()).unwrap_err();
    assert!(matches!(error, Error::AttachmentTooLarge { limit: MAX_BUNDLE, .. }), "{error}");
}
