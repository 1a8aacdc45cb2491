//! Every reason code: stable, kebab-case, shared by tests, records, the API and messages.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The family of a code, as the reference groups them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReasonGroup {
    /// Signatures and attestations.
    Evidence,
    /// The image, its reference and the policies that match it.
    Image,
    /// The base image.
    Base,
    /// What kept the answer from being known.
    Undeterminable,
    /// The service itself.
    Service,
}

macro_rules! reason_codes {
    ($($group:ident { $($variant:ident $code:literal $meaning:literal $hint:literal,)* })*) => {
        /// A stable code that says why something was not trusted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum ReasonCode {
            $($(#[doc = $meaning] $variant,)*)*
        }

        impl ReasonCode {
            /// Every code, in the order of the reference.
            pub const ALL: &[ReasonCode] = &[$($(ReasonCode::$variant,)*)*];

            /// The code as it is written everywhere.
            pub const fn as_str(self) -> &'static str {
                match self { $($(Self::$variant => $code,)*)* }
            }

            /// What it means, in one sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $($(Self::$variant => $meaning,)*)* }
            }

            /// What to do next, in one sentence.
            pub const fn hint(self) -> &'static str {
                match self { $($(Self::$variant => $hint,)*)* }
            }

            /// The family it belongs to.
            pub const fn group(self) -> ReasonGroup {
                match self { $($(Self::$variant => ReasonGroup::$group,)*)* }
            }
        }
    };
}

