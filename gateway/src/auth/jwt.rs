//! Verifies one token against a set of keys, and makes tokens under the data directory's own key.

use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{EncodingKey, Header};
use serde::{Deserialize, Serialize};

use super::keys::{Algorithm, KeySet, LOCAL_AUDIENCE, LOCAL_ISSUER, LOCAL_KID};
use super::{Denied, Identity, SUBJECT_BYTES_MAX};

/// The claims that are read (RFC 7519, section 4.1). `iss` and `aud` are checked against the key by the library, before these are looked at.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    exp: NumericDate,
    #[serde(default)]
    nbf: Option<NumericDate>,
    #[serde(default)]
    roles: Vec<String>,
}

/// Seconds since 1970; fractions are allowed by RFC 7519, section 2.
#[derive(Deserialize, Clone, Copy)]
#[serde(untagged)]
enum NumericDate {
    Whole(u64),
    Fraction(f64),
}

impl NumericDate {
    fn seconds(self) -> u64 {
        match self {
            NumericDate::Whole(seconds) => seconds,
            // `as` saturates: a negative or absurd date becomes 0 or the end of time.
            NumericDate::Fraction(seconds) => seconds as u64,
        }
    }
}

/// Verifies `token` at `now_s`, seconds since 1970.
///
/// # Errors
/// The first check that failed: form, key, algorithm, signature, issuer and audience, time, subject.
pub fn verify(keys: &KeySet, token: &[u8], now_s: u64) -> Result<Identity, Denied> {
    let header = jsonwebtoken::decode_header(token).map_err(|error| denied(error.kind()))?;
    // RFC 7515, section 4.1.11: extensions named there must be understood; we understand none.
    if header.crit.is_some() {
        return Err(Denied::Malformed);
    }
    let key = keys.find(header.kid.as_deref()).ok_or(Denied::UnknownKey)?;
    let claims = jsonwebtoken::decode::<Claims>(token, &key.decoding, &key.validation)
        .map_err(|error| denied(error.kind()))?
        .claims;
    let exp = claims.exp.seconds();
    // Half-open: at `exp` itself it has expired (RFC 7519, section 4.1.4: "on or after").
    if now_s >= exp.saturating_add(keys.leeway_s) {
        return Err(Denied::Expired);
    }
    if claims
        .nbf
        .is_some_and(|nbf| nbf.seconds() > now_s.saturating_add(keys.leeway_s))
    {
        return Err(Denied::NotYetValid);
    }
    if claims.sub.is_empty() || claims.sub.len() > SUBJECT_BYTES_MAX {
        return Err(Denied::Subject);
    }
    Ok(Identity {
        buyer: buyer(&claims.iss, &claims.sub),
        operator: claims.roles.iter().any(|role| role == "operator"),
        subject: Arc::from(claims.sub),
        exp,
    })
}

/// The buyer that a subject of an issuer is; see [`Identity::buyer`].
pub fn buyer(issuer: &str, subject: &str) -> [u8; 16] {
    let mut hash = digest::Context::new(&digest::SHA256);
    for part in [issuer, subject] {
        hash.update(&(part.len() as u32).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let hash = hash.finish();
    hash.as_ref()[..16].try_into().expect("SHA-256 has 32 bytes")
}

fn denied(kind: &ErrorKind) -> Denied {
    match kind {
        // An `alg` that the library does not know (`none` among them) fails as a header that does not parse.
        ErrorKind::InvalidAlgorithm
        | ErrorKind::InvalidAlgorithmName
        | ErrorKind::MissingAlgorithm
        | ErrorKind::UnsupportedAlgorithm => Denied::Algorithm,
        ErrorKind::InvalidSignature => Denied::Signature,
        ErrorKind::InvalidIssuer => Denied::Issuer,
        ErrorKind::InvalidAudience => Denied::Audience,
        ErrorKind::InvalidSubject => Denied::Subject,
        ErrorKind::MissingRequiredClaim(claim) => match claim.as_str() {
            "iss" => Denied::Issuer,
            "aud" => Denied::Audience,
            "sub" => Denied::Subject,
            _ => Denied::Malformed,
        },
        _ => Denied::Malformed,
    }
}

/// The claims of a token that we make.
#[derive(Serialize)]
struct LocalClaims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    iat: u64,
    exp: u64,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    roles: &'a [&'a str],
}

/// A token under the private key in `key_file` (PKCS#8 PEM, Ed25519), good from `now_s` for `ttl_s` seconds.
///
/// # Errors
/// A sentence: the file cannot be read, is no such key, or the user's name is not 1 to 128 bytes.
pub fn issue(key_file: &Path, user: &str, roles: &[&str], now_s: u64, ttl_s: u64) -> Result<String, String> {
    if user.is_empty() || user.len() > SUBJECT_BYTES_MAX {
        return Err(format!("a user's name has 1 to {SUBJECT_BYTES_MAX} bytes"));
    }
    let pem = std::fs::read(key_file).map_err(|error| {
        format!(
            "{}: {error}; read it as the user that tidegate runs as",
            key_file.display()
        )
    })?;
    let wrong = |error| {
        format!(
            "{}: not an Ed25519 private key: {error}; name the gateway's data directory with --data",
            key_file.display()
        )
    };
    let key = EncodingKey::from_ed_pem(&pem).map_err(wrong)?;
    let mut header = Header::new(Algorithm::EdDsa.name());
    header.kid = Some(LOCAL_KID.into());
    let claims = LocalClaims {
        iss: LOCAL_ISSUER,
        aud: LOCAL_AUDIENCE,
        sub: user,
        iat: now_s,
        exp: now_s.saturating_add(ttl_s),
        roles,
    };
    jsonwebtoken::encode(&header, &claims, &key).map_err(wrong)
}
