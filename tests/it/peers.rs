//! Where the real tools are, and what happens where they are not.

use std::{
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

/// The folder that `tests/peers/install` filled, with a home for the tools to write in.
pub(crate) struct Peers {
    folder: PathBuf,
    home: TempDir,
}

impl Peers {
    /// The tools, or `None` after naming `test` as one that could not run.
    ///
    /// # Panics
    ///
    /// Where the tools are required and missing.
    pub(crate) fn find(test: &str) -> Option<Self> {
        let folder =
            env::var_os("ATTESTRY_PEERS").map_or_else(|| Path::new(crate::TESTS).join("../.peers"), PathBuf::from);
        if folder.join("bin/cosign").exists() && folder.join("bin/ferro-oci-server").exists() {
            return Some(Self { folder: fs::canonicalize(folder).unwrap(), home: tempfile::tempdir().unwrap() });
        }
        not_run(test, &format!("the tools of tests/peers/install are not in {}", folder.display()));
        None
    }

    /// The folder of the tools.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A folder of this test's own, in which the tools run.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Writes `signing.json` and `root.json`, with which cosign signs without any service.
    pub(crate) fn without_services(&self) {
        let signing = r#"{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","caUrls":[],"oidcUrls":[],"rekorTlogUrls":[],"tsaUrls":[],"rekorTlogConfig":{},"tsaConfig":{}}"#;
        let root = r#"{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}"#;
        fs::write(self.home().join("signing.json"), signing).unwrap();
        fs::write(self.home().join("root.json"), root).unwrap();
    }

    /// A tool, ready to take arguments: in the test's folder, with nothing of the user's environment.
    pub(crate) fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(self.folder.join("bin").join(name));
        command
            .current_dir(self.home())
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home())
            .env("COSIGN_PASSWORD", PASSWORD);
        command
    }

    /// Runs a tool and expects an exit code.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32, name: &str, arguments: &[&str]) -> Output {
        let output = self.tool(name).args(arguments).output().unwrap();
        expect(code, &format!("{name} {}", arguments.join(" ")), output)
    }
}

/// Names `test` as one that could not run.
///
/// # Panics
///
/// Where `ATTESTRY_REQUIRE_PEERS=1` requires that it runs.
pub(crate) fn not_run(test: &str, why: &str) {
    let required = env::var("ATTESTRY_REQUIRE_PEERS").is_ok_and(|value| value == "1");
    assert!(!required, "{test} must run, but {why}");
    if let Some(file) = env::var_os("ATTESTRY_SKIPPED_FILE") {
        // One line in one write, so that tests of several processes do not mix theirs.
        let mut file = fs::OpenOptions::new().append(true).create(true).open(file).unwrap();
        file.write_all(format!("{test}\n").as_bytes()).unwrap();
    }
    eprintln!("{test}: not run, {why}");
}

/// The password of every key that a test makes.
pub(crate) const PASSWORD: &str = "correct horse";

/// Checks an exit code, showing both streams where it differs.
#[track_caller]
pub(crate) fn expect(code: i32, what: &str, output: Output) -> Output {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(
        output.status.code(),
        Some(code),
        "{what}\n--- stdout\n{}\n--- stderr\n{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    output
}
