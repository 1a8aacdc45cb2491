//! What is written is what the format names, and what waits for an entry is read back.
#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::{Value, json};

use super::*;

fn signature(content: Content) -> Signature {
    Signature { content, signature: b"sig".to_vec(), certificate: b"der".to_vec() }
}

#[test]
fn a_statement_goes_into_an_envelope() {
    let entry = RawValue::from_string(r#"{"logIndex":"1"}"#.into()).unwrap();
    let bytes = write(&signature(Content::Statement { payload: b"{}".to_vec() }), &[entry], vec!["dHM=".into()]);
    let value: Value = serde_json::from_slice(&bytes).unwrap();
    let expected = json!({
        "mediaType": BUNDLE_V03,
        "verificationMaterial": {
            "certificate": { "rawBytes": "ZGVy" },
            "tlogEntries": [{ "logIndex": "1" }],
            "timestampVerificationData": { "rfc3161Timestamps": [{ "signedTimestamp": "dHM=" }] },
        },
        "dsseEnvelope": {
            "payload": "e30=", "payloadType": IN_TOTO, "signatures": [{ "sig": "c2ln" }],
        },
    });
    assert_eq!(value, expected);
}

#[test]
fn what_is_pending_is_read_back_whole() {
    for content in [Content::Statement { payload: b"{}".to_vec() }, Content::Message { digest: Digest::of("file") }] {
        let digest = content.signed_digest();
        let bytes = write(&signature(content), &[], vec!["dHM=".into()]);
        let (read, timestamps) = read_pending(&bytes).unwrap();
        assert_eq!((read.content.signed_digest(), timestamps), (digest, vec!["dHM=".to_owned()]));
        assert_eq!(write(&read, &[], vec!["dHM=".into()]), bytes);
    }
}

#[test]
fn other_bundles_are_not_pending() {
    let entry = RawValue::from_string("{}".into()).unwrap();
    let logged = write(&signature(Content::Message { digest: Digest::of("file") }), &[entry], vec![]);
    let by_key = attestry_core::bundle::key_bundle(&Digest::of("key"), &EnvelopeJson::new(IN_TOTO, b"{}", b"sig"));
    for bytes in [&logged[..], &by_key, b"{}"] {
        assert!(matches!(read_pending(bytes), Err(Error::NotPending { .. })));
    }
}
