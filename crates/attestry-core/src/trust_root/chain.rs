//! Whether every certificate between the signer's and the trust anchor was valid when it was signed.
//!
//! The library builds and checks the path, but takes each certificate of the trust root for an anchor, and the dates of
//! an anchor are not looked at: an intermediate that has expired would go on issuing (attack 14).

use sigstore_verify::{
    trust_root::TrustedRoot,
    types::{DerCertificate, TimeRange},
};
use x509_cert::{
    Certificate,
    der::Decode as _,
    ext::pkix::{AuthorityKeyIdentifier, SubjectKeyIdentifier},
};

use super::{Refusal, TrustRootError, material::validity};
use crate::{ReasonCode, Timestamp};

/// The certificates of each authority of a trust root, issuing first, anchor last.
#[derive(Debug, Clone)]
pub(super) struct Authorities(Vec<Vec<Authority>>);

#[derive(Debug, Clone)]
struct Authority {
    certificate: Certificate,
    from: Timestamp,
    until: Timestamp,
}

impl Authorities {
    pub(super) fn of(root: &TrustedRoot) -> Result<Self, TrustRootError> {
        let unusable = || TrustRootError::Content("a certificate of an authority cannot be read".to_owned());
        let read = |der: &DerCertificate| -> Result<Authority, TrustRootError> {
            let certificate = Certificate::from_der(der.as_bytes()).map_err(|_| unusable())?;
            let (from, until) = validity(der.as_bytes()).map_err(|_| unusable())?;
            Ok(Authority { certificate, from, until })
        };
        let mut authorities = Vec::new();
        for authority in &root.certificate_authorities {
            let certificates = authority.cert_chain.certificates.iter().map(|entry| read(&entry.raw_bytes));
            authorities.push(certificates.collect::<Result<_, TrustRootError>>()?);
        }
        Ok(Self(authorities))
    }

    /// The trust root as the library is given it: each certificate is an authority of its own, for as long as it and all
    /// above it are valid. This is what decides; names and key identifiers are the signer's to choose.
    pub(super) fn dated(&self, root: &TrustedRoot) -> TrustedRoot {
        let mut dated = root.clone();
        dated.certificate_authorities.clear();
        for (authority, chain) in root.certificate_authorities.iter().zip(&self.0) {
            for (at, entry) in authority.cert_chain.certificates.iter().enumerate() {
                let dates = chain.iter().skip(at).map(|certificate| (certificate.from, certificate.until));
                let own = authority.valid_for.map(|own| (own.start, own.end.unwrap_or(Timestamp::MAX)));
                let (from, until) = dates
                    .chain(own)
                    .fold((Timestamp::MIN, Timestamp::MAX), |(from, until), (f, u)| (from.max(f), until.min(u)));
                if from <= until {
                    let mut one = authority.clone();
                    one.cert_chain.certificates = vec![entry.clone()];
                    one.valid_for = Some(TimeRange::new(from, Some(until)));
                    dated.certificate_authorities.push(one);
                }
            }
        }
        dated
    }

    /// Every time lies within the dates of all certificates above `chain[0]`, as their names and key identifiers tell it.
    /// This finds the telling reason, and holds the times that the library does not know: those of legacy envelopes.
    pub(super) fn hold(&self, chain: &[Certificate], times: &[Timestamp]) -> Result<(), Refusal> {
        let (mut child, mut others) = match chain.split_first() {
            Some((leaf, others)) => (leaf, others.to_vec()),
            None => return Err(unknown()),
        };
        let mut taken;
        // Each turn takes one of the certificates that came along.
        loop {
            let issuers: Vec<(Fit, &[Authority])> = (self.0.iter())
                .flat_map(|authority| (0..authority.len()).map(|at| &authority[at..]))
                .filter_map(|path| Some((Fit::of(child, &path.first()?.certificate)?, path)))
                .collect();
            if !issuers.is_empty() {
                return within(&issuers, times);
            }
            let next = others.iter().position(|other| Fit::of(child, other).is_some()).ok_or_else(unknown)?;
            taken = others.swap_remove(next);
            child = &taken;
        }
    }
}

/// The certificates of a chain. Never empty.
pub(super) fn read(chain: &[Vec<u8>]) -> Result<Vec<Certificate>, Refusal> {
    if chain.is_empty() {
        return Err(unknown());
    }
    chain.iter().map(|der| Certificate::from_der(der).map_err(|_| unknown())).collect()
}

fn unknown() -> Refusal {
    Refusal::new(ReasonCode::CertificateUntrusted, &"its certificate chains to no authority")
}

/// How sure it is that one certificate issued another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    /// The issuer's name and key identifier are the ones that the issued certificate states.
    Key,
    /// The names agree, and one of the two states no key identifier.
    Name,
}

impl Fit {
    fn of(child: &Certificate, issuer: &Certificate) -> Option<Self> {
        if child.tbs_certificate.issuer != issuer.tbs_certificate.subject {
            return None;
        }
        let stated = child.tbs_certificate.get::<AuthorityKeyIdentifier>().ok().flatten();
        let own = issuer.tbs_certificate.get::<SubjectKeyIdentifier>().ok().flatten();
        match (stated.and_then(|(_, id)| id.key_identifier), own) {
            (Some(stated), Some((_, own))) => (stated == own.0).then_some(Self::Key),
            _ => Some(Self::Name),
        }
    }
}

/// Of several certificates for one key any may hold the times; where only names agree, all must.
fn within(issuers: &[(Fit, &[Authority])], times: &[Timestamp]) -> Result<(), Refusal> {
    let holds = |path: &[Authority]| {
        path.iter().all(|authority| times.iter().all(|time| authority.from <= *time && *time <= authority.until))
    };
    let by_key: Vec<_> = issuers.iter().filter(|(fit, _)| *fit == Fit::Key).collect();
    let good = match by_key.is_empty() {
        true => issuers.iter().all(|(_, path)| holds(path)),
        false => by_key.iter().any(|(_, path)| holds(path)),
    };
    if good {
        return Ok(());
    }
    Err(Refusal::new(
        ReasonCode::CertificateNotValidThen,
        &"a certificate above its own was not valid when it was signed",
    ))
}
