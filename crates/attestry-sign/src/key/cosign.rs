//! cosign's encryption of private keys: scrypt, then NaCl secretbox, in a small JSON document.
//!
//! `{"kdf":{"name":"scrypt","params":{"N":65536,"r":8,"p":1},"salt":…},"cipher":{"name":"nacl/secretbox","nonce":…},
//! "ciphertext":…}`, values in base64. The ciphertext is the 16-byte Poly1305 tag followed by XSalsa20 over PKCS#8 DER.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use crypto_secretbox::aead::AeadInPlace as _;
use crypto_secretbox::{KeyInit as _, Nonce, Tag, XSalsa20Poly1305};
use rand_core::{OsRng, RngCore as _};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::Error;

const KDF: &str = "scrypt";
const CIPHER: &str = "nacl/secretbox";
/// log2 of the N that is written. 15 (older files) and 17 are read as well.
const LOG_N: u8 = 16;
const R: u32 = 8;
const P: u32 = 1;
const SALT_LEN: usize = 32;
const NONCE_LEN: usize = XSalsa20Poly1305::NONCE_SIZE;
const TAG_LEN: usize = XSalsa20Poly1305::TAG_SIZE;

/// Decrypts the body of an encrypted PEM block to PKCS#8 DER.
///
/// Every parameter is compared with the few that cosign writes before scrypt runs: a key file with N = 2^40 must cost
/// an error message, not the machine's memory.
pub(super) fn decrypt(json: &[u8], password: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    let document: Document = serde_json::from_slice(json)
        .map_err(|_| Error::KeyMalformed { problem: "its encrypted body is not the JSON that cosign writes" })?;
    expect("kdf", &document.kdf.name, KDF)?;
    expect("cipher", &document.cipher.name, CIPHER)?;
    let log_n = document.kdf.params.check()?;
    let salt: [u8; SALT_LEN] = decode(&document.kdf.salt, "its salt is not 32 bytes of base64")?;
    let nonce: [u8; NONCE_LEN] = decode(&document.cipher.nonce, "its nonce is not 24 bytes of base64")?;
    let sealed = BASE64_STANDARD
        .decode(&document.ciphertext)
        .map_err(|_| Error::KeyMalformed { problem: "its ciphertext is not base64" })?;
    let (tag, ciphertext) =
        sealed.split_at_checked(TAG_LEN).ok_or(Error::KeyMalformed { problem: "its ciphertext is too short" })?;

    let mut plain = Zeroizing::new(ciphertext.to_vec());
    secret_box(password, &salt, log_n)?
        .decrypt_in_place_detached(Nonce::from_slice(&nonce), b"", &mut plain, Tag::from_slice(tag))
        .map_err(|_| Error::WrongPassword)?;
    Ok(plain)
}

/// Encrypts PKCS#8 DER to the body of an encrypted PEM block, with a fresh salt and nonce.
pub(super) fn encrypt(pkcs8: &[u8], password: &[u8]) -> Result<Vec<u8>, Error> {
    let mut salt = [0u8; SALT_LEN];
    let mut nonce = [0u8; NONCE_LEN];
    OsRng.try_fill_bytes(&mut salt).map_err(Error::Random)?;
    OsRng.try_fill_bytes(&mut nonce).map_err(Error::Random)?;

    let mut text = Zeroizing::new(pkcs8.to_vec());
    let tag = secret_box(password, &salt, LOG_N)?
        .encrypt_in_place_detached(Nonce::from_slice(&nonce), b"", &mut text)
        .map_err(|_| Error::KeyMalformed { problem: "it is too large to encrypt" })?;

    let document = Document {
        kdf: Kdf {
            name: KDF.to_owned(),
            params: Params { n: 1 << LOG_N, r: R.into(), p: P.into() },
            salt: BASE64_STANDARD.encode(salt),
        },
        cipher: Cipher { name: CIPHER.to_owned(), nonce: BASE64_STANDARD.encode(nonce) },
        ciphertext: BASE64_STANDARD.encode([tag.as_slice(), text.as_slice()].concat()),
    };
    serde_json::to_vec(&document).map_err(|_| Error::KeyMalformed { problem: "it cannot be written as JSON" })
}

/// Wire format; the order of the fields is the order in the file.
#[derive(Serialize, Deserialize)]
struct Document {
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Serialize, Deserialize)]
struct Kdf {
    name: String,
    params: Params,
    salt: String,
}

#[derive(Serialize, Deserialize)]
struct Params {
    #[serde(rename = "N")]
    n: u64,
    r: u64,
    p: u64,
}

#[derive(Serialize, Deserialize)]
struct Cipher {
    name: String,
    nonce: String,
}

impl Params {
    /// log2(N), if these are parameters that cosign accepts.
    fn check(&self) -> Result<u8, Error> {
        let log_n = match self.n {
            32_768 => 15,
            65_536 => LOG_N,
            131_072 => 17,
            other => return Err(unsupported("scrypt N", other.to_string(), "32768, 65536 or 131072")),
        };
        if self.r != u64::from(R) {
            return Err(unsupported("scrypt r", self.r.to_string(), "8"));
        }
        if self.p != u64::from(P) {
            return Err(unsupported("scrypt p", self.p.to_string(), "1"));
        }
        Ok(log_n)
    }
}

fn secret_box(password: &[u8], salt: &[u8], log_n: u8) -> Result<XSalsa20Poly1305, Error> {
    let mut key = Zeroizing::new([0u8; XSalsa20Poly1305::KEY_SIZE]);
    let params = scrypt::Params::new(log_n, R, P, key.len())
        .map_err(|_| unsupported("scrypt N", format!("2^{log_n}"), "32768, 65536 or 131072"))?;
    scrypt::scrypt(password, salt, &params, key.as_mut_slice())
        .map_err(|_| Error::KeyMalformed { problem: "its encryption key cannot be derived" })?;
    Ok(XSalsa20Poly1305::new(key.as_slice().into()))
}

fn decode<const N: usize>(text: &str, problem: &'static str) -> Result<[u8; N], Error> {
    let bytes = BASE64_STANDARD.decode(text).map_err(|_| Error::KeyMalformed { problem })?;
    bytes.try_into().map_err(|_| Error::KeyMalformed { problem })
}

fn expect(parameter: &'static str, seen: &str, expected: &'static str) -> Result<(), Error> {
    if seen == expected { Ok(()) } else { Err(unsupported(parameter, format!("{:?}", shortened(seen)), expected)) }
}

/// Enough of a foreign string to recognise it.
fn shortened(text: &str) -> String {
    text.chars().take(32).collect()
}

fn unsupported(parameter: &'static str, seen: String, expected: &'static str) -> Error {
    Error::UnsupportedEncryption { parameter, seen, expected }
}
