//! A JSON Web Key Set (RFC 7517): its text, and the signing keys of it that we take.

use std::path::Path;

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};

use super::{Algorithm, Key, validation};

/// Bytes of a JWKS, at most: identity providers publish a few KiB.
pub const JWKS_BYTES_MAX: u64 = 1 << 20;

/// A set that was read, with at least one key in it that we take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwks(JwkSet);

impl Jwks {
    /// Reads the text of a JWKS. Keys of kinds we do not take, and broken ones, are passed over (RFC 7517, section 5), so that one of
    /// them cannot keep a rotated key out; a symmetric one spoils the set: a secret in a document meant for publication is no secret.
    ///
    /// # Errors
    /// What is wrong with it, without the name of its source.
    pub fn parse(text: &[u8]) -> Result<Jwks, String> {
        if text.len() as u64 > JWKS_BYTES_MAX {
            return Err(format!("more than {JWKS_BYTES_MAX} bytes"));
        }
        let set = serde_json::from_slice(text).map_err(|error| format!("not a JWKS: {error}"))?;
        let jwks = Jwks(set);
        // Issuer and audience play no part in whether a key is one.
        if jwks.keys("", "")?.is_empty() {
            return Err("no EdDSA, ES256 or RS256 key in it".into());
        }
        Ok(jwks)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong with it, with its path.
    pub fn read(path: &Path) -> Result<Jwks, String> {
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
        Jwks::parse(&text).map_err(|error| format!("{name}: {error}"))
    }

    /// Its signing keys, for tokens of `issuer` meant for `audience`.
    pub(super) fn keys(&self, issuer: &str, audience: &str) -> Result<Vec<Key>, String> {
        let mut keys = Vec::new();
        for jwk in &self.0.keys {
            let kid = jwk.common.key_id.clone();
            let Some(algorithm) = jwk_algorithm(jwk)? else {
                continue;
            };
            let Ok(decoding) = DecodingKey::from_jwk(jwk) else {
                continue;
            };
            keys.push(Key {
                kid,
                decoding,
                validation: validation(algorithm, issuer, audience),
            });
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
