//! A timestamp for a signature (RFC 3161 over HTTP).

use attestry_core::Digest;
use rand_core::{OsRng, RngCore as _};
use url::Url;
use x509_cert::der::asn1::AnyRef;
use x509_cert::der::{Decode as _, Reader as _, SliceReader};

use super::http::{Asking, Call, Service};
use crate::Error;

const MAX_ANSWER: usize = 64 * 1024;
const REPLY: &str = "application/timestamp-reply";

/// Asks for a timestamp over the raw signature and gives the whole response, as bundles hold it.
///
/// Whose timestamp it is and over what is checked with the finished bundle. What only we can check is that it was made
/// for this very request: without the nonce a recorded answer to an older request would pass.
pub(crate) async fn stamp(asking: &Asking<'_>, authority: &Url, signature: &[u8]) -> Result<Vec<u8>, Error> {
    let imprint = Digest::of(signature);
    let nonce = nonce()?;
    let call = Call {
        service: Service::TimestampAuthority,
        url: authority.clone(),
        body: Some(("application/timestamp-query", query(&imprint, nonce).into())),
        accept: REPLY,
        bearer: None,
        limit: MAX_ANSWER,
        also: None,
    };
    let answer = asking.ask(&call).await?;
    check(&answer.body, &imprint, nonce).map_err(|problem| call.malformed(problem))?;
    Ok(answer.body.to_vec())
}

/// Eight bytes that are a positive integer of just this length.
fn nonce() -> Result<[u8; 8], Error> {
    let mut nonce = [0; 8];
    OsRng.try_fill_bytes(&mut nonce).map_err(Error::Random)?;
    nonce[0] = nonce[0] & 0x7f | 0x40;
    Ok(nonce)
}

/// `TimeStampReq`: version 1, SHA-256 imprint, nonce, and the authority's certificate in the answer, for verifiers whose
/// trusted root has only what it chains to.
fn query(imprint: &Digest, nonce: [u8; 8]) -> Vec<u8> {
    let mut der = vec![0x30, 67, 0x02, 1, 1];
    der.extend([0x30, 49, 0x30, 13, 0x06, 9, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0]);
    der.extend([0x04, 32]);
    der.extend(imprint.as_bytes());
    der.extend([0x02, 8]);
    der.extend(nonce);
    der.extend([0x01, 1, 0xff]);
    der
}

/// Whether the response grants a token over our imprint with our nonce.
fn check(response: &[u8], imprint: &Digest, nonce: [u8; 8]) -> Result<(), &'static str> {
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
fn members(sequence: AnyRef<'_>) -> Option<Vec<AnyRef<'_>>> {
    let mut reader = SliceReader::new(sequence.value()).ok()?;
    let mut members = Vec::new();
    while !reader.is_finished() {
        members.push(AnyRef::decode(&mut reader).ok()?);
    }
    Some(members)
}

#[cfg(test)]
mod tests;
