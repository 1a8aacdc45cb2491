//! A private key that signs: how it is made, read, stored and used.
//!
//! Two algorithms: ECDSA P-256 with SHA-256 (signatures in ASN.1 DER), which every verifier of this field understands,
//! and pure Ed25519. What is written to disk is what cosign writes, so that either program signs with the other's files.
//!
//! The private half never leaves this type except encrypted ([`SigningKey::to_encrypted_pem`]). It is wiped when the
//! value is dropped, [`Debug`](std::fmt::Debug) shows the public half only, and there is no `Clone` and no `Serialize`.

mod cosign;
mod der;
pub(crate) mod pem;
#[cfg(test)]
mod tests;

use std::fmt;

use attestry_core::crypto::{KeyId, PublicKey};
use p256::ecdsa::DerSignature;
use p256::ecdsa::signature::Signer as _;
use p256::pkcs8::EncodePublicKey as _;
use rand_core::{OsRng, RngCore as _};
use zeroize::Zeroizing;

use crate::Error;
use crate::example_keys;

/// The largest key file that is read: RSA keys of 16 Kibit in PEM are a fifth of this.
pub const MAX_KEY_BYTES: usize = 64 * 1024;

/// A private key, ready to sign.
pub struct SigningKey {
    secret: Secret,
    public: PublicKey,
}

/// What a key signs with; it fixes the signature format as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on NIST P-256 over SHA-256; signatures are ASN.1 DER.
    EcdsaP256,
    /// Pure Ed25519 (RFC 8032), never the pre-hashed form.
    Ed25519,
}

/// The private half. Both types wipe themselves on drop.
enum Secret {
    EcdsaP256(p256::ecdsa::SigningKey),
    Ed25519(ed25519_dalek::SigningKey),
}

impl SigningKey {
    /// Makes a new key from the operating system's random bytes.
    pub fn generate(algorithm: Algorithm) -> Result<Self, Error> {
        let mut seed = Zeroizing::new([0u8; 32]);
        loop {
            OsRng.try_fill_bytes(seed.as_mut_slice()).map_err(Error::Random)?;
            // Every seed is an Ed25519 key. Of P-256 one in 2^32 lies outside 1..n and is drawn again.
            match algorithm {
                Algorithm::Ed25519 => return Self::new(Secret::Ed25519(ed25519_dalek::SigningKey::from_bytes(&seed))),
                Algorithm::EcdsaP256 => {
                    if let Ok(secret) = p256::ecdsa::SigningKey::from_slice(seed.as_slice()) {
                        return Self::new(Secret::EcdsaP256(secret));
                    }
                }
            }
        }
    }

    /// Reads a private key: PKCS#8 or SEC 1 in PEM or DER, or a file encrypted by cosign or by us.
    ///
    /// The password is used for encrypted files only; an empty one is legal. At most [`MAX_KEY_BYTES`] are looked at.
    /// A published example key is refused ([`Error::ExampleKey`]): who can read its file can sign in your name.
    pub fn import(bytes: &[u8], password: Option<&[u8]>) -> Result<Self, Error> {
        let key = Self::danger_import_example(bytes, password)?;
        if example_keys::is_example_key(&key.key_id()) {
            return Err(Error::ExampleKey { key_id: key.key_id().to_string() });
        }
        Ok(key)
    }

    /// [`SigningKey::import`] that takes the published example keys too. For demonstrations; nothing signed so proves
    /// anything.
    pub fn danger_import_example(bytes: &[u8], password: Option<&[u8]>) -> Result<Self, Error> {
        if bytes.len() > MAX_KEY_BYTES {
            return Err(Error::KeyTooLarge { limit: MAX_KEY_BYTES });
        }
        if !pem::looks_like(bytes) {
            return Self::new(der::read_any(bytes)?);
        }
        let block = pem::read_one(bytes)?;
        if block.is_cosign() {
            let password = password.ok_or(Error::PasswordNeeded)?;
            return Self::new(der::read_pkcs8(&cosign::decrypt(&block.body, password)?)?);
        }
        Self::new(der::read_labelled(&block)?)
    }

