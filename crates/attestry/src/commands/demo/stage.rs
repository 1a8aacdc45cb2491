//! What the story is played on: a folder, the embedded registry, the service, and a voice that says what happens.

use std::cell::Cell;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, anyhow};
use attestry_core::{Digest, Reference, Subject};
use attestry_oci::{Client, ClientOptions, Credentials};
use attestry_playground::{Image, Registry};
use clap::Parser as _;
use tokio::runtime::Runtime;
use zeroize::Zeroizing;

use super::admission::{Answered, Gate};
use crate::cli::{Cli, Common, Format};
use crate::commands;
use crate::environment::Environment;
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// The password of the demo's keys. They live as long as the demo.
const PASSWORD: &str = "demo";

pub(super) struct Stage<'a> {
    pub(super) folder: PathBuf,
    pub(super) registry: Registry,
    pub(super) gate: Gate,
    pub(super) client: Client,
    /// Runs the registry, the service and the demo's own requests.
    pub(super) runtime: Runtime,
    environment: Environment,
    /// Commands print nothing of their own: the demo tells their outcome.
    silent: Output,
    output: &'a Output,
    started: Instant,
    step: Cell<u32>,
}

impl<'a> Stage<'a> {
    pub(super) fn new(folder: &Path, output: &'a Output) -> Result<Self, Failure> {
        let started = Instant::now();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.context("cannot start the asynchronous runtime")?;
        let folder = folder.canonicalize().context("the demo's folder went away")?;
        fs::create_dir(folder.join("policies")).context("cannot make the policy directory")?;
        let registry = runtime.block_on(Registry::start()).map_err(anyhow::Error::from)?;
        let gate = Gate::start(&runtime, &folder, &registry.host())?;
        let common = Common { output: Format::Text, quiet: true, verbose: 0 };
        let environment = Environment {
            password: Some(Zeroizing::new(PASSWORD.as_bytes().to_vec())),
            credentials: attestry_oci::CredentialPlaces::default(),
            cache: None,
            https_proxy: None,
            no_proxy: Vec::new(),
            ci: Default::default(),
            identity: Default::default(),
            no_color: true,
        };
        Ok(Self {
            client: Client::new(&ClientOptions::for_user(Credentials::Anonymous))?,
            folder,
            registry,
            gate,
            runtime,
            environment,
            silent: Output::new(&common, true),
            output,
            started,
            step: Cell::new(0),
        })
    }

    /// Begins a step of the story.
    pub(super) fn step(&self, title: &str) -> Result<(), Failure> {
        self.step.set(self.step.get() + 1);
        self.output.text(&format!("\n{}. {title}", self.step.get()))
    }

    /// A line below the step.
    pub(super) fn say(&self, text: &str) -> Result<(), Failure> {
        self.output.text(&format!("   {text}"))
    }

    /// Runs a command of the product as it would be typed, and expects how it ends.
    pub(super) fn command(&self, words: &[&str], expected: Exit) -> Result<(), Failure> {
        self.output.text(&format!(
            "   $ attestry {}",
            words.iter().map(|word| self.shown(word)).collect::<Vec<_>>().join(" ")
        ))?;
        let whole: Vec<String> =
            std::iter::once("attestry").chain(words.iter().copied()).map(|word| self.placed(word)).collect();
        let cli = Cli::try_parse_from(whole).map_err(|error| anyhow!("the demo types a wrong command: {error}"))?;
        match commands::run(&cli.command, &self.environment, &self.silent) {
            Ok(exit) if exit == expected => Ok(()),
            Ok(exit) => Err(differs(&format!("exit {expected:?}"), &format!("exit {exit:?}"))),
            Err(failure) if failure.exit() == expected => Ok(()),
            Err(failure) => Err(differs(&format!("exit {expected:?}"), &failure.describe())),
        }
    }

