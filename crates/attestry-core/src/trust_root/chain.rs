//! Whether every certificate between the signer's and the trust anchor was valid when it was signed.
//!
//! The library builds and checks the path as well, but takes each certificate of the trust root for an anchor, and the
//! dates of an anchor are not looked at: an intermediate that has expired would go on issuing (attack 14).

use std::time::Duration;

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use sigstore_verify::{
    crypto::WEBPKI_VERIFICATION_ALGS,
    trust_root::{CertificateAuthority, TrustedRoot},
    types::TimeRange,
};
use webpki::{EndEntityCert, Error, KeyUsage};

use super::{Refusal, TrustRootError, material::validity};
use crate::{ReasonCode, Timestamp};

/// The extended key usage of signers of code, 1.3.6.1.5.5.7.3.3 (RFC 5280, section 4.2.1.12).
const CODE_SIGNING: KeyUsage = KeyUsage::required(&[43, 6, 1, 5, 5, 7, 3, 3]);

/// The certificates of a trust root's authorities. Each counts by itself, for as long as it and all above it are valid:
/// names and key identifiers are the signer's to choose.
pub(super) struct Authorities(Vec<Authority>);

struct Authority {
    anchor: TrustAnchor<'static>,
    from: Timestamp,
    until: Timestamp,
    /// The same as the library takes it; none for one that never counted.
    alone: Option<CertificateAuthority>,
}

impl Authorities {
    pub(super) fn of(root: &TrustedRoot) -> Result<Self, TrustRootError> {
        let unusable = || TrustRootError::Content("a certificate of an authority cannot be read".to_owned());
        let mut authorities = Vec::new();
        for authority in &root.certificate_authorities {
            let own = authority.valid_for.map(|own| (own.start, own.end.unwrap_or(Timestamp::MAX)));
            let (mut from, mut until) = own.unwrap_or((Timestamp::MIN, Timestamp::MAX));
            // The last is at the top.
            for entry in authority.cert_chain.certificates.iter().rev() {
                let der = entry.raw_bytes.as_bytes();
                let (first, last) = validity(der).map_err(|_| unusable())?;
                (from, until) = (from.max(first), until.min(last));
                let der = CertificateDer::from(der);
                let anchor = webpki::anchor_from_trusted_cert(&der).map_err(|_| unusable())?.to_owned();
                let mut alone = authority.clone();
                alone.cert_chain.certificates = vec![entry.clone()];
                alone.valid_for = Some(TimeRange::new(from, Some(until)));
                let alone = (from <= until).then_some(alone);
                authorities.push(Authority { anchor, from, until, alone });
            }
        }
        Ok(Self(authorities))
    }

    /// The trust root as the library is given it.
    pub(super) fn dated(&self, root: &TrustedRoot) -> TrustedRoot {
        let mut dated = root.clone();
        dated.certificate_authorities = self.0.iter().filter_map(|authority| authority.alone.clone()).collect();
        dated
    }

    /// `chain[0]` may sign code, and leads to an authority that counted, at every one of the times. Gives the key of its
    /// issuer, as SPKI DER. Without a time nothing holds.
    pub(super) fn hold(&self, chain: &[Vec<u8>], times: &[Timestamp]) -> Result<Vec<u8>, Refusal> {
        let mut issuer = Err(unknown());
        for time in times {
            let counting = self.0.iter().filter(|authority| authority.from <= *time && *time <= authority.until);
            let counting: Vec<TrustAnchor<'_>> = counting.map(|authority| authority.anchor.clone()).collect();
            issuer = path(chain, &counting, *time).map_err(|error| self.told(chain, *time, &error));
            if issuer.is_err() {
                break;
            }
        }
        issuer
    }

    /// A path that ends nowhere, because what issued the certificate did not count then, is told as that. The dates of
    /// `chain[0]` itself were held before.
    fn told(&self, chain: &[Vec<u8>], time: Timestamp, error: &Error) -> Refusal {
        let all: Vec<TrustAnchor<'_>> = self.0.iter().map(|authority| authority.anchor.clone()).collect();
        let dated = |error: &Error| matches!(error, Error::CertExpired { .. } | Error::CertNotValidYet { .. });
        if dated(error) || path(chain, &all, time).map_or_else(|error| dated(&error), |_| true) {
            let message = format!("a certificate above its own was not valid when it was signed, at {time}");
            return Refusal::new(ReasonCode::CertificateNotValidThen, &message);
        }
        unknown()
    }
}

fn path(chain: &[Vec<u8>], anchors: &[TrustAnchor<'_>], time: Timestamp) -> Result<Vec<u8>, Error> {
    let (leaf, others) = chain.split_first().ok_or(Error::UnknownIssuer)?;
    let leaf = CertificateDer::from(leaf.as_slice());
    let others: Vec<CertificateDer<'_>> = others.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
    let seconds = u64::try_from(time.as_second()).map_err(|_| Error::UnknownIssuer)?;
    let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let leaf = EndEntityCert::try_from(&leaf)?;
    let path = leaf.verify_for_usage(WEBPKI_VERIFICATION_ALGS, anchors, &others, time, CODE_SIGNING, None, None)?;
    Ok(path.issuer_spki().as_ref().to_vec())
}

fn unknown() -> Refusal {
    Refusal::new(ReasonCode::CertificateUntrusted, &"its certificate chains to no authority")
}