    /// Whether [`SigningKey::import`] will want a password for these bytes, so that one is asked for only then.
    pub fn needs_password(bytes: &[u8]) -> bool {
        bytes.len() <= MAX_KEY_BYTES
            && pem::looks_like(bytes)
            && pem::read_one(bytes).is_ok_and(|block| block.is_cosign())
    }

    /// Signs the message itself, not a digest of it. ECDSA signatures are deterministic (RFC 6979).
    ///
    /// # Panics
    /// Only where an ECDSA nonce gives r = 0 or s = 0, which nobody can find a message for (chance 2^-255).
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.secret {
            Secret::EcdsaP256(secret) => {
                let signature: DerSignature = secret.sign(message);
                signature.as_bytes().to_vec()
            }
            Secret::Ed25519(secret) => secret.sign(message).to_vec(),
        }
    }

    /// The private key as cosign writes it: PEM around scrypt and NaCl secretbox around PKCS#8.
    ///
    /// Takes about 64 MiB and a tenth of a second, as scrypt is meant to.
    pub fn to_encrypted_pem(&self, password: &[u8]) -> Result<String, Error> {
        let json = cosign::encrypt(&self.to_pkcs8_der()?, password)?;
        Ok(pem::encode(pem::SIGSTORE_LABEL, &json).as_str().to_owned())
    }

    /// The public key, for verifying what was signed.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// The public key as SubjectPublicKeyInfo, DER.
    pub fn public_key_der(&self) -> &[u8] {
        self.public.spki_der()
    }

    /// The public key as cosign writes `NAME.pub`: `PUBLIC KEY` PEM with a final newline.
    pub fn public_key_pem(&self) -> String {
        pem::encode("PUBLIC KEY", self.public.spki_der()).as_str().to_owned()
    }

    /// The key id: SHA-256 of [`SigningKey::public_key_der`]. Documents and revocations name keys by it.
    pub fn key_id(&self) -> KeyId {
        self.public.id()
    }

    /// Which algorithm it signs with.
    pub fn algorithm(&self) -> Algorithm {
        match self.secret {
            Secret::EcdsaP256(_) => Algorithm::EcdsaP256,
            Secret::Ed25519(_) => Algorithm::Ed25519,
        }
    }

    /// The raw 32-byte public key of an Ed25519 key, as signed notes carry it.
    pub(crate) fn ed25519_public(&self) -> Option<[u8; 32]> {
        match &self.secret {
            Secret::Ed25519(secret) => Some(secret.verifying_key().to_bytes()),
            Secret::EcdsaP256(_) => None,
        }
    }

    /// The private key in clear, for the two places that store it: encrypted, and the checkpoint key on a server.
    pub(crate) fn to_pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        der::write_pkcs8(&self.secret)
    }

    fn new(secret: Secret) -> Result<Self, Error> {
        let der = match &secret {
            Secret::EcdsaP256(secret) => secret.verifying_key().to_public_key_der(),
            Secret::Ed25519(secret) => secret.verifying_key().to_public_key_der(),
        };
        let malformed = |problem| Error::KeyMalformed { problem };
        let der = der.map_err(|_| malformed("its public half cannot be encoded"))?;
        // Whoever verifies reads the key with this code, so what it refuses must not sign.
        let public =
            PublicKey::from_spki_der(der.as_bytes()).map_err(|_| malformed("its public half is not accepted"))?;
        Ok(Self { secret, public })
    }
}

impl Algorithm {
    /// The name on the command line and in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "ecdsa-p256",
            Self::Ed25519 => "ed25519",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.algorithm())
            .field("key_id", &self.key_id().to_string())
            .finish_non_exhaustive()
    }
}
