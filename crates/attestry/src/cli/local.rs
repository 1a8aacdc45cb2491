//! Commands about keys, policies, base images, the decision log and the service.

use std::net::SocketAddr;
use std::path::Path;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::{File, RegistryArgs};

/// `key`.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key pair: NAME.key, encrypted as cosign does it, and NAME.pub
    Generate(KeyGenerateArgs),
    /// Turn a key from elsewhere (PKCS#8 or SEC 1, PEM or DER, or cosign's) into NAME.key and NAME.pub
    Import(KeyImportArgs),
    /// Print the public key of a private key, or of a public one in our form
    Public(KeyPublicArgs),
}

/// `key generate`.
#[derive(Debug, Clone, Args)]
pub(crate) struct KeyGenerateArgs {
    /// Path of the two files without their endings; nothing is overwritten
    pub(crate) name: File,
    /// ecdsa-p256 is understood everywhere
    #[arg(long, value_enum, default_value_t = KeyAlgorithm::EcdsaP256, value_name = "ecdsa-p256|ed25519")]
    #[arg(hide_possible_values = true)]
    pub(crate) algorithm: KeyAlgorithm,
}

/// What a key signs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyAlgorithm {
    /// ECDSA on NIST P-256 with SHA-256
    EcdsaP256,
    /// Ed25519
    Ed25519,
}

/// `key import`.
#[derive(Debug, Clone, Args)]
pub(crate) struct KeyImportArgs {
    /// The private key
    pub(crate) file: File,
    /// Path of the two new files without their endings; nothing is overwritten
    #[arg(long, value_name = "NAME")]
    pub(crate) out: File,
}

/// `key public`.
#[derive(Debug, Clone, Args)]
pub(crate) struct KeyPublicArgs {
    /// The key file, private or public
    pub(crate) file: File,
}

/// `policy`.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Run the cases of policies: saved evidence and what is to come out
    Test(PolicyDirArgs),
    /// Find what is allowed but probably not meant
    Lint(PolicyDirArgs),
    /// Print the JSON Schema of policy documents
    Schema,
}

/// The directory of `policy test` and `policy lint`.
#[derive(Debug, Clone, Args)]
pub(crate) struct PolicyDirArgs {
    /// A policy directory, or a directory of such directories
    #[arg(value_name = "DIR")]
    pub(crate) directory: File,
}

/// `trust-root`.
#[derive(Debug, Subcommand)]
pub(crate) enum TrustRootCommand {
    /// Fetch trusted_root.json over TUF and write it if it changed
    Update(TrustRootUpdateArgs),
}

/// `trust-root update`.
#[derive(Debug, Clone, Args)]
pub(crate) struct TrustRootUpdateArgs {
    /// The file to keep up to date: what `file` of a TrustRoot or --trust-root names
    pub(crate) file: File,
    /// TUF repository; without it that of Sigstore's public instance
    #[arg(long, value_name = "URL", requires = "tuf_root")]
    pub(crate) tuf_url: Option<String>,
    /// The repository's root.json, obtained in a way that you trust
    #[arg(long, value_name = "FILE", requires = "tuf_url")]
    pub(crate) tuf_root: Option<File>,
    /// Where the versions seen are remembered from run to run, so that none older is taken; by default below
    /// XDG_CACHE_HOME or ~/.cache
    #[arg(long, value_name = "DIR")]
    pub(crate) cache: Option<File>,
    /// PEM certificates to trust for the repository, besides the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<File>,
}

/// `base`.
#[derive(Debug, Subcommand)]
pub(crate) enum BaseCommand {
    /// Add the image as a build of a base, with every platform of it
    Add(BaseAddArgs),
    /// Change the status of a base, or of one build of it
    SetStatus(BaseStatusArgs),
    /// Say which base of a catalog an image stands on
    Check(BaseCheckArgs),
}

/// `base add`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  attestry base add registry.example/debian@sha256:DIGEST --name debian-12-slim --owner platform-images \\
      --supported-until 2028-06-30 --catalog policies/catalog.yaml")]
pub(crate) struct BaseAddArgs {
    /// The base image: registry/repository[:tag][@sha256:DIGEST]
    pub(crate) image: String,
    /// The team that looks after it; needed for a base that is new to the catalog
    #[arg(long, value_name = "TEAM")]
    pub(crate) owner: Option<String>,
    /// How to reach that team
    #[arg(long, value_name = "TEXT", requires = "owner")]
    pub(crate) contact: Option<String>,
    /// The last day of support; needed for a base that is new to the catalog
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(crate) supported_until: Option<String>,
    /// The file of the BaseCatalog; made where there is none
    #[arg(long, value_name = "FILE")]
    pub(crate) catalog: File,
    /// Which catalog, where the file holds several
    #[arg(long, value_name = "NAME")]
    pub(crate) catalog_name: Option<String>,
    /// Name of the base in the catalog; made from repository and tag where it is not given
    #[arg(long)]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
}

