//! Signed notes and checkpoints (C2SP signed-note v1.0 and tlog-checkpoint v1.0).
//!
//! A note is a text with signature lines below it. A checkpoint is the text with which a log commits to its size
//! and its root. The private half stays outside this crate, behind [`NoteSigner`].

use std::{fmt, str::FromStr};

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

use crate::merkle::Hash;

/// The most bytes of a note that are looked at.
pub const MAX_NOTE: usize = 64 * 1024;
/// The most signature lines that are looked at; the specification asks for at least 16.
pub const MAX_SIGNATURES: usize = 64;

/// The type byte of an Ed25519 signature in key ids and key texts.
const ED25519_TYPE: u8 = 0x01;

/// Who signs notes: the log's key, held elsewhere.
pub trait NoteSigner: Send + Sync + fmt::Debug {
    /// The name of the key, which is also the origin of the log's checkpoints: no spaces, no `+`.
    fn name(&self) -> &str;
    /// The four bytes that tell keys of one name apart; [`NoteKey::id`] for an Ed25519 key.
    fn key_id(&self) -> [u8; 4];
    /// The raw signature over `text`, which ends with a newline.
    fn sign(&self, text: &[u8]) -> Vec<u8>;
}

/// A log's commitment to its first `size` records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name, not empty.
    pub origin: String,
    /// How many records the tree holds.
    pub size: u64,
    /// The root of the tree over these records.
    pub root: Hash,
}

/// A note whose signatures nobody has checked: its text is given out by [`UnverifiedNote::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnverifiedNote {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// One signature line of a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// The name of the key.
    pub name: String,
    /// The id of the key.
    pub key_id: [u8; 4],
    /// The raw signature, not empty.
    pub signature: Vec<u8>,
}

/// An Ed25519 key that verifies notes. Its text form is `name+<8 hex digits>+<base64>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteKey {
    name: String,
    key: [u8; 32],
}

/// Why a text is no note, no checkpoint, or proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// The note is larger than [`MAX_NOTE`] or has more than [`MAX_SIGNATURES`] signatures.
    #[error("note is larger than 64 KiB or has more than 64 signatures")]
    TooLarge,
    /// Not a text, an empty line and signature lines.
    #[error("malformed note: {0}")]
    Malformed(&'static str),
    /// The text of the note is no checkpoint.
    #[error("malformed checkpoint: {0}")]
    MalformedCheckpoint(&'static str),
    /// A key name or key text that the format does not allow.
    #[error("malformed note key: {0}")]
    MalformedKey(&'static str),
    /// No signature line names the key.
    #[error("note is not signed by {name}")]
    NotSigned {
        /// The name of the key that was looked for.
        name: String,
    },
    /// A signature line names the key, and the signature is not its.
    #[error("note carries a false signature of {name}")]
    FalseSignature {
        /// The name of the key.
        name: String,
    },
}

impl Checkpoint {
    /// Reads the text of a verified note. Extension lines are allowed and left out.
    pub fn from_text(text: &str) -> Result<Self, NoteError> {
        let malformed = NoteError::MalformedCheckpoint;
        let body = text.strip_suffix('\n').ok_or(malformed("the last line has no end"))?;
        let mut lines = body.split('\n');
        let mut line = |what| lines.next().filter(|line| !line.is_empty()).ok_or(malformed(what));
        let origin = line("no origin")?;
        let size = decimal(line("no size")?).ok_or(malformed("the size is no plain decimal number"))?;
        let root = STANDARD.decode(line("no root")?).ok().and_then(|root| Hash::try_from(root).ok());
        if lines.any(str::is_empty) {
            return Err(malformed("an empty extension line"));
        }
        let root = root.ok_or(malformed("the root is not the base64 of 32 bytes"))?;
        Ok(Self { origin: origin.to_owned(), size, root })
    }

    /// The text to sign: origin, size and root, one a line.
    pub fn to_text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// The checkpoint as a note signed by `signer`.
    pub fn sign(&self, signer: &dyn NoteSigner) -> Result<UnverifiedNote, NoteError> {
        UnverifiedNote::sign(self.to_text(), &[signer])
    }
}

impl UnverifiedNote {
    /// Signs `text`, which ends with a newline. Our own note counts as unverified like any other.
    pub fn sign(text: String, signers: &[&dyn NoteSigner]) -> Result<Self, NoteError> {
        check_text(&text)?;
        let signatures = signers.iter().map(|signer| {
            check_name(signer.name())?;
            let (name, key_id) = (signer.name().to_owned(), signer.key_id());
            Ok(NoteSignature { name, key_id, signature: signer.sign(text.as_bytes()) })
        });
        let note = Self { signatures: signatures.collect::<Result<_, _>>()?, text };
        // What we write, everybody must be able to read.
        Self::parse(note.to_string().as_bytes())
    }

    /// Reads a note. Nothing is verified here.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > MAX_NOTE {
            return Err(NoteError::TooLarge);
        }
        let note = std::str::from_utf8(bytes).map_err(|_| NoteError::Malformed("not UTF-8"))?;
        // The last empty line is the border: a text with empty lines of its own cannot smuggle in signatures.
        let border = note.rfind("\n\n").ok_or(NoteError::Malformed("no empty line before the signatures"))?;
        let (text, lines) = (&note[..=border], &note[border + 2..]);
        check_text(text)?;
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Malformed("the last signature line has no end"))?;
        if lines.split('\n').count() > MAX_SIGNATURES {
            return Err(NoteError::TooLarge);
        }
        let signatures = lines.split('\n').map(NoteSignature::from_line).collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// The text, if `key` signed it.
    ///
    /// Lines of unknown keys are ignored. A line that names `key` and does not verify refuses the whole note, even
    /// beside a good one: somebody forged it.
    pub fn verify(&self, key: &NoteKey) -> Result<&str, NoteError> {
        let id = key.id();
        let mut found = false;
        for line in self.signatures.iter().filter(|line| line.name == key.name && line.key_id == id) {
            let public_key = UnparsedPublicKey::new(&ED25519, key.key);
            public_key
                .verify(self.text.as_bytes(), &line.signature)
                .map_err(|_| NoteError::FalseSignature { name: key.name.clone() })?;
            found = true;
        }
        if found { Ok(&self.text) } else { Err(NoteError::NotSigned { name: key.name.clone() }) }
    }

    /// The text, whoever wrote it.
    pub fn unverified_text(&self) -> &str {
        &self.text
    }

    /// The signature lines, in their order.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }
}