    /// Asks the gate about a Pod with this image and expects the answer: admitted, or refused with this code.
    pub(super) fn pod(&self, image: &str, expected: Option<&str>) -> Result<(), Failure> {
        let answered = self.runtime.block_on(self.gate.validate(image))?;
        let fits = match (&answered, expected) {
            (Answered::Admitted, None) => true,
            // Several requirements may fail for the one reason; another reason is another story.
            (Answered::Refused { codes, .. }, Some(code)) => {
                !codes.is_empty() && codes.iter().all(|found| found == code)
            }
            _ => false,
        };
        if !fits {
            let wanted = expected.map_or("admitted".to_owned(), |code| format!("refused with {code}"));
            return Err(differs(&format!("{image} {wanted}"), &answered.to_string()));
        }
        self.say(&format!("Pod with {} → {answered}", short(image)))
    }

    /// Puts an image into the registry; `host/repository@digest`.
    pub(super) fn push(&self, repository: &str, image: &Image, tags: &[&str]) -> Result<String, Failure> {
        self.runtime.block_on(self.registry.load(repository, image, tags)).map_err(anyhow::Error::from)?;
        let pinned = format!("{}/{repository}@{}", self.registry.host(), image.digest());
        self.say(&format!("pushed {}", short(&pinned)))?;
        Ok(pinned)
    }

    /// The subject that a pinned reference names.
    pub(super) fn subject(image: &str) -> Result<Subject, Failure> {
        let reference: Reference = image.parse().with_context(|| format!("{image} cannot be read"))?;
        Ok(reference.subject().ok_or_else(|| anyhow!("{image} is not pinned"))?)
    }

    /// Writes a file of the demo's folder.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        let path = self.folder.join(name);
        Ok(fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?)
    }

    /// Reads a file of the demo's folder.
    pub(super) fn read(&self, name: &str) -> Result<String, Failure> {
        let path = self.folder.join(name);
        Ok(fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?)
    }

    /// Waits until the service has loaded the policy directory as it is now.
    pub(super) fn policies_loaded(&self) -> Result<Digest, Failure> {
        self.runtime.block_on(self.gate.policies_loaded(&self.folder.join("policies")))
    }

    /// Leaves everything running until the user has seen enough.
    pub(super) fn stay(&self) -> Result<(), Failure> {
        let [admission, api, ops]: [SocketAddr; 3] = self.gate.addresses();
        self.output.text(&format!(
            "\nThe registry and the service stay up; end them with Ctrl-C.\n\
             \x20  registry   {}\n   admission  http://{admission}/v1/admission/validate\n   API        http://{api}/v1/decisions\n\
             \x20  health     http://{ops}/readyz\n   policies   {} (edit them; the service reads them again)\n   password   {PASSWORD}",
            self.registry.host(),
            self.folder.join("policies").display(),
        ))?;
        Ok(self.runtime.block_on(tokio::signal::ctrl_c()).context("cannot wait for Ctrl-C")?)
    }

    /// Ends service and registry, in this order.
    pub(super) fn end(self) -> Result<Exit, Failure> {
        self.runtime.block_on(self.gate.stop())?;
        self.runtime.block_on(self.registry.stop());
        let seconds = self.started.elapsed().as_secs_f64();
        self.output.text(&format!(
            "\nEvery step came out as announced, in {seconds:.1} s.\n\nTry next:\n\
             \x20  attestry demo --keep DIR             the same, left running with policies to edit\n\
             \x20  attestry key generate release        a key of your own, in cosign's format\n\
             \x20  attestry sign IMAGE --key release.key\n\
             \x20  attestry policy lint DIR             what a policy directory allows and probably should not\n\
             README.md walks through it on a real registry."
        ))?;
        Ok(Exit::Done)
    }

    /// A word of a command with the demo's folder in place of `DIR/`.
    fn placed(&self, word: &str) -> String {
        match word.strip_prefix("DIR/") {
            Some(name) => self.folder.join(name).display().to_string(),
            None => word.to_owned(),
        }
    }

    fn shown(&self, word: &str) -> String {
        short(word.strip_prefix("DIR/").unwrap_or(word))
    }
}

/// What was announced and what came out.
fn differs(wanted: &str, found: &str) -> Failure {
    Failure::untrusted(format!(
        "a step of the demo differs from what it says\n   expected  {wanted}\n   found     {found}"
    ))
}

/// A reference with a digest that fits a line.
pub(super) fn short(image: &str) -> String {
    match image.split_once("@sha256:") {
        Some((name, hex)) if hex.len() == 64 => format!("{name}@sha256:{}…", &hex[..8]),
        _ => image.to_owned(),
    }
}
