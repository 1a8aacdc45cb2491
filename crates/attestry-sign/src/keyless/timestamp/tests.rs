//! The query's bytes, and answers to other queries.
#![allow(clippy::unwrap_used, reason = "tests")]

use x509_cert::der::{Decode as _, asn1::AnyRef};

use super::{
    response::{check, members},
    *,
};

fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let value = parts.concat();
    let length = u8::try_from(value.len()).unwrap();
    let head: &[u8] = if length < 128 { &[tag, length] } else { &[tag, 0x81, length] };
    [head, &value].concat()
}

/// A response with only the members that are looked at.
fn response(status: u8, imprint: &Digest, nonce: Option<[u8; 8]>) -> Vec<u8> {
    let algorithm = tlv(0x30, &[&tlv(0x06, &[&[0x60]])]);
    let nonce = nonce.map(|nonce| tlv(0x02, &[&nonce])).unwrap_or_default();
    let info = tlv(
        0x30,
        &[
            &tlv(0x02, &[&[1]]),
            &tlv(0x06, &[&[0x2a]]),
            &tlv(0x30, &[&algorithm, &tlv(0x04, &[imprint.as_bytes()])]),
            &tlv(0x02, &[&[9]]),
            &tlv(0x18, &[b"20260601000000Z"]),
            &tlv(0x30, &[&tlv(0x02, &[&[1]])]),
            &nonce,
        ],
    );
    let encapsulated = tlv(0x30, &[&tlv(0x06, &[&[0x2a]]), &tlv(0xa0, &[&tlv(0x04, &[&info])])]);
    let signed = tlv(0x30, &[&tlv(0x02, &[&[3]]), &tlv(0x31, &[]), &encapsulated]);
    let token = tlv(0x30, &[&tlv(0x06, &[&[0x2a]]), &tlv(0xa0, &[&signed])]);
    tlv(0x30, &[&tlv(0x30, &[&tlv(0x02, &[&[status]])]), &token])
}

#[test]
fn an_answer_counts_for_its_own_query_only() {
    let (imprint, nonce) = (Digest::of("signature"), [0x41; 8]);
    let checked = |response: &[u8]| check(response, &imprint, nonce);
    assert_eq!(checked(&response(0, &imprint, Some(nonce))), Ok(()));
    assert_eq!(checked(&response(1, &imprint, Some(nonce))), Ok(()));
    assert_eq!(checked(&response(2, &imprint, Some(nonce))), Err("it refuses a timestamp"));
    let other = "its timestamp was made for another request";
    assert_eq!(checked(&response(0, &imprint, Some([0x42; 8]))), Err(other));
    assert_eq!(checked(&response(0, &imprint, None)), Err(other));
    let something_else = response(0, &Digest::of("other"), Some(nonce));
    assert_eq!(checked(&something_else), Err("its timestamp is over something else"));
}

#[test]
fn answers_that_break_off_anywhere_are_refused() {
    let (imprint, nonce) = (Digest::of("signature"), [0x41; 8]);
    let whole = response(0, &imprint, Some(nonce));
    for length in 0..whole.len() {
        assert!(check(&whole[..length], &imprint, nonce).is_err(), "{length}");
    }
}

#[test]
fn the_query_is_one_sequence_of_four() {
    let query = query(&Digest::of("signature"), nonce().unwrap());
    assert_eq!(members(AnyRef::from_der(&query).unwrap()).unwrap().len(), 4);
}
