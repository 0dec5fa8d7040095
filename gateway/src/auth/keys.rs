//! The keys tokens are verified with: from configuration and from a JWKS file (RFC 7517). A key has one algorithm, decided by
//! us and never by the token (RFC 8725, section 3.1).

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, SystemTime};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{DecodingKey, Validation};

/// `kid` of the data directory's own key.
pub const LOCAL_KID: &str = "local";
/// `iss` of its tokens.
pub const LOCAL_ISSUER: &str = "tidegate-local";
/// `aud` of its tokens.
pub const LOCAL_AUDIENCE: &str = "tidegate";
/// Keys of one set, at most: a JWKS is fetched data, and each key costs memory.
const KEYS_MAX: usize = 256;
/// Bytes of a JWKS file, at most.
const JWKS_BYTES_MAX: u64 = 1 << 20;
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

    /// The key for a token that names `kid`, or names none. A token without one is taken by a key without one, or by the only key there is.
    pub(super) fn find(&self, kid: Option<&str>) -> Option<&Key> {
        match (self.keys.iter().find(|key| key.kid.as_deref() == kid), kid) {
            (None, None) if self.keys.len() == 1 => self.keys.first(),
            (found, _) => found,
        }
    }
}

/// What all threads share: the present set, replaced whole.
pub struct SharedKeys {
    sources: Sources,
    generation: AtomicU64,
    current: RwLock<Arc<KeySet>>,
    /// Modification times of the files at the last load, and whether it failed.
    seen: Mutex<Vec<Option<SystemTime>>>,
    failures: AtomicU64,
}

/// Where the set comes from.
#[derive(Debug, Clone)]
pub struct Sources {
    /// Configured keys.
    pub keys: Vec<KeySource>,
    /// A JWKS file.
    pub jwks_file: Option<PathBuf>,
    /// `iss` of tokens under its keys.
    pub issuer: String,
    /// `aud` of tokens under its keys.
    pub audience: String,
    /// What `exp` and `nbf` forgive.
    pub leeway: Duration,
}

impl SharedKeys {
    /// Reads every source.
    ///
    /// # Errors
    /// A sentence about the first file that is missing or is not what it should be.
    pub fn load(sources: Sources) -> Result<SharedKeys, String> {
        let seen = sources.modified();
        let set = sources.read(1)?;
        Ok(SharedKeys {
            sources,
            generation: AtomicU64::new(1),
            current: RwLock::new(Arc::new(set)),
            seen: Mutex::new(seen),
            failures: AtomicU64::new(0),
        })
    }

    /// The present set. Takes a lock: call it when [`SharedKeys::generation`] changed.
    pub fn current(&self) -> Arc<KeySet> {
        Arc::clone(
            &self
                .current
                .read()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        )
    }

    /// The number of the present set.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Reloads that failed; the old keys stayed.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Reads the sources again if any file's modification time changed since the last look. Call it from a thread that may block. `Ok(true)`: there is a new set.
    ///
    /// # Errors
    /// What is wrong with the new files; the old set stays in use, and the same files are not complained about twice.
    pub fn reload_if_changed(&self) -> Result<bool, String> {
        let mut seen = self
            .seen
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let modified = self.sources.modified();
        if *seen == modified {
            return Ok(false);
        }
        *seen = modified;
        let next = self.generation() + 1;
        let set = self.sources.read(next).inspect_err(|_| {
            self.failures.fetch_add(1, Ordering::Relaxed);
        })?;
        *self
            .current
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(set);
        self.generation.store(next, Ordering::Release);
        Ok(true)
    }
}

impl Sources {
    fn modified(&self) -> Vec<Option<SystemTime>> {
        let files = self.keys.iter().filter_map(|key| match &key.material {
            KeyMaterial::File(path) | KeyMaterial::PrivateFile(path) => Some(path),
            KeyMaterial::Secret(_) => None,
        });
        files
            .chain(&self.jwks_file)
            .map(|path| std::fs::metadata(path).and_then(|meta| meta.modified()).ok())
            .collect()
    }

    fn read(&self, generation: u64) -> Result<KeySet, String> {
        let mut keys = Vec::new();
        for source in &self.keys {
            keys.push(read_key(source)?);
        }
        if let Some(path) = &self.jwks_file {
            for key in self.read_jwks(path)? {
                if keys.iter().any(|other| other.kid == key.kid) {
                    let kid = key.kid.as_deref().unwrap_or("(none)");
                    return Err(format!("{}: a second key has the kid `{kid}`", path.display()));
                }
                keys.push(key);
            }
        }
        if keys.len() > KEYS_MAX {
            return Err(format!("{} keys; at most {KEYS_MAX} are taken", keys.len()));
        }
        Ok(KeySet {
            generation,
            keys,
            leeway_s: self.leeway.as_secs(),
        })
    }

    /// The signing keys of a JWKS file. Keys of other kinds are passed over (RFC 7517, section 5); symmetric ones
    /// are refused: a secret in a file meant for publication is no secret.
    fn read_jwks(&self, path: &Path) -> Result<Vec<Key>, String> {
        let name = path.display();
        let size = std::fs::metadata(path)
            .map_err(|error| format!("{name}: {error}"))?
            .len();
        if size > JWKS_BYTES_MAX {
            return Err(format!(
                "{name}: {size} bytes; at most {JWKS_BYTES_MAX} are taken"
            ));
        }
        let text = std::fs::read(path).map_err(|error| format!("{name}: {error}"))?;
        let set: JwkSet =
            serde_json::from_slice(&text).map_err(|error| format!("{name}: not a JWKS: {error}"))?;
        let mut keys = Vec::new();
        for jwk in &set.keys {
            let kid = jwk.common.key_id.clone();
            let Some(algorithm) = jwk_algorithm(jwk)? else {
                continue;
            };
            let decoding = DecodingKey::from_jwk(jwk)
                .map_err(|error| format!("{name}: key `{}`: {error}", kid.as_deref().unwrap_or("(none)")))?;
            keys.push(Key {
                kid,
                decoding,
                validation: validation(algorithm, &self.issuer, &self.audience),
            });
        }
        if keys.is_empty() {
            return Err(format!("{name}: no EdDSA, ES256 or RS256 key in it"));
        }
        Ok(keys)
    }
}

/// The algorithm that a JWK's type and curve decide, if it is a signing key of a kind we take.
fn jwk_algorithm(jwk: &Jwk) -> Result<Option<Algorithm>, String> {
    if matches!(&jwk.common.public_key_use, Some(other) if *other != PublicKeyUse::Signature) {
        return Ok(None);
    }
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Algorithm::EdDsa,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::Es256,
        AlgorithmParameters::RSA(_) => Algorithm::Rs256,
        AlgorithmParameters::OctetKey(_) => {
            return Err("a JWKS must not hold a symmetric key: configure HS256 with a secret".into());
        }
        _ => return Ok(None),
    };
    let stated = jwk.common.key_algorithm;
    let agreed = match algorithm {
        Algorithm::EdDsa => stated.is_none_or(|stated| stated == KeyAlgorithm::EdDSA),
        Algorithm::Es256 => stated.is_none_or(|stated| stated == KeyAlgorithm::ES256),
        Algorithm::Rs256 => stated.is_none_or(|stated| stated == KeyAlgorithm::RS256),
        Algorithm::Hs256 => false,
    };
    Ok(agreed.then_some(algorithm))
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