/// `base set-status`.
#[derive(Debug, Clone, Args)]
pub(crate) struct BaseStatusArgs {
    /// Name of the base in the catalog
    pub(crate) name: String,
    /// Supported (use it), Deprecated (move away) or Revoked (never use it again)
    #[arg(value_enum, hide_possible_values = true)]
    pub(crate) status: StatusName,
    /// Only the build with this digest: of its index or of one of its images
    #[arg(long, value_name = "DIGEST")]
    pub(crate) build: Option<String>,
    /// Which catalog, where the file holds several
    #[arg(long, value_name = "NAME")]
    pub(crate) catalog_name: Option<String>,
    /// The file of the BaseCatalog
    #[arg(long, value_name = "FILE")]
    pub(crate) catalog: File,
}

/// The status of a base or build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub(crate) enum StatusName {
    /// Use it
    Supported,
    /// Move away
    Deprecated,
    /// Never use it again
    Revoked,
}

/// `base check`.
#[derive(Debug, Clone, Args)]
pub(crate) struct BaseCheckArgs {
    /// The image: registry/repository[:tag][@sha256:DIGEST]
    pub(crate) image: String,
    /// The file of the BaseCatalog
    #[arg(long, value_name = "FILE")]
    pub(crate) catalog: File,
    /// Read every layer of what stands on a base: tell what the image's own remove or replace of it, and refuse one
    /// that unpacks to something else than the configuration says
    #[arg(long)]
    pub(crate) layers: bool,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
}

/// `audit`.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// List decisions, newest first
    List(AuditListArgs),
    /// Show one decision with everything that was recorded of it
    Show(AuditShowArgs),
}

/// Where decisions are read: a data directory, or a server.
#[derive(Debug, Clone, Args)]
#[command(group = ArgGroup::new("source").required(true).args(["directory", "data_directory", "server"]))]
pub(crate) struct AuditSource {
    /// A server's data directory; it may be running
    #[arg(value_name = "DIR")]
    directory: Option<File>,
    /// The same, as a flag
    #[arg(long, value_name = "DIR")]
    data_directory: Option<File>,
    #[arg(long, value_name = "URL", help = "A server's API, such as http://127.0.0.1:8444")]
    pub(crate) server: Option<String>,
    /// The file that holds the bearer token for the server
    #[arg(long, value_name = "FILE", requires = "server")]
    pub(crate) token_file: Option<File>,
    /// Trust these certificate authorities (PEM) besides the system's
    #[arg(long, value_name = "FILE", requires = "server")]
    pub(crate) server_ca: Option<File>,
}

impl AuditSource {
    /// The data directory, in whichever way it was named.
    pub(crate) fn directory(&self) -> Option<&Path> {
        self.directory.as_deref().or(self.data_directory.as_deref())
    }
}

/// `audit list`.
#[derive(Debug, Clone, Args)]
pub(crate) struct AuditListArgs {
    #[command(flatten)]
    pub(crate) source: AuditSource,
    /// Only decisions about this image digest
    #[arg(long, value_name = "DIGEST")]
    pub(crate) digest: Option<String>,
    /// Only decisions in this namespace
    #[arg(long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// Only refusals
    #[arg(long)]
    pub(crate) denied: bool,
    /// How many at most
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) limit: u16,
}

/// `audit show`.
#[derive(Debug, Clone, Args)]
pub(crate) struct AuditShowArgs {
    /// The decision's id, as every refusal begins with it
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) source: AuditSource,
}

/// `serve`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
The configuration is described in docs/reference/server.md.
SIGTERM and SIGINT end the service after the requests in flight.")]
pub(crate) struct ServeArgs {
    /// The Configuration document
    #[arg(long, value_name = "FILE")]
    pub(crate) config: File,
    /// Listen here for admission reviews
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) admission_address: Option<SocketAddr>,
    /// Listen here for the API
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) api_address: Option<SocketAddr>,
    /// Listen here for health and metrics
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) ops_address: Option<SocketAddr>,
    /// Keep the decision log here
    #[arg(long, value_name = "DIR")]
    pub(crate) data_directory: Option<File>,
    /// Read policy documents here
    #[arg(long, value_name = "DIR")]
    pub(crate) policy_directory: Option<File>,
}

/// `demo`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DemoArgs {
    /// Play it in this new folder and leave registry and service running until Ctrl-C
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<File>,
}

/// `completions`.
#[derive(Debug, Clone, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}
