//! The keys tokens are verified with: from configuration and from a JWKS (RFC 7517), a file's or a URL's. A key has one algorithm,
//! decided by us and never by the token (RFC 8725, section 3.1).

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jsonwebtoken::{DecodingKey, Validation};

pub mod jwks;
mod shared;

pub use shared::{SharedKeys, Sources};

/// `kid` of the data directory's own key.
pub const LOCAL_KID: &str = "local";
/// `iss` of its tokens.
pub const LOCAL_ISSUER: &str = "tidegate-local";
/// `aud` of its tokens.
pub const LOCAL_AUDIENCE: &str = "tidegate";
/// Keys of one set, at most: a JWKS is fetched data, and each key costs memory.
const KEYS_MAX: usize = 256;
/// RFC 7518, section 3.2: a key as long as the hash, at least.
const SECRET_BYTES_MIN: usize = 32;

/// The signature algorithms there are (RFC 7518, section 3.1; RFC 8037 for EdDSA).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Ed25519.
    EdDsa,
    /// ECDSA on P-256.
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// HMAC with SHA-256 and a configured secret.
    Hs256,
}

impl Algorithm {
    pub(super) fn name(self) -> jsonwebtoken::Algorithm {
        match self {
            Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
            Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
            Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
            Algorithm::Hs256 => jsonwebtoken::Algorithm::HS256,
        }
    }
}

/// A configured key, before it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySource {
    /// Tokens that name this `kid`; `None`: tokens that name none.
    pub kid: Option<String>,
    /// What it verifies.
    pub algorithm: Algorithm,
    /// Where it is.
    pub material: KeyMaterial,
    /// `iss` that its tokens must have.
    pub issuer: String,
    /// `aud` that its tokens must hold.
    pub audience: String,
}

impl KeySource {
    /// The data directory's own key.
    pub fn local(path: &Path) -> KeySource {
        KeySource {
            kid: Some(LOCAL_KID.into()),
            algorithm: Algorithm::EdDsa,
            material: KeyMaterial::PrivateFile(path.to_path_buf()),
            issuer: LOCAL_ISSUER.into(),
            audience: LOCAL_AUDIENCE.into(),
        }
    }
}

/// Where a key is.
#[derive(Clone, PartialEq, Eq)]
pub enum KeyMaterial {
    /// PEM of a public key, or, for HS256, the secret's bytes.
    File(PathBuf),
    /// PKCS#8 PEM of an Ed25519 private key; its public half verifies.
    PrivateFile(PathBuf),
    /// The secret itself.
    Secret(Arc<[u8]>),
}

impl fmt::Debug for KeyMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyMaterial::File(path) => write!(f, "File({})", path.display()),
            KeyMaterial::PrivateFile(path) => write!(f, "PrivateFile({})", path.display()),
            KeyMaterial::Secret(_) => f.write_str("Secret(hidden)"),
        }
    }
}

/// A key that was read.
pub(super) struct Key {
    pub(super) kid: Option<String>,
    pub(super) decoding: DecodingKey,
    /// Its one algorithm, its issuer and its audience. Time is checked by us, with the time we are given.
    pub(super) validation: Validation,
}

/// All keys at one moment.
pub struct KeySet {
    generation: u64,
    keys: Vec<Key>,
    pub(super) leeway_s: u64,
    remote: bool,
}

impl KeySet {
    /// Which reload made it.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// How many keys it has.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether a URL is asked for keys, so that one that is unknown now may be known soon.
    pub fn is_fetched(&self) -> bool {
        self.remote
    }

    /// The key for a token that names `kid`, or names none. A token without one is taken by a key without one, or by the only key there is.
    pub(super) fn find(&self, kid: Option<&str>) -> Option<&Key> {
        match (self.keys.iter().find(|key| key.kid.as_deref() == kid), kid) {
            (None, None) if self.keys.len() == 1 => self.keys.first(),
            (found, _) => found,
        }
    }
}

fn read_key(source: &KeySource) -> Result<Key, String> {
    let read = |path: &Path| std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
    let decoding = match &source.material {
        KeyMaterial::Secret(secret) => secret_key(secret)?,
        KeyMaterial::File(path) => {
            let bytes = read(path)?;
            let key = match source.algorithm {
                Algorithm::EdDsa => DecodingKey::from_ed_pem(&bytes),
                Algorithm::Es256 => DecodingKey::from_ec_pem(&bytes),
                Algorithm::Rs256 => DecodingKey::from_rsa_pem(&bytes),
                Algorithm::Hs256 => return build(source, secret_key(bytes.trim_ascii())?),
            };
            key.map_err(|error| {
                format!(
                    "{}: no public key for {:?}: {error}",
                    path.display(),
                    source.algorithm
                )
            })?
        }
        KeyMaterial::PrivateFile(path) => {
            let pem = String::from_utf8_lossy(&read(path)?).into_owned();
            let key = rcgen::KeyPair::from_pem(&pem)
                .map_err(|error| format!("{}: not a PKCS#8 private key: {error}", path.display()))?;
            if key.algorithm() != &rcgen::PKCS_ED25519 {
                return Err(format!("{}: not an Ed25519 key", path.display()));
            }
            DecodingKey::from_ed_der(key.public_key_raw())
        }
    };
    build(source, decoding)
}

fn build(source: &KeySource, decoding: DecodingKey) -> Result<Key, String> {
    let validation = validation(source.algorithm, &source.issuer, &source.audience);
    Ok(Key {
        kid: source.kid.clone(),
        decoding,
        validation,
    })
}

fn secret_key(secret: &[u8]) -> Result<DecodingKey, String> {
    if secret.len() < SECRET_BYTES_MIN {
        return Err(format!(
            "an HS256 secret has {} bytes; it needs {SECRET_BYTES_MIN}",
            secret.len()
        ));
    }
    Ok(DecodingKey::from_secret(secret))
}

fn validation(algorithm: Algorithm, issuer: &str, audience: &str) -> Validation {
    let mut validation = Validation::new(algorithm.name());
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // The library would read the clock for these; time is an argument here, so jwt.rs checks them.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation
}