reason_codes! {
    Evidence {
        SignatureMissing "signature-missing" "No signature was found although everything was read." "Sign the image: attestry sign IMAGE --key FILE.",
        AttestationMissing "attestation-missing" "No attestation of the wanted type was found although everything was read." "Attach one: attestry attest IMAGE --predicate FILE --key FILE.",
        SignatureInvalid "signature-invalid" "The signature does not fit the bytes that it came with." "The evidence was altered or damaged; sign again and look into who wrote it.",
        BundleMalformed "bundle-malformed" "The bundle or legacy layer cannot be read: syntax, duplicate members, or a shape that its format forbids." "Attach it again with a current tool.",
        BundleUnsupported "bundle-unsupported" "The bundle is well formed but uses something that is not understood, which proves nothing." "Use a format of the reference, or a newer attestry.",
        StatementMalformed "statement-malformed" "The signed payload is no readable in-toto statement or simple-signing payload." "Attach it again with a current tool.",
        SubjectMismatch "subject-mismatch" "What was signed names another digest than this image." "Sign this very digest; the evidence belongs to another image.",
        PayloadTypeWrong "payload-type-wrong" "The envelope's payload type is not application/vnd.in-toto+json." "Attach an in-toto statement.",
        PredicateTypeMismatch "predicate-type-mismatch" "The signed predicate type is not one that was asked for." "Attest with the wanted type, or widen the requirement's types.",
        KeyUnknown "key-unknown" "There is evidence, but no key of the named authorities made it." "Sign with a key of a named authority, or add its public key as an Authority.",
        KeyNotValidThen "key-not-valid-then" "The key's validity window does not hold the time of the signature." "Sign with a current key, or prove the time with a log entry or timestamp.",
        IdentityMismatch "identity-mismatch" "The certificate's identity or issuer is not the one that the authority names." "Compare issuer and subject with the Authority; patterns match the whole string.",
        CertificateUntrusted "certificate-untrusted" "The certificate does not chain to a certificate authority of the trust root." "Check which Sigstore instance signed and which trust root the authority uses.",
        CertificateNotValidThen "certificate-not-valid-then" "The certificate was not valid at a proven time of the signature." "Sign with a log entry or timestamp made while the certificate is valid.",
        SctInvalid "sct-invalid" "The certificate carries no valid signed certificate timestamp." "Use a certificate authority with a transparency log, or say sct: NotOffered in the TrustRoot.",
        LogEntryMissing "log-entry-missing" "A transparency log entry is required and none was given." "Sign with a transparency log, or relax transparencyLog in the Authority.",
        LogProofInvalid "log-proof-invalid" "The log entry's promise, inclusion proof or checkpoint does not verify." "The evidence was altered, or the log's key is not in the trust root.",
        LogEntryMismatch "log-entry-mismatch" "The log entry is valid but belongs to something else than this signature." "The evidence was put together from parts; look into who wrote it.",
        TimestampMissing "timestamp-missing" "A time is needed and neither a proof nor the signed predicate states one." "Sign with a timestamp, or attest a predicate that states its time.",
        TimestampInvalid "timestamp-invalid" "A timestamp does not verify, or lies in the future." "Check the timestamp authority and the clocks.",
        ThresholdNotMet "threshold-not-met" "Fewer distinct authorities signed than the requirement's threshold." "Have more of the named authorities sign.",
        EvidenceTooOld "evidence-too-old" "The evidence is older than the requirement's maxAge." "Make the attestation again.",
        ConditionFalse "condition-false" "The requirement's condition is false for every attestation that verified." "Read the condition and the attested document.",
        ConditionFailed "condition-failed" "The condition could not be computed: an error, a too large predicate or an exhausted budget." "Test the condition with attestry policy test; guard absent fields with has().",
        BuilderNotTrusted "builder-not-trusted" "The provenance names a builder that the requirement does not list." "Build on a listed builder, or list this one.",
        SourceNotTrusted "source-not-trusted" "The provenance names a source that the requirement does not list." "Build from a listed source, or list this one.",
    }
    Image {
        ReferenceMalformed "reference-malformed" "The image reference cannot be read." "Write registry/repository[:tag][@sha256:digest].",
        TagMutable "tag-mutable" "The image is named by a tag, which can move." "Name it by digest: registry/repository@sha256:digest.",
        TagNotPinned "tag-not-pinned" "The image reached validation without a digest." "Enable the mutating webhook, or name the image by digest.",
        TagDigestDisagree "tag-digest-disagree" "Tag and digest in one reference name different images; the digest was judged." "Correct the tag or drop it.",
        DigestNotListed "digest-not-listed" "The image's digest is not among the listed ones." "List the digest after a review, or use a listed image.",
        NoPolicy "no-policy" "No policy matches this image." "Add an ImagePolicy whose match holds it, or set noPolicy in the configuration.",
        PlatformUnproven "platform-unproven" "A platform of the index does not meet the requirement." "Sign every platform: attestry sign --recursive, or sign the index.",
        Revoked "revoked" "The digest, key, identity or authority is revoked." "Use another build; the revocation entry says why.",
        Exempted "exempted" "An exemption admitted the image." "Remove the exemption when its reason is gone.",
        Unguarded "unguarded" "The object cannot be guarded by admission; it was recorded." "Guard the node itself; see the documentation on static Pods.",
        PendingTooLong "pending-too-long" "The signature's log entry has been pending for longer than the policy allows." "Complete it: attestry sign --complete IMAGE.",
    }
    Base {
        BaseUnknown "base-unknown" "The image stands on no build of the named catalogs." "Build on a listed base, or add its build: attestry base add.",
        BaseNotTrusted "base-not-trusted" "The base's status is not one that the requirement allows." "Move to a supported base; the catalog names a replacement if there is one.",
        BaseUnsupported "base-unsupported" "The base is past its support date, or its build is too old." "Rebuild on a supported base.",
        BaseRevoked "base-revoked" "The base or this build of it is revoked." "Rebuild on another build of the base.",
        BaseClaimsDisagree "base-claims-disagree" "Layers, diff ids or annotations tell different bases." "Rebuild the image; a manifest and config that disagree are not made by usual tools.",
    }
    Undeterminable {
        RegistryUnreachable "registry-unreachable" "The registry could not be reached or failed." "Try again; check the registry and the network.",
        RegistryTimeout "registry-timeout" "The registry did not answer in time." "Try again; what was read so far is kept.",
        RegistryThrottled "registry-throttled" "The registry asked us to slow down." "Try again later, or use credentials with a higher limit.",
        RegistryDenied "registry-denied" "The registry refused access." "Check the credentials and the token realm of the registry's entry.",
        RegistryMalformed "registry-malformed" "The registry's answer does not fit its digest, size, type or protocol." "Check the registry; something between may have changed the bytes.",
        NotFound "not-found" "The registry does not have what was asked for." "Check the reference; push the image first.",
        RegistryNotAllowed "registry-not-allowed" "The configuration does not allow connecting there." "Add an entry for the registry; private addresses need private: true.",
        OverLimit "over-limit" "A bound was reached before everything was read." "See the bounds in the reference; remove surplus attachments.",
        BudgetSpent "budget-spent" "The time or request budget of the collection ran out." "Try again; what was read so far is kept.",
        TrustRootStale "trust-root-stale" "The trust root is past its refresh deadline." "Refresh the trust root.",
        NamespaceUnknown "namespace-unknown" "A policy selects by namespace labels that are not known here." "Give them: --namespace-label K=V.",
    }
    Service {
        RequestMalformed "request-malformed" "The request cannot be read." "Compare it with /openapi.json.",
        KindUnsupported "kind-unsupported" "The object's kind is not one that can be judged." "Narrow the webhook's rules to the kinds that are judged.",
        Unauthenticated "unauthenticated" "The request has no valid token." "Send Authorization: Bearer with a token of the configuration.",
        PolicyRollback "policy-rollback" "The policy set lacks a revocation that was seen before." "Put the revocation entries back; they are append-only.",
        RecordFailed "record-failed" "The decision could not be recorded durably, so nothing is admitted." "Check the data directory's disk and the service's log.",
        Overloaded "overloaded" "The service has too much work at the moment." "Try again; raise the limits or add replicas.",
    }
}