impl fmt::Display for UnverifiedNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        for NoteSignature { name, key_id, signature } in &self.signatures {
            writeln!(f, "\u{2014} {name} {}", STANDARD.encode([key_id.as_slice(), signature].concat()))?;
        }
        Ok(())
    }
}

impl NoteSignature {
    /// Reads `— <name> <base64(key id ‖ signature)>`.
    fn from_line(line: &str) -> Result<Self, NoteError> {
        let malformed = NoteError::Malformed("a signature line does not read \u{2014} NAME BASE64");
        let Some((name, blob)) = line.strip_prefix("\u{2014} ").and_then(|rest| rest.split_once(' ')) else {
            return Err(malformed);
        };
        check_name(name).map_err(|_| malformed.clone())?;
        match STANDARD.decode(blob).ok().as_deref().and_then(<[u8]>::split_first_chunk::<4>) {
            Some((key_id, signature)) if !signature.is_empty() => {
                Ok(Self { name: name.to_owned(), key_id: *key_id, signature: signature.to_vec() })
            }
            _ => Err(malformed),
        }
    }
}

impl NoteKey {
    /// A key by its name and the 32 bytes of an Ed25519 public key.
    pub fn ed25519(name: &str, key: [u8; 32]) -> Result<Self, NoteError> {
        check_name(name)?;
        Ok(Self { name: name.to_owned(), key })
    }

    /// The name of the key.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id of the key: the first four bytes of SHA-256(name ‖ newline ‖ type ‖ key).
    pub fn id(&self) -> [u8; 4] {
        let hash: Hash = Sha256::new()
            .chain_update(&self.name)
            .chain_update([b'\n', ED25519_TYPE])
            .chain_update(self.key)
            .finalize()
            .into();
        [hash[0], hash[1], hash[2], hash[3]]
    }
}

impl fmt::Display for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = STANDARD.encode([[ED25519_TYPE].as_slice(), &self.key].concat());
        write!(f, "{}+{}+{key}", self.name, hex::encode(self.id()))
    }
}

impl FromStr for NoteKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let malformed = NoteError::MalformedKey;
        // Base64 may hold a `+`, a name may not: the first two are the borders.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(malformed("it reads NAME+ID+KEY"));
        };
        let key = STANDARD.decode(key).map_err(|_| malformed("the key is no base64"))?;
        let key = match key.split_first() {
            Some((&ED25519_TYPE, key)) => <[u8; 32]>::try_from(key).ok(),
            _ => None,
        };
        let key = Self::ed25519(name, key.ok_or(malformed("only Ed25519 keys of 32 bytes are understood"))?)?;
        if hex::encode(key.id()) != id {
            return Err(malformed("the id does not belong to the key"));
        }
        Ok(key)
    }
}

/// The format allows names without spaces and `+`; control characters would end up in terminals.
fn check_name(name: &str) -> Result<(), NoteError> {
    let bad = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    if name.is_empty() || name.contains(bad) {
        return Err(NoteError::MalformedKey("a name is not empty and has no spaces, control characters or +"));
    }
    Ok(())
}

fn check_text(text: &str) -> Result<(), NoteError> {
    if text.len() > MAX_NOTE {
        return Err(NoteError::TooLarge);
    }
    if text.len() < 2 || !text.ends_with('\n') {
        return Err(NoteError::Malformed("the text is empty or its last line has no end"));
    }
    if text.bytes().any(|b| b < 0x20 && b != b'\n') {
        return Err(NoteError::Malformed("a control character in the text"));
    }
    Ok(())
}

/// A number without sign and leading zeros: one spelling for one size.
fn decimal(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests;
