//! What `verify --key` and `verify --identity` mean: a policy over every image, so that there is no second verifier.

use attestry_core::{
    API_VERSION, Reason, Timestamp,
    crypto::PublicKey,
    predicate::PredicateFormat,
    verify::{FileContent, SignedFile, Verified},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{PolicyErrors, PolicySet, SourceFile};

/// One signer, demanded without a policy document.
#[derive(Debug, Clone, Copy)]
pub struct Demand<'a> {
    /// Who is to have signed.
    pub signer: Signer<'a>,
    /// The text of a `trusted_root.json`. Without it identities stand on Sigstore's public instance, and a key's log
    /// entries and timestamps are not looked at.
    pub trusted_root: Option<&'a str>,
    /// Ask for an attestation of this type, a short name (`spdx`) or a URI, instead of a signature.
    pub predicate_type: Option<&'a str>,
}

/// Who is to have signed.
#[derive(Debug, Clone, Copy)]
pub enum Signer<'a> {
    /// The holder of a key.
    Key(&'a PublicKey),
    /// An identity at an issuer, both given in full.
    Identity {
        /// The certificate's subject alternative name.
        subject: &'a str,
        /// The OIDC issuer.
        issuer: &'a str,
    },
}

const TRUST_ROOT: &str = "trust-root";

impl Demand<'_> {
    /// What the one policy and its authority are called in a review.
    fn name(&self) -> &'static str {
        match self.signer {
            Signer::Key(_) => "key",
            Signer::Identity { .. } => "identity",
        }
    }

    /// One policy over everything.
    ///
    /// # Errors
    ///
    /// A predicate type that is neither short name nor URI, an issuer that is no URL, a trusted root that cannot be
    /// used.
    pub fn policy_set(&self) -> Result<PolicySet, PolicyErrors> {
        let authorities = [self.name()];
        let requirement = match self.predicate_type {
            None => json!({"name": "signed", "signature": {"authorities": authorities}}),
            Some(name) if PredicateFormat::from_short_name(name).is_some() => {
                json!({"name": "attested", "attestation": {"types": [name], "authorities": authorities}})
            }
            Some(uri) => {
                json!({"name": "attested", "attestation": {"predicateTypes": [uri], "authorities": authorities}})
            }
        };
        let root = match self.trusted_root {
            Some(text) => json!({ "inline": text }),
            None => json!({"publicGood": {}}),
        };
        let authority = match self.signer {
            Signer::Key(key) if self.trusted_root.is_some() => {
                json!({"key": {"pem": pem(key), "trustRoot": TRUST_ROOT}})
            }
            Signer::Key(key) => json!({"key": {"pem": pem(key)}}),
            Signer::Identity { subject, issuer } => {
                json!({"keyless": {"issuer": issuer, "subject": {"exact": subject}, "trustRoot": TRUST_ROOT}})
            }
        };
        PolicySet::load(&[
            document("TrustRoot", TRUST_ROOT, &root),
            document("Authority", self.name(), &authority),
            document("ImagePolicy", self.name(), &json!({"match": {"images": ["**"]}, "require": [requirement]})),
        ])
    }

    /// Verifies a bundle about a file that is no image: a signature over it, or an attestation that names it.
    ///
    /// # Errors
    ///
    /// As [`Self::policy_set`]; a refusal is the value inside.
    pub fn verify_file(
        &self,
        bundle: &[u8],
        file: FileContent<'_>,
        now: Timestamp,
    ) -> Result<Result<Verified<SignedFile>, Reason>, PolicyErrors> {
        let set = self.policy_set()?;
        // The set was made above, with this one authority.
        let authority = set.authorities().get(self.name()).expect("the demand's authority");
        Ok(authority.verify_file(bundle, file, now))
    }
}

fn document(kind: &str, name: &str, spec: &Value) -> SourceFile {
    let document = json!({"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec});
    // JSON is YAML; one file for each document keeps their line numbers apart.
    SourceFile::new(format!("{kind}.yaml"), document.to_string())
}

fn pem(key: &PublicKey) -> String {
    let body = STANDARD.encode(key.spki_der());
    let lines: Vec<&str> =
        (0..body.len()).step_by(64).filter_map(|at| body.get(at..(at + 64).min(body.len()))).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use attestry_core::trust_root::PUBLIC_GOOD;
    use p256::{ecdsa::SigningKey, pkcs8::EncodePublicKey as _};

    use super::*;
    use crate::compile::RequirementKind;

    fn key() -> PublicKey {
        let key = SigningKey::from_bytes(&[7; 32].into()).unwrap();
        PublicKey::from_spki_der(key.verifying_key().to_public_key_der().unwrap().as_bytes()).unwrap()
    }

    #[test]
    fn a_key_is_one_authority_and_stands_on_a_trust_root_only_where_one_is_given() {
        let key = key();
        for root in [None, Some(PUBLIC_GOOD)] {
            let demand = Demand { signer: Signer::Key(&key), trusted_root: root, predicate_type: None };
            let set = demand.policy_set().unwrap();
            let [authority] = set.authorities().values().collect::<Vec<_>>()[..] else { panic!("one authority") };
            assert_eq!((authority.name.as_str(), authority.key().unwrap().key_id), ("key", key.id()));
            assert_eq!(authority.trust_root().is_some(), root.is_some());
        }
    }

    #[test]
    fn an_identity_stands_on_the_public_instance_unless_another_root_is_given() {
        let signer = Signer::Identity { subject: "release@acme.test", issuer: "https://token.issuer.test" };
        let set = Demand { signer, trusted_root: None, predicate_type: None }.policy_set().unwrap();
        let keyless = set.authorities()["identity"].keyless().unwrap();
        assert_eq!(keyless.issuer, "https://token.issuer.test");
        assert!(keyless.subject.matches("release@acme.test") && !keyless.subject.matches("other@acme.test"));
        assert!(Demand { signer, trusted_root: Some("{}"), predicate_type: None }.policy_set().is_err());
        let nobody = Signer::Identity { subject: "release@acme.test", issuer: "acme" };
        assert!(Demand { signer: nobody, trusted_root: None, predicate_type: None }.policy_set().is_err());
    }

    #[test]
    fn a_type_is_a_short_name_or_a_uri() {
        let key = key();
        let demand = |predicate_type| Demand { signer: Signer::Key(&key), trusted_root: None, predicate_type };
        let kind = |name| demand(name).policy_set().map(|set| set.policies()[0].require[0].kind.clone());
        assert!(matches!(kind(None), Ok(RequirementKind::Signature(_))));
        let types = |name| match kind(Some(name)) {
            Ok(RequirementKind::Attestation(attestation)) => attestation.types,
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!((types("spdx").formats.len(), types("spdx").uris.len()), (1, 0));
        assert_eq!(types("https://example.org/own/v1").uris, ["https://example.org/own/v1"]);
        assert!(kind(Some("own")).is_err());
    }

    #[test]
    fn a_key_is_written_in_lines_as_others_write_it() {
        let text = pem(&key());
        assert_eq!(PublicKey::from_pem(&text).unwrap(), key());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.iter().map(|line| line.len()).collect::<Vec<_>>(), [26, 64, 60, 24]);
    }
}
