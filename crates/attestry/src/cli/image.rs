//! Commands that write beside an image: sign, attest.

use clap::{ArgGroup, Args, ValueEnum};

use super::{File, key_value};

/// How registries are reached.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Registry options")]
pub(crate) struct RegistryArgs {
    /// Speak plain HTTP with this registry; loopback addresses need no such leave
    #[arg(long, value_name = "HOST")]
    pub(crate) insecure_registry: Vec<String>,
    /// Trust these certificate authorities (PEM) besides the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) registry_ca: Option<File>,
}

/// Which digest is meant. A tag may move between push and signature, so a digest is wanted.
#[derive(Debug, Clone, Args)]
pub(crate) struct DigestArgs {
    /// Read the digest from a file that the build tool wrote: the plain digest, or buildx metadata
    #[arg(long, value_name = "FILE")]
    pub(crate) digest_file: Option<File>,
    /// Sign whatever the tag points at now, although somebody may have moved it
    #[arg(long, conflicts_with = "digest_file")]
    pub(crate) danger_resolve_tag: bool,
}

/// Who signs, and how it is stored.
#[derive(Debug, Clone, Args)]
#[command(group = ArgGroup::new("signer").args(["key", "identity_token", "service"]))]
pub(crate) struct SignerArgs {
    /// Sign with this private key, as `attestry key generate` or cosign wrote it
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<File>,
    /// Sign with a short-lived certificate for the identity in this OIDC token, or - for standard input. Without this
    /// and --key, the identity of the CI job is used
    #[arg(long, value_name = "FILE|-")]
    pub(crate) identity_token: Option<File>,
    /// Sign by a signing service (not in this version)
    #[arg(long, value_name = "URL", hide = true)]
    pub(crate) service: Option<String>,
    /// The services that certificates, log entries and timestamps come from (signing_config.json, v0.2); Sigstore's
    /// public instance without it
    #[arg(long, value_name = "FILE", conflicts_with = "key")]
    pub(crate) signing_config: Option<File>,
    /// The trusted_root.json of these services, with which our own signature is checked before it is stored
    #[arg(long, value_name = "FILE", conflicts_with = "key")]
    pub(crate) trust_root: Option<File>,
    /// Where the log does not answer, store the signature without its entry; `sign --complete` adds it later
    #[arg(long, conflicts_with = "key")]
    pub(crate) log_pending: bool,
    /// Accept the published example keys; what they sign proves nothing
    #[arg(long)]
    pub(crate) danger_example_key: bool,
    /// Store a Sigstore bundle, which cosign 3 reads, cosign's older tags .sig and .att, or both
    #[arg(long, value_enum, default_value_t = StoredAs::Bundle, value_name = "bundle|legacy|both")]
    #[arg(hide_possible_values = true)]
    pub(crate) format: StoredAs,
    /// For an index: every image in it as well
    #[arg(long)]
    pub(crate) recursive: bool,
    /// Sign this pair with the image's digest
    #[arg(long = "annotation", value_name = "NAME=VALUE", value_parser = key_value)]
    pub(crate) annotations: Vec<(String, String)>,
}

/// How signatures and attestations are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StoredAs {
    /// Sigstore bundle, found by the referrers API; cosign 3 reads it
    Bundle,
    /// cosign's tags `.sig` and `.att`, for cosign 2 and older readers
    Legacy,
    /// Both
    Both,
}

/// `sign`.
#[derive(Debug, Clone, Args)]
#[command(group = ArgGroup::new("subject").required(true).args(["image", "file"]))]
#[command(after_help = "\
Examples:
  attestry sign registry.example/app@sha256:DIGEST --key release.key
  attestry sign registry.example/app@sha256:DIGEST                  (in a CI job with an identity)
  attestry sign --file app.tar.gz --bundle app.tar.gz.sigstore.json --key release.key

The signature is verified before it is pushed or written, and success is reported only for what was read back.")]
pub(crate) struct SignArgs {
    /// The image: registry/repository@sha256:DIGEST
    pub(crate) image: Option<String>,
    /// A file that is no image: a release, an SBOM
    #[arg(long, value_name = "FILE", requires = "bundle")]
    #[arg(conflicts_with_all = ["digest_file", "danger_resolve_tag", "format", "recursive", "annotations"])]
    pub(crate) file: Option<File>,
    /// Where the Sigstore bundle about that file is written
    #[arg(long, value_name = "FILE", requires = "file")]
    pub(crate) bundle: Option<File>,
    /// Add the log entries that signatures stored with --log-pending still lack; nothing new is signed
    #[arg(long, conflicts_with_all = ["file", "signer", "log_pending", "annotations", "recursive", "format"])]
    pub(crate) complete: bool,
    #[command(flatten)]
    pub(crate) digest: DigestArgs,
    #[command(flatten)]
    pub(crate) signer: SignerArgs,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
}

/// `attest`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  attestry attest registry.example/app@sha256:DIGEST --predicate sbom.spdx.json --key release.key

A predicate that is not strict JSON, or does not look like its type, is refused before anything is pushed.")]
pub(crate) struct AttestArgs {
    /// The image: registry/repository@sha256:DIGEST
    pub(crate) image: String,
    /// What is attested: a JSON file, or - for standard input
    #[arg(long, value_name = "FILE", required_unless_present = "provenance")]
    pub(crate) predicate: Option<File>,
    /// Attest SLSA provenance of the CI job that this runs in (GitHub Actions, GitLab CI, Tekton); refused elsewhere
    #[arg(long, value_enum, value_name = "ci", conflicts_with_all = ["predicate", "predicate_type"])]
    #[arg(hide_possible_values = true)]
    pub(crate) provenance: Option<ProvenanceSource>,
    /// spdx, cyclonedx, slsaprovenance, vuln, openvex, or the URI of another type; found from the content without it
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) predicate_type: Option<String>,
    #[command(flatten)]
    pub(crate) digest: DigestArgs,
    #[command(flatten)]
    pub(crate) signer: SignerArgs,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
}

/// Where provenance is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProvenanceSource {
    /// The variables of the CI job
    Ci,
}
