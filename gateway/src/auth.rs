//! Who is asking: JSON Web Tokens (RFC 7519) in `Authorization: Bearer` (RFC 6750, section 2.1).
//!
//! [`Authenticator`] is what one net thread owns: the verified tokens it remembers in front of the keys all threads
//! share. Its steady state, a remembered token, costs one keyed hash and one cache line, and allocates nothing.

pub mod cache;
pub mod jwks;
pub mod jwt;
pub mod keys;

use std::sync::Arc;

use cache::{TokenCache, TokenKey};
use keys::{KeySet, SharedKeys};

/// Bytes of `sub` that are taken; the store keeps it with each order.
pub const SUBJECT_BYTES_MAX: usize = 128;
/// Bytes of a token that are looked at: RS256 with 4096-bit keys and generous claims stays below half of it.
pub const TOKEN_BYTES_MAX: usize = 4_096;

/// Who a verified token speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The first 16 bytes of SHA-256 over the issuer and the subject, each preceded by its length as a
    /// big-endian u32: the same person under two issuers is two buyers.
    pub buyer: [u8; 16],
    /// `sub`, at most [`SUBJECT_BYTES_MAX`] bytes.
    pub subject: Arc<str>,
    /// Whether `roles` holds `operator`.
    pub operator: bool,
    /// `exp`, seconds since 1970. Not forgiven by any leeway here; see [`Authenticator::identify`].
    pub exp: u64,
}

/// Why a token was refused. All of them are a 401; the word goes into the metric and into `error_description`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Denied {
    /// No `Authorization` field, or not a bearer token.
    Missing,
    /// Not a JWS in compact form, or its header or claims are not what they should be.
    Malformed,
    /// No key for its `kid`.
    UnknownKey,
    /// Its `alg` is not the one its key is for; `none` is no algorithm.
    Algorithm,
    /// The signature does not hold.
    Signature,
    /// `exp` has passed.
    Expired,
    /// `nbf` has not come.
    NotYetValid,
    /// Another issuer than the key's.
    Issuer,
    /// Meant for another audience.
    Audience,
    /// It has no `sub`, or one that is too long.
    Subject,
}

impl Denied {
    /// Every reason, in the order of the counters.
    pub const ALL: [Denied; 10] = [
        Denied::Missing,
        Denied::Malformed,
        Denied::UnknownKey,
        Denied::Algorithm,
        Denied::Signature,
        Denied::Expired,
        Denied::NotYetValid,
        Denied::Issuer,
        Denied::Audience,
        Denied::Subject,
    ];

    /// One stable word for the metric.
    pub fn word(self) -> &'static str {
        match self {
            Denied::Missing => "missing",
            Denied::Malformed => "malformed",
            Denied::UnknownKey => "unknown_key",
            Denied::Algorithm => "algorithm",
            Denied::Signature => "signature",
            Denied::Expired => "expired",
            Denied::NotYetValid => "not_yet_valid",
            Denied::Issuer => "issuer",
            Denied::Audience => "audience",
            Denied::Subject => "subject",
        }
    }

    /// The `WWW-Authenticate` value of the 401 (RFC 6750, section 3: no error code when no token was sent).
    pub fn challenge(self) -> &'static str {
        match self {
            Denied::Missing => "Bearer realm=\"tidegate\"",
            Denied::Expired => {
                "Bearer realm=\"tidegate\", error=\"invalid_token\", error_description=\"the token has expired\""
            }
            _ => "Bearer realm=\"tidegate\", error=\"invalid_token\"",
        }
    }
}

/// What one thread's authenticator has done so far.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// Requests whose token was remembered.
    pub hits: u64,
    /// Requests whose token was verified and held.
    pub verified: u64,
    /// Refusals, by [`Denied::ALL`].
    pub denied: [u64; Denied::ALL.len()],
}

/// The token in an `Authorization` field's value: `Bearer`, in any case (RFC 9110, section 11.1), one or more spaces, and token characters.
pub fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"bearer") || rest.first() != Some(&b' ') {
        return None;
    }
    let token = rest.trim_ascii();
    (!token.is_empty() && !token.contains(&b' ')).then_some(token)
}

/// What one net thread owns.
pub struct Authenticator {
    shared: Arc<SharedKeys>,
    keys: Arc<KeySet>,
    cache: TokenCache,
    counters: Counters,
    verifications: u64,
}

impl Authenticator {
    /// One that remembers up to `cache_tokens` tokens.
    pub fn new(shared: Arc<SharedKeys>, cache_tokens: usize) -> Authenticator {
        let keys = shared.current();
        Authenticator {
            shared,
            keys,
            cache: TokenCache::new(cache_tokens),
            counters: Counters::default(),
            verifications: 0,
        }
    }

    /// Who sent a request with this `Authorization` value, at `now_s` (seconds since 1970).
    ///
    /// A token is good until `exp` plus the leeway when it is verified, but it is remembered only until `exp` itself. When keys changed,
    /// everything remembered is forgotten: a key that was taken out stops working at once.
    ///
    /// # Errors
    /// Why it was refused. Refusals are not remembered; the limit per address is what bounds their cost.
    pub fn identify(&mut self, authorization: Option<&[u8]>, now_s: u64) -> Result<&Identity, Denied> {
        let (token, key) = self.token(authorization)?;
        if let Some(slot) = self.cache.find(key, now_s) {
            self.counters.hits += 1;
            return Ok(self.cache.identity(slot));
        }
        self.verifications += 1;
        match jwt::verify(&self.keys, token, now_s) {
            Ok(identity) => {
                self.counters.verified += 1;
                let slot = self.cache.insert(key, identity, now_s);
                Ok(self.cache.identity(slot))
            }
            Err(denied) => {
                if denied == Denied::UnknownKey && self.keys.is_fetched() {
                    self.shared.ask();
                }
                Err(self.deny(denied))
            }
        }
    }

    /// As [`identify`](Self::identify) for a token that is remembered; `None` for any other: it is not verified.
    ///
    /// # Errors
    /// There is no token that could be remembered.
    pub fn recall(&mut self, authorization: Option<&[u8]>, now_s: u64) -> Result<Option<&Identity>, Denied> {
        let (_, key) = self.token(authorization)?;
        let Some(slot) = self.cache.find(key, now_s) else {
            return Ok(None);
        };
        self.counters.hits += 1;
        Ok(Some(self.cache.identity(slot)))
    }

    fn token<'a>(&mut self, authorization: Option<&'a [u8]>) -> Result<(&'a [u8], TokenKey), Denied> {
        self.follow_keys();
        let Some(token) = authorization.and_then(bearer) else {
            return Err(self.deny(Denied::Missing));
        };
        if token.len() > TOKEN_BYTES_MAX {
            return Err(self.deny(Denied::Malformed));
        }
        Ok((token, self.cache.key(token)))
    }

    /// Tokens looked at because they were not remembered, whatever came of it: the dear part of a request.
    pub fn verifications(&self) -> u64 {
        self.verifications
    }

    /// Whether keys come from a URL, which an unknown key had asked again.
    pub fn is_fetched(&self) -> bool {
        self.keys.is_fetched()
    }

    /// What it has done so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    fn deny(&mut self, denied: Denied) -> Denied {
        self.counters.denied[denied as usize] += 1;
        denied
    }

    /// One relaxed load in the steady state; the lock is taken only after a reload.
    fn follow_keys(&mut self) {
        if self.shared.generation() != self.keys.generation() {
            self.keys = self.shared.current();
            self.cache.clear();
        }
    }
}

#[cfg(test)]
mod tests;
