//! A timestamp for a signature (RFC 3161 over HTTP).

use attestry_core::Digest;
use rand_core::{OsRng, RngCore as _};
use url::Url;

use super::http::{Asking, Call, Service};
use crate::Error;

mod response;

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
    response::check(&answer.body, &imprint, nonce).map_err(|problem| call.malformed(problem))?;
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

#[cfg(test)]
mod tests;