/// A code with what happened, to what, in plain words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reason {
    /// The stable code.
    pub code: ReasonCode,
    /// One sentence for a person: what happened, to which thing. At most 1 KiB, no control characters.
    pub message: String,
    /// Values for a machine, such as `digest`, `keyId`, `predicateType`, `platform`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
}

const MAX_MESSAGE: usize = 1024;
const MAX_DETAIL: usize = 512;

impl Reason {
    /// A reason with a message. Control characters become spaces (attack 67) and the length is bounded, since
    /// messages quote foreign text.
    pub fn new(code: ReasonCode, message: impl AsRef<str>) -> Self {
        Self { code, message: clean(message.as_ref(), MAX_MESSAGE), details: BTreeMap::new() }
    }

    /// Adds a value for a machine, cleaned like the message.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.details.insert(name.to_owned(), clean(&value.to_string(), MAX_DETAIL));
        self
    }
}

/// Foreign text made safe for one line: control and bidirectional characters become spaces, cut at `max` bytes.
pub fn clean(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max));
    for c in text.chars() {
        let hidden =
            matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        let c = if c.is_control() || hidden { ' ' } else { c };
        if out.len() + c.len_utf8() > max.saturating_sub(3) && text.len() > max {
            out.push('…');
            break;
        }
        out.push(c);
    }
    out
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no reason code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no reason code")]
pub struct UnknownReasonCode(String);

impl FromStr for ReasonCode {
    type Err = UnknownReasonCode;

    fn from_str(text: &str) -> Result<Self, UnknownReasonCode> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text).ok_or_else(|| UnknownReasonCode(clean(text, 64)))
    }
}

impl Serialize for ReasonCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ReasonCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn codes_are_unique_kebab_case_and_read_back() {
        for code in ReasonCode::ALL {
            assert!(code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{code}");
            assert_eq!(code.as_str().parse::<ReasonCode>().as_ref(), Ok(code));
            assert!(code.meaning().ends_with('.') && code.hint().ends_with('.'), "{code}");
        }
        assert!("signature_missing".parse::<ReasonCode>().is_err());
    }

    #[test]
    fn attack_67_foreign_text_stays_on_one_bounded_line() {
        let reason = Reason::new(ReasonCode::NotFound, format!("a\nb\u{202e}c{}", "x".repeat(5000)));
        assert!(reason.message.len() <= MAX_MESSAGE);
        assert!(reason.message.starts_with("a b c"));
        assert!(!reason.message.chars().any(char::is_control));
    }

    #[test]
    fn a_reason_reads_as_code_and_message() {
        let reason = Reason::new(ReasonCode::NotFound, "there is no such tag");
        assert_eq!(reason.to_string(), "not-found: there is no such tag");
    }

    #[test]
    fn text_is_cut_only_where_it_is_too_long() {
        assert_eq!(clean("abcdef", 6), "abcdef");
        assert_eq!(clean("abcdefg", 6), "abc…");
        assert_eq!(clean("äöüß", 7), "äö…");
    }
}
