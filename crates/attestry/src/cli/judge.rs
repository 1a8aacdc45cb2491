//! Commands that judge what others made: verify, extract, tree.

use attestry_core::Digest;
use clap::{ArgGroup, Args};

use super::{File, RegistryArgs, key_value};

/// Who must have signed, or which policies say so.
#[derive(Debug, Clone, Args)]
#[command(group = ArgGroup::new("demand").required(true).args(["policy", "key", "identity"]))]
pub(crate) struct DemandArgs {
    /// Judge by the policy documents of this directory
    #[arg(long, value_name = "DIR")]
    pub(crate) policy: Option<File>,
    /// The namespace that the image is to run in
    #[arg(long, value_name = "NAME", requires = "policy")]
    pub(crate) namespace: Option<String>,
    /// A label of that namespace
    #[arg(long = "namespace-label", value_name = "NAME=VALUE", requires = "namespace", value_parser = key_value)]
    pub(crate) namespace_labels: Vec<(String, String)>,
    /// Ask for a signature by this public key
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<File>,
    /// Ask for a signature by this certificate identity, given in full
    #[arg(long, value_name = "SUBJECT", requires = "issuer")]
    pub(crate) identity: Option<String>,
    /// The issuer of that identity, given in full
    #[arg(long, value_name = "URL", requires = "identity")]
    pub(crate) issuer: Option<String>,
    /// The trusted_root.json that certificates, log entries and timestamps are checked with. Without it identities
    /// stand on Sigstore's public instance, and a key's log entries are not looked at
    #[arg(long, value_name = "FILE", conflicts_with = "policy")]
    pub(crate) trust_root: Option<File>,
}

/// `verify`.
#[derive(Debug, Clone, Args)]
#[command(group = ArgGroup::new("subject").required(true).args(["image", "file"]))]
#[command(after_help = "\
Examples:
  attestry verify registry.example/app@sha256:DIGEST --key release.pub
  attestry verify registry.example/app:1.2 --policy policies/production --namespace shop-eu
  attestry verify registry.example/app:1.2 --issuer https://token.actions.githubusercontent.com \\
    --identity https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1.2
  attestry verify --file app.tar.gz --bundle app.tar.gz.sigstore.json --key release.pub

The exit code is 0 for trusted, 1 for untrusted and 3 where something needed could not be read.")]
pub(crate) struct VerifyArgs {
    /// The image: registry/repository[:tag][@sha256:DIGEST]
    pub(crate) image: Option<String>,
    /// A file that is no image: a release, an SBOM
    #[arg(long, value_name = "FILE", requires = "bundle", conflicts_with_all = ["policy", "predicate_type", "evidence", "save_evidence"])]
    pub(crate) file: Option<File>,
    /// The Sigstore bundle about that file
    #[arg(long, value_name = "FILE", requires = "file")]
    pub(crate) bundle: Option<File>,
    #[command(flatten)]
    pub(crate) demand: DemandArgs,
    /// Count policies of mode Warn and Audit as well
    #[arg(long, requires = "policy")]
    pub(crate) strict: bool,
    /// Ask for an attestation of this type instead of a signature: spdx, cyclonedx, slsaprovenance, vuln, openvex or
    /// a URI
    #[arg(long = "type", value_name = "TYPE", conflicts_with = "policy")]
    pub(crate) predicate_type: Option<String>,
    /// Judge saved evidence; no registry is asked
    #[arg(long, value_name = "FILE", conflicts_with = "save_evidence")]
    pub(crate) evidence: Option<File>,
    /// Save what was read, so that it can be judged again without the registry
    #[arg(long, value_name = "FILE")]
    pub(crate) save_evidence: Option<File>,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
}

/// `extract`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  attestry extract registry.example/app@sha256:DIGEST --type spdx --policy policies/production > sbom.spdx.json

The predicate goes to standard output, as it was signed, and only if a requirement about its type is met.")]
pub(crate) struct ExtractArgs {
    /// The image: registry/repository[:tag][@sha256:DIGEST]
    pub(crate) image: String,
    /// spdx, cyclonedx, slsaprovenance, vuln, openvex, or the URI of another type
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) predicate_type: String,
    #[command(flatten)]
    pub(crate) demand: DemandArgs,
    /// Judge saved evidence; no registry is asked
    #[arg(long, value_name = "FILE")]
    pub(crate) evidence: Option<File>,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
}

/// `tree`.
#[derive(Debug, Clone, Args)]
#[command(mut_group("demand", |group| group.required(false)))]
#[command(after_help = "\
Without --policy, --key or --identity certificates are checked all the same and tell who signed; signatures by keys stay
unverified.")]
pub(crate) struct TreeArgs {
    /// The image: registry/repository[:tag][@sha256:DIGEST]
    pub(crate) image: String,
    /// Rebuild the fallback index of a registry without the referrers API from the manifests that are still found
    #[arg(long)]
    pub(crate) repair: bool,
    /// With --repair: a manifest that was attached, as the receipt of `sign` or `attest` names it
    #[arg(long = "manifest", value_name = "DIGEST", requires = "repair")]
    pub(crate) manifests: Vec<Digest>,
    #[command(flatten)]
    pub(crate) demand: DemandArgs,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
}
