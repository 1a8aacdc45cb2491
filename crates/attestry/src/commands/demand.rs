//! What a command demands of evidence: a directory of policies, or the one policy that a key or identity stands for.

use attestry_core::crypto::PublicKey;
use attestry_policy::{Demand, PolicyErrors, PolicySet, Signer};

use super::Context;
use crate::cli::DemandArgs;
use crate::exit::Failure;
use crate::{files, keys, policies};

/// A signer of the command line, with what it takes to check the signature.
pub(super) struct NamedSigner {
    key: Option<PublicKey>,
    identity: Option<(String, String)>,
    trusted_root: Option<String>,
}

impl NamedSigner {
    pub(super) fn read(args: &DemandArgs, context: Context<'_>) -> Result<Self, Failure> {
        let key = args.key.as_deref().map(keys::public).transpose()?;
        if key.as_ref().is_some_and(|key| attestry_sign::example_keys::is_example_key(&key.id())) {
            let warning = "this is an example key, whose private half is public: anybody can sign with it";
            context.output.warning(warning);
        }
        let identity = args.identity.clone().zip(args.issuer.clone());
        Ok(Self { key, identity, trusted_root: args.trust_root.as_deref().map(trusted_root).transpose()? })
    }

    pub(super) fn demand<'a>(&'a self, predicate_type: Option<&'a str>) -> Result<Demand<'a>, Failure> {
        let signer = match (&self.key, &self.identity) {
            (Some(key), _) => Signer::Key(key),
            (None, Some((subject, issuer))) => Signer::Identity { subject, issuer },
            (None, None) => {
                let message = "say what is demanded: --policy DIR, --key FILE, or --identity with --issuer";
                return Err(Failure::usage(message));
            }
        };
        Ok(Demand { signer, trusted_root: self.trusted_root.as_deref(), predicate_type })
    }
}

/// The policies that judge, whichever way they were named.
pub(super) fn policy_set(
    args: &DemandArgs,
    predicate_type: Option<&str>,
    context: Context<'_>,
) -> Result<PolicySet, Failure> {
    if let Some(directory) = &args.policy {
        return policies::load(directory, context.output.paint);
    }
    NamedSigner::read(args, context)?.demand(predicate_type)?.policy_set().map_err(|errors| usage(&errors))
}

/// Problems of a demand are problems of the command line.
pub(super) fn usage(errors: &PolicyErrors) -> Failure {
    let problems: Vec<String> = errors.problems().iter().map(|problem| problem.message.clone()).collect();
    Failure::usage(problems.join("; "))
}

/// The text of a `trusted_root.json`.
pub(super) fn trusted_root(path: &std::path::Path) -> Result<String, Failure> {
    let limit = attestry_core::trust_root::MAX_TRUSTED_ROOT as u64;
    let bytes = files::read(path, limit)?;
    String::from_utf8(bytes).map_err(|_| Failure::usage(format!("{} is not text", path.display())))
}
