//! What a timestamp authority answers (RFC 3161, section 2.4.2), as far as only the one who asked can check it.

use attestry_core::Digest;
use x509_cert::der::asn1::AnyRef;
use x509_cert::der::{Decode as _, Reader as _, SliceReader};

/// Whether the response grants a token over our imprint with our nonce.
pub(super) fn check(response: &[u8], imprint: &Digest, nonce: [u8; 8]) -> Result<(), &'static str> {
    let unreadable = "it is no timestamp response";
    let response = AnyRef::from_der(response).ok().and_then(members).ok_or(unreadable)?;
    let status = response.first().copied().and_then(members).ok_or(unreadable)?;
    if !status.first().is_some_and(|status| matches!(status.value(), [0 | 1])) {
        return Err("it refuses a timestamp");
    }
    let info = response.get(1).and_then(|token| timestamp_info(*token)).ok_or(unreadable)?;
    // version, policy, imprint, serial number, time; of what may follow only the nonce is an integer.
    let hashed = info.get(2).copied().and_then(members).ok_or(unreadable)?;
    if hashed.get(1).is_none_or(|hash| hash.value() != imprint.as_bytes()) {
        return Err("its timestamp is over something else");
    }
    let integer = |member: &&AnyRef<'_>| u8::from(x509_cert::der::Tagged::tag(*member)) == 0x02;
    let answered = info.iter().skip(5).find(integer).map(|nonce| nonce.value());
    if answered != Some(&nonce) {
        return Err("its timestamp was made for another request");
    }
    Ok(())
}

/// `ContentInfo` → `SignedData` → `EncapsulatedContentInfo` → `TSTInfo`.
fn timestamp_info(token: AnyRef<'_>) -> Option<Vec<AnyRef<'_>>> {
    let signed = members(inner_of(members(token)?, 1)?)?;
    let encapsulated = members(*signed.get(2)?)?;
    let octets = inner_of(encapsulated, 1)?;
    members(AnyRef::from_der(octets.value()).ok()?)
}

/// What lies in the explicit tag that is the member at this place.
fn inner_of(members: Vec<AnyRef<'_>>, at: usize) -> Option<AnyRef<'_>> {
    AnyRef::from_der(members.get(at)?.value()).ok()
}

/// The members of a sequence or set.
pub(super) fn members(sequence: AnyRef<'_>) -> Option<Vec<AnyRef<'_>>> {
    let mut reader = SliceReader::new(sequence.value()).ok()?;
    let mut members = Vec::new();
    while !reader.is_finished() {
        members.push(AnyRef::decode(&mut reader).ok()?);
    }
    Some(members)
}
