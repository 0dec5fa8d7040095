//! The `[auth]` section.

use std::path::Path;
use std::time::Duration;

use super::{Checked, optional_path, within, word};
use crate::auth::jwks::{Remote, check_url};
use crate::auth::keys::{Algorithm, KeyMaterial, KeySource};
use crate::config::ConfigError;
use crate::config::checked::{Auth, own_token_key};
use crate::config::raw::{RawAuth, RawKey};

pub(super) fn check_auth(raw: &RawAuth, data: &Path) -> Checked<Auth> {
    let local_key = raw.local_key.then(|| own_token_key(data));
    let mut keys: Vec<KeySource> = local_key.iter().map(|path| KeySource::local(path)).collect();
    for (index, key) in raw.keys.iter().enumerate() {
        keys.push(check_key(&format!("auth.keys[{index}]"), key, raw)?);
    }
    let jwks_file = optional_path(&raw.jwks_file);
    let jwks = check_jwks(raw)?;
    if keys.is_empty() && jwks_file.is_none() && jwks.is_none() {
        return Err(ConfigError::new(
            "auth",
            "no key at all: set local_key, a [[auth.keys]] entry, jwks_file or jwks_url",
        ));
    }
    for (index, key) in keys.iter().enumerate() {
        if keys[..index].iter().any(|other| other.kid == key.kid) {
            let name = key.kid.as_deref().unwrap_or("(none)");
            return Err(ConfigError::new(
                "auth.keys",
                format!("two keys have the kid `{name}`"),
            ));
        }
    }
    for (place, value) in [("auth.issuer", &raw.issuer), ("auth.audience", &raw.audience)] {
        if value.is_empty() {
            return Err(ConfigError::new(
                place,
                "must not be empty: a token for somebody else would be taken",
            ));
        }
    }
    Ok(Auth {
        keys,
        local_key,
        jwks_file,
        jwks,
        issuer: raw.issuer.clone(),
        audience: raw.audience.clone(),
        leeway: Duration::from_secs(within("auth.leeway_s", raw.leeway_s, 0, 600)?),
        cache_tokens: within("auth.cache_tokens", raw.cache_tokens, 64, 16 << 20)?,
    })
}

fn check_jwks(raw: &RawAuth) -> Checked<Option<Remote>> {
    let refresh = within("auth.jwks_refresh_s", raw.jwks_refresh_s, 10, 86_400)?;
    let cooldown = within("auth.jwks_cooldown_s", raw.jwks_cooldown_s, 1, 3_600)?;
    if raw.jwks_url.is_empty() {
        return match raw.jwks_ca.is_empty() {
            true => Ok(None),
            false => Err(ConfigError::new(
                "auth.jwks_ca",
                "is for jwks_url, which is not set",
            )),
        };
    }
    check_url(&raw.jwks_url).map_err(|problem| ConfigError::new("auth.jwks_url", problem))?;
    Ok(Some(Remote {
        url: raw.jwks_url.clone(),
        ca: optional_path(&raw.jwks_ca),
        refresh: Duration::from_secs(refresh),
        cooldown: Duration::from_secs(cooldown),
    }))
}

fn check_key(place: &str, raw: &RawKey, auth: &RawAuth) -> Checked<KeySource> {
    let algorithm = word(
        &format!("{place}.algorithm"),
        &raw.algorithm,
        &[
            ("EdDSA", Algorithm::EdDsa),
            ("ES256", Algorithm::Es256),
            ("RS256", Algorithm::Rs256),
            ("HS256", Algorithm::Hs256),
        ],
    )?;
    let material = match (algorithm, raw.file.is_empty(), raw.secret.is_empty()) {
        (Algorithm::Hs256, true, false) => KeyMaterial::Secret(raw.secret.clone().into_bytes().into()),
        (_, false, true) => KeyMaterial::File(raw.file.clone().into()),
        (Algorithm::Hs256, ..) => {
            return Err(ConfigError::new(
                place,
                "needs either secret or file (and not both)",
            ));
        }
        _ => return Err(ConfigError::new(place, "needs file: the public key as PEM")),
    };
    if let KeyMaterial::Secret(secret) = &material
        && secret.len() < 32
    {
        return Err(ConfigError::new(
            place,
            "the secret is shorter than 32 bytes (RFC 7518, section 3.2)",
        ));
    }
    let or = |own: &str, common: &str| {
        if own.is_empty() {
            common.to_string()
        } else {
            own.to_string()
        }
    };
    Ok(KeySource {
        kid: (!raw.kid.is_empty()).then(|| raw.kid.clone()),
        algorithm,
        material,
        issuer: or(&raw.issuer, &auth.issuer),
        audience: or(&raw.audience, &auth.audience),
    })
}
