//! Exit codes, and the failures that lead to them.

use std::process::ExitCode;

/// How a command ends. The table of the reference is [`TABLE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done, or trusted.
    Done,
    /// The image is untrusted or on no trusted base, a policy case or step of the demo differs, or the linter found
    /// something that matters.
    Untrusted,
    /// The command line is wrong; nothing was tried.
    Usage,
    /// It could not be found out whether the image is trusted.
    Undeterminable,
    /// Nothing was decided or written.
    Failed,
}

/// What `--help` says about exit codes.
pub(crate) const TABLE: &str = "\
Exit codes:
  0  done, or trusted
  1  untrusted (verify), not on a trusted base (base check), a case or step that differs
     (policy test, demo), an error or warning found (policy lint)
  2  usage: the command line is wrong, such as a tag where a digest is needed; nothing was tried
  3  undeterminable: something needed could not be read, so neither answer would be true
  4  failed: nothing was decided or written

Environment:
  ATTESTRY_PASSWORD, else COSIGN_PASSWORD   password of private key files
  DOCKER_CONFIG, REGISTRY_AUTH_FILE         where registry credentials are found
  HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE      how registries are reached and trusted
  XDG_CACHE_HOME, else ~/.cache             what `trust-root update` remembers
  NO_COLOR                                  plain text
  GITHUB_*, RUNNER_ENVIRONMENT, CI_*, TEKTON_*
                                            what `attest --provenance ci` writes; its reference page
                                            names each
  SIGSTORE_ID_TOKEN, ACTIONS_ID_TOKEN_REQUEST_URL, ACTIONS_ID_TOKEN_REQUEST_TOKEN
                                            the identity of a CI job, where no key is given
Nothing else is read from it.";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0u8,
            Exit::Untrusted => 1,
            Exit::Usage => 2,
            Exit::Undeterminable => 3,
            Exit::Failed => 4,
        })
    }
}

/// Why a command came to no result. A denial is a result and no failure.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    error: anyhow::Error,
    hint: Option<String>,
}

impl Failure {
    /// The command line is wrong in a way that clap cannot see.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, error: anyhow::Error::msg(message.into()), hint: None }
    }

    /// Something came out otherwise than it must.
    pub(crate) fn untrusted(message: impl Into<String>) -> Self {
        Self { exit: Exit::Untrusted, ..Self::failed(message) }
    }

    /// What the answer depends on could not be read.
    pub(crate) fn undeterminable(message: impl Into<String>) -> Self {
        Self { exit: Exit::Undeterminable, ..Self::failed(message) }
    }

    /// It was tried and could not be done.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        anyhow::Error::msg(message.into()).into()
    }

    /// Adds what to do next.
    #[must_use]
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The same failure, as one of the command line.
    #[must_use]
    pub(crate) fn into_usage(self) -> Self {
        Self { exit: Exit::Usage, ..self }
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// An error and what caused it, on one line.
    pub(crate) fn chain(error: &dyn std::error::Error) -> String {
        let causes = std::iter::successors(error.source(), |error| error.source());
        causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
    }

    /// The whole chain for a person, once: what happened, why, what to do next.
    pub(crate) fn describe(&self) -> String {
        let mut text = self.error.to_string();
        for cause in self.error.chain().skip(1) {
            text.push_str(&format!("\n  because {cause}"));
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!("\n  hint: {hint}"));
        }
        text
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self { exit: Exit::Failed, error, hint: None }
    }
}

/// Errors that say enough by themselves.
macro_rules! failed {
    ($($error:ty),* $(,)?) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                anyhow::Error::from(error).into()
            }
        })*
    };
}

failed!(attestry_sign::Error, attestry_store::StoreError);

impl From<attestry_oci::OciError> for Failure {
    fn from(error: attestry_oci::OciError) -> Self {
        let hint = match &error {
            attestry_oci::OciError::Transport { cause, .. } => Some(cause.code().hint().to_owned()),
            _ => None,
        };
        Self { hint, ..anyhow::Error::from(error).into() }
    }
}
