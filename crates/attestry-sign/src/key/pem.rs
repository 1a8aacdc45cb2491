//! PEM for private keys: one block in, one block out, and no copy left behind in memory.
//!
//! The general PEM readers keep the base64 text in buffers that nobody wipes. What passes through here is wiped.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use zeroize::Zeroizing;

use crate::Error;

/// The label that cosign writes since 2.0.
pub(crate) const SIGSTORE_LABEL: &str = "ENCRYPTED SIGSTORE PRIVATE KEY";
/// The label that cosign wrote before.
const COSIGN_LABEL: &str = "ENCRYPTED COSIGN PRIVATE KEY";

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";
/// Longer labels than this are no private key's, and are not repeated in messages.
const MAX_LABEL: usize = 64;
/// The line length of RFC 7468, and of Go.
const LINE: usize = 64;

/// One PEM block, decoded.
pub(crate) struct Block {
    /// The text between `BEGIN` and the dashes: upper-case letters, digits and spaces.
    pub(crate) label: String,
    /// Whether RFC 1421 headers stood above the body, as in keys that OpenSSL encrypted.
    pub(crate) has_headers: bool,
    /// The decoded body.
    pub(crate) body: Zeroizing<Vec<u8>>,
}

impl Block {
    /// Whether cosign encrypted this.
    pub(crate) fn is_cosign(&self) -> bool {
        self.label == SIGSTORE_LABEL || self.label == COSIGN_LABEL
    }
}

/// Whether the bytes are meant as PEM rather than DER.
pub(crate) fn looks_like(bytes: &[u8]) -> bool {
    bytes.windows(BEGIN.len()).any(|window| window == BEGIN.as_bytes())
}

/// Reads the one block of a key file. `EC PARAMETERS`, which OpenSSL puts before SEC 1 keys, does not count: the key
/// names its curve itself. Text outside the block is ignored, as RFC 7468 allows.
pub(crate) fn read_one(bytes: &[u8]) -> Result<Block, Error> {
    let text = std::str::from_utf8(bytes).map_err(|_| malformed("the PEM text is not UTF-8"))?;
    let mut lines = text.lines().map(str::trim_end);
    let mut found = None;
    while let Some(line) = lines.next() {
        let Some(label) = line.strip_prefix(BEGIN) else { continue };
        let label = label.strip_suffix(DASHES).ok_or(malformed("its BEGIN line does not end in five dashes"))?;
        check_label(label)?;
        let block = read_body(label, &mut lines)?;
        if label == "EC PARAMETERS" {
            continue;
        }
        if found.replace(block).is_some() {
            return Err(Error::NotAKey { seen: "several PEM blocks in one file, where exactly one is wanted".into() });
        }
    }
    found.ok_or_else(|| Error::NotAKey { seen: "PEM text without a key in it".into() })
}

/// Writes one block, 64 characters a line and `\n` at each end, as Go does.
pub(crate) fn encode(label: &str, der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(BASE64_STANDARD.encode(der));
    // Reserved whole: a string that grows leaves its old bytes unwiped.
    let mut text = Zeroizing::new(String::with_capacity(body.len() + body.len() / LINE + 2 * MAX_LABEL + 64));
    text.push_str(&format!("{BEGIN}{label}{DASHES}\n"));
    let mut rest = body.as_str();
    while !rest.is_empty() {
        // Base64 is ASCII, so every index is a character boundary.
        let (line, tail) = rest.split_at(rest.len().min(LINE));
        text.push_str(line);
        text.push('\n');
        rest = tail;
    }
    text.push_str(&format!("{END}{label}{DASHES}\n"));
    text
}

fn read_body<'a>(label: &str, lines: &mut impl Iterator<Item = &'a str>) -> Result<Block, Error> {
    let mut base64 = Zeroizing::new(Vec::with_capacity(super::MAX_KEY_BYTES));
    let mut has_headers = false;
    for line in lines {
        if let Some(end) = line.strip_prefix(END) {
            if end.strip_suffix(DASHES) != Some(label) {
                return Err(malformed("its END line does not match its BEGIN line"));
            }
            let mut body = Zeroizing::new(Vec::with_capacity(base64.len()));
            BASE64_STANDARD
                .decode_vec(base64.as_slice(), &mut body)
                .map_err(|_| malformed("its PEM body is not base64"))?;
            return Ok(Block { label: label.to_owned(), has_headers, body });
        }
        if line.contains(':') {
            has_headers = true;
            continue;
        }
        base64.extend(line.bytes().filter(|byte| !byte.is_ascii_whitespace()));
    }
    Err(malformed("its END line is missing"))
}

/// Keeps terminal escapes and long text of a foreign file out of our messages.
fn check_label(label: &str) -> Result<(), Error> {
    let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' ';
    if label.len() > MAX_LABEL || !label.bytes().all(plain) {
        return Err(malformed("its BEGIN line has an impossible label"));
    }
    Ok(())
}

fn malformed(problem: &'static str) -> Error {
    Error::KeyMalformed { problem }
}
