//! A client for the sigstore-conformance protocol (`tests/vectors/sigstore-conformance/README.md`).
//!
//! It parses that protocol's arguments and calls what `attestry verify --file` and `attestry sign --file` call. Exit 0
//! means verified or signed, 1 not, 2 that the arguments are wrong.
#![expect(clippy::print_stderr, reason = "a command line tool says why it refuses")]

use std::{path::Path, process::ExitCode};

use attestry_core::{Digest, Timestamp, crypto::PublicKey, trust_root::PUBLIC_GOOD, verify::FileContent};
use attestry_policy::{Demand, Signer};

mod sign;

const USAGE: &str = "usage: attestry-conformance verify-bundle --bundle FILE \
    (--certificate-identity IDENTITY --certificate-oidc-issuer URL | --key PEM_FILE) [--trusted-root FILE] FILE_OR_DIGEST\n\
    or sign-bundle [--in-toto] --identity-token TOKEN --bundle FILE [--trusted-root FILE] [--signing-config FILE] FILE";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.first().map(String::as_str) {
        Some("verify-bundle") => Request::parse(&arguments[1..]).map(|request| verify(&request)),
        Some("sign-bundle") => sign::Request::parse(&arguments[1..]).map(|request| request.run()),
        _ => None,
    };
    match outcome {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(why)) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
        None => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// What is to be verified.
#[derive(Debug, Default)]
struct Request {
    bundle: String,
    identity: Option<String>,
    issuer: Option<String>,
    key: Option<String>,
    trusted_root: Option<String>,
    file_or_digest: String,
}

impl Request {
    fn parse(arguments: &[String]) -> Option<Self> {
        let mut request = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "--bundle" => request.bundle.clone_from(rest.next()?),
                "--certificate-identity" => request.identity = Some(rest.next()?.clone()),
                "--certificate-oidc-issuer" => request.issuer = Some(rest.next()?.clone()),
                "--key" => request.key = Some(rest.next()?.clone()),
                "--trusted-root" => request.trusted_root = Some(rest.next()?.clone()),
                // The staging instance's root is not built in: its user passes it with --trusted-root.
                option if option.starts_with("--") => return None,
                _ if request.file_or_digest.is_empty() => request.file_or_digest.clone_from(argument),
                _ => return None,
            }
        }
        let signer = request.key.is_some() != (request.identity.is_some() && request.issuer.is_some());
        (signer && !request.bundle.is_empty() && !request.file_or_digest.is_empty()).then_some(request)
    }
}

fn verify(request: &Request) -> Result<(), String> {
    let bundle = read(&request.bundle)?;
    let root = match &request.trusted_root {
        Some(path) => read(path)?,
        None => PUBLIC_GOOD.into(),
    };
    let root = String::from_utf8(root).map_err(|error| error.to_string())?;
    let bytes;
    let content = match digest(&request.file_or_digest) {
        Some(digest) => FileContent::Sha256(digest),
        None => {
            bytes = read(&request.file_or_digest)?;
            FileContent::Bytes(&bytes)
        }
    };
    let key;
    let signer = match (&request.key, &request.identity, &request.issuer) {
        (Some(path), ..) => {
            let pem = String::from_utf8(read(path)?).map_err(|error| error.to_string())?;
            key = PublicKey::from_pem(&pem).map_err(|error| error.to_string())?;
            Signer::Key(&key)
        }
        (None, Some(subject), Some(issuer)) => Signer::Identity { subject, issuer },
        _ => return Err("no signer is named".to_owned()),
    };
    let demand = Demand { signer, trusted_root: Some(&root), predicate_type: None };
    let verified = demand.verify_file(&bundle, content, Timestamp::now()).map_err(|errors| errors.to_string())?;
    verified.map(drop).map_err(|reason| reason.to_string())
}

/// A digest, where no file has that name.
fn digest(text: &str) -> Option<Digest> {
    if Path::new(text).exists() { None } else { text.parse().ok() }
}

fn read(path: &str) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{path}: {error}"))
}
