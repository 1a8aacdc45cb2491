//! Verification cases as data: `tests/vectors/verify/CASE/case.yaml` and the files beside it.
//!
//! ```yaml
//! about: one sentence that says why this case exists
//! now: 2026-02-01T12:00:00Z
//! digest: sha256:…            # the subject
//! manifest: manifest.json     # optional: its bytes, so that a claimed sha512 can be compared
//! attachment:
//!   file: bundle.json
//!   form: Bundle              # Bundle | Envelope | SimpleSigning
//!   signature: …              # SimpleSigning: the layer's signature annotation
//! key:
//!   file: key.pub             # PEM
//!   validFrom: …              # optional, as in an Authority
//!   validUntil: …
//! expect: verified            # or the reason code
//! ```
//!
//! A folder whose case must be refused has a name that ends in `_fail`, and the loader holds names to that.

use std::{
    fs,
    path::{Path, PathBuf},
};

use attestry_core::{
    Digest, ReasonCode, Timestamp,
    attachment::{Attachment, Form, LegacyMaterial},
    crypto::PublicKey,
    statement::StrongDigests,
    verify::{Candidate, Reading, SubjectDigests, TrustedKey},
};
use serde::Deserialize;

/// What the name of a folder with a refused case ends in.
const FAIL: &str = "_fail";
/// What `expect` says of an accepted case.
const VERIFIED: &str = "verified";

/// A case, read and ready to run.
#[derive(Debug, Clone)]
pub struct Case {
    /// The folder's name.
    pub name: String,
    /// Why it exists.
    pub about: String,
    /// What must come out.
    pub expected: Result<(), ReasonCode>,
    now: Timestamp,
    subject: SubjectDigests,
    attachment: Attachment,
    key: TrustedKey,
}

impl Case {
    /// All cases in the folders of `directory`, by name.
    ///
    /// # Panics
    /// With the file's path if one cannot be read, or if there is none: a moved directory must not pass.
    pub fn all(directory: &Path) -> Vec<Self> {
        let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
        let mut folders: Vec<PathBuf> =
            entries.map(|entry| entry.unwrap().path()).filter(|path| path.join("case.yaml").is_file()).collect();
        folders.sort();
        assert!(!folders.is_empty(), "{} holds no case", directory.display());
        folders.iter().map(|folder| Self::load(folder)).collect()
    }

    /// The case in `folder`.
    ///
    /// # Panics
    /// With the file's path if it cannot be read, or if the folder's name says otherwise than `expect`.
    pub fn load(folder: &Path) -> Self {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let file = folder.join("case.yaml");
        let text = String::from_utf8(read(&file)).unwrap();
        let wire: CaseFile =
            serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));

        let expected = match wire.expect.as_str() {
            VERIFIED => Ok(()),
            code => Err(code.parse().unwrap_or_else(|error| panic!("{}: {error}", file.display()))),
        };
        assert_eq!(expected.is_err(), name.ends_with(FAIL), "{name}: only refused cases end in {FAIL}");

        let strong = match &wire.manifest {
            Some(manifest) => {
                let bytes = read(&beside(folder, manifest));
                assert_eq!(Digest::of(&bytes), wire.digest, "{name}: {manifest} is not the subject");
                StrongDigests::of(&bytes)
            }
            None => StrongDigests::unknown(),
        };
        let pem = String::from_utf8(read(&beside(folder, &wire.key.file))).unwrap();
        let key = TrustedKey {
            valid_from: wire.key.valid_from,
            valid_until: wire.key.valid_until,
            ..TrustedKey::always(PublicKey::from_pem(&pem).unwrap_or_else(|error| panic!("{name}: {error}")))
        };
        let bytes = read(&beside(folder, &wire.attachment.file));
        let digest = Digest::of(&bytes);
        let attachment = Attachment { digest, manifest: digest, form: wire.attachment.form(), bytes: bytes.into() };
        let subject = SubjectDigests { digest: wire.digest, strong };
        Self { name, about: wire.about, expected, now: wire.now, subject, attachment, key }
    }

    /// What comes out: verified, or the code of the reason.
    pub fn run(&self) -> Result<(), ReasonCode> {
        judge(&self.attachment, &self.subject, &self.key, self.now)
    }
}

/// Reads and verifies one attachment. What is no statement about an image counts as no signature (attack 10).
pub fn judge(
    attachment: &Attachment,
    subject: &SubjectDigests,
    key: &TrustedKey,
    now: Timestamp,
) -> Result<(), ReasonCode> {
    match Candidate::read(attachment, subject) {
        Ok(Reading::Candidate(candidate)) => candidate.verify(key, now).map(drop).map_err(|reason| reason.code),
        Ok(Reading::Irrelevant) => Err(ReasonCode::SignatureMissing),
        Err(reason) => Err(reason.code),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CaseFile {
    about: String,
    now: Timestamp,
    digest: Digest,
    manifest: Option<String>,
    attachment: AttachmentFile,
    key: KeyFile,
    expect: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AttachmentFile {
    file: String,
    form: FormName,
    #[serde(default)]
    signature: String,
}

#[derive(Deserialize)]
enum FormName {
    Bundle,
    Envelope,
    SimpleSigning,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct KeyFile {
    file: String,
    valid_from: Option<Timestamp>,
    valid_until: Option<Timestamp>,
}

impl AttachmentFile {
    fn form(&self) -> Form {
        let material = || LegacyMaterial { signature: self.signature.clone(), ..LegacyMaterial::default() };
        match self.form {
            FormName::Bundle => Form::Bundle,
            FormName::Envelope => Form::Envelope(material()),
            FormName::SimpleSigning => Form::SimpleSigning(material()),
        }
    }
}

/// A file of the case's own folder or, written `../NAME`, one that cases share.
fn beside(folder: &Path, name: &str) -> PathBuf {
    let plain = name.strip_prefix("../").unwrap_or(name);
    assert!(!plain.contains(['/', '\\']) && plain != "..", "{name:?} is no file of the case");
    folder.join(name)
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
