//! Requests of both versions, and what a log of version 1 answers.
#![allow(clippy::unwrap_used, reason = "tests")]

use attestry_core::Digest;

use super::*;

fn signature(content: Content) -> Signature {
    Signature { content, signature: b"sig".to_vec(), certificate: b"der".to_vec() }
}

fn statement() -> Signature {
    signature(Content::Statement { payload: b"{}".to_vec() })
}

#[test]
fn version_1_gets_the_envelope_or_the_digest() {
    let proposal = proposal_v1(&statement());
    assert_eq!((&proposal["kind"], &proposal["apiVersion"]), (&json!("dsse"), &json!("0.0.1")));
    let envelope = proposal["spec"]["proposedContent"]["envelope"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(envelope).unwrap()["payload"], "e30=");
    let proposal = proposal_v1(&signature(Content::Message { digest: Digest::of("file") }));
    assert_eq!(proposal["kind"], "hashedrekord");
    assert_eq!(proposal["spec"]["data"]["hash"]["value"], Digest::of("file").hex());
}

#[test]
fn version_2_gets_the_digest_of_what_is_signed() {
    let digest = |signature| proposal_v2(&signature)["hashedRekordRequestV002"]["digest"].clone();
    let base64 = |digest: Digest| json!(BASE64_STANDARD.encode(digest.as_bytes()));
    let signed = b"DSSEv1 28 application/vnd.in-toto+json 2 {}";
    assert_eq!(digest(statement()), base64(Digest::of(signed)));
    assert_eq!(digest(signature(Content::Message { digest: Digest::of("file") })), base64(Digest::of("file")));
}

fn answer_v1() -> Value {
    json!({ "24296fb24b8ad77a": {
        "body": "Ym9keQ==", "integratedTime": 1_800_000_000, "logID": "c0d2", "logIndex": 7,
        "verification": {
            "inclusionProof": {
                "checkpoint": "log\n1\n", "hashes": ["00ff"], "logIndex": 3, "rootHash": "aa", "treeSize": 4,
            },
            "signedEntryTimestamp": "c2V0",
        },
    } })
}

#[test]
fn an_entry_of_version_1_is_translated() {
    let entry = entry::v1(answer_v1().to_string().as_bytes(), kind(&statement()), None).unwrap();
    let expected = json!({
        "logIndex": "7",
        "logId": { "keyId": "wNI=" },
        "kindVersion": { "kind": "dsse", "version": "0.0.1" },
        "integratedTime": "1800000000",
        "inclusionPromise": { "signedEntryTimestamp": "c2V0" },
        "inclusionProof": {
            "logIndex": "3", "rootHash": "qg==", "treeSize": "4", "hashes": ["AP8="],
            "checkpoint": { "envelope": "log\n1\n" },
        },
        "canonicalizedBody": "Ym9keQ==",
    });
    assert_eq!(serde_json::from_str::<Value>(entry.get()).unwrap(), expected);
}

#[test]
fn answers_that_are_no_single_entry_are_refused() {
    let mut two = answer_v1();
    two["another"] = two["24296fb24b8ad77a"].clone();
    let mut no_hex = answer_v1();
    no_hex["24296fb24b8ad77a"]["logID"] = "+1".into();
    for answer in [two, no_hex, json!({}), json!([])] {
        assert!(entry::v1(answer.to_string().as_bytes(), kind(&statement()), None).is_err(), "{answer}");
    }
    for answer in ["{}", "[]", r#"{"logId":{},"logId":{}}"#] {
        assert!(entry::v2(answer.as_bytes()).is_err(), "{answer}");
    }
}

#[test]
fn an_entry_elsewhere_is_never_fetched() {
    let asked: Url = "https://log.example/api/v1/log/entries".parse().unwrap();
    let at = |text: &str| {
        let answer = Answer { status: StatusCode::CONFLICT, location: Some(text.into()), body: Default::default() };
        location(&asked, &answer).is_some()
    };
    assert!(at("/api/v1/log/entries/24") && at("https://log.example/api/v1/log/entries/24"));
    assert!(!at("https://other.example/") && !at("//other.example/") && !at("http://log.example/24"));
}
