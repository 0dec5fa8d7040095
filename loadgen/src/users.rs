//! Who is asking: one token and one client address per user.
//!
//! The gateway's local key signs them (RFC 8037 EdDSA), so the generator can be 100,000 people. A token costs about
//! 20 us to sign; they are minted before the run, so that the run's CPU is the wire's.

use std::fmt::Write as _;
use std::path::Path;

use bytes::Bytes;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

/// Signs tokens with the gateway's local key.
pub struct Mint {
    key: EncodingKey,
    issued: u64,
    expires: u64,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    iat: u64,
    exp: u64,
    #[serde(skip_serializing_if = "<[&str]>::is_empty")]
    roles: &'a [&'a str],
}

impl Mint {
    /// Reads a PKCS#8 PEM Ed25519 key. `unix_s` is now; tokens are good for `ttl_s` seconds.
    pub fn open(path: &Path, unix_s: u64, ttl_s: u64) -> Result<Mint, String> {
        let blame = |e: &dyn std::fmt::Display| {
            format!(
                "--token-key {}: {e}; name DATA/token.key of the gateway",
                path.display()
            )
        };
        let pem = std::fs::read(path).map_err(|e| blame(&e))?;
        Mint::from_pem(&pem, unix_s, ttl_s).map_err(|e| blame(&e))
    }

    /// As [`Mint::open`], from the PEM's bytes.
    pub fn from_pem(pem: &[u8], unix_s: u64, ttl_s: u64) -> Result<Mint, String> {
        let key = EncodingKey::from_ed_pem(pem).map_err(|e| format!("not an Ed25519 PKCS#8 PEM: {e}"))?;
        Ok(Mint {
            key,
            issued: unix_s,
            expires: unix_s + ttl_s,
        })
    }

    /// A token for `subject` with these roles.
    pub fn token(&self, subject: &str, roles: &[&str]) -> Result<String, String> {
        let claims = Claims {
            iss: "tidegate-local",
            aud: "tidegate",
            sub: subject,
            iat: self.issued,
            exp: self.expires,
            roles,
        };
        jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &self.key)
            .map_err(|e| format!("signing a token: {e}"))
    }
}

/// One caller's credentials, ready to be copied into a request.
#[derive(Clone, Debug)]
pub struct Identity {
    /// `authorization: Bearer …\r\nx-forwarded-for: …\r\n` as HTTP/1.1 wants them.
    pub h1: Bytes,
    /// `Bearer …`, or empty without a token.
    pub bearer: Bytes,
    /// The client's address as text.
    pub address: Bytes,
}

impl Identity {
    fn new(token: Option<&str>, address: &str) -> Identity {
        let mut text = String::with_capacity(400);
        let mut bearer = 0..0;
        if let Some(token) = token {
            text.push_str("authorization: ");
            let start = text.len();
            let _ = write!(text, "Bearer {token}");
            bearer = start..text.len();
            text.push_str("\r\n");
        }
        text.push_str("x-forwarded-for: ");
        let start = text.len();
        text.push_str(address);
        let address = start..text.len();
        text.push_str("\r\n");
        let h1 = Bytes::from(text.into_bytes());
        Identity {
            bearer: h1.slice(bearer),
            address: h1.slice(address),
            h1,
        }
    }
}

/// Index of a user: people from 0, operators from [`operator`].
pub type UserId = u32;

/// Operators of a run. Each confirms within the limits of one user, so that a thousand of them confirm 10,000 orders a second.
pub const OPERATORS: u32 = 1000;

/// The [`UserId`] of the `n`-th operator.
pub fn operator(n: u32) -> UserId {
    u32::MAX - n % OPERATORS
}

/// All callers of a run.
pub struct Users {
    prefix: String,
    people: Vec<Identity>,
    operators: Vec<Identity>,
}

/// The `n`-th user's address: 10.0.0.0/8 without the ends of a /24, so 16 million distinct ones.
fn address(n: u32) -> String {
    let n = n % (256 * 256 * 254);
    format!("10.{}.{}.{}", n / (256 * 254), (n / 254) % 256, 1 + n % 254)
}

impl Users {
    /// Mints `count` users named `{prefix}{n}` and the operator; `progress` is told how many are done. With `one_token` they share the
    /// first one's token (the gateway then remembers a single token), each still with an address of its own.
    pub fn mint(
        mint: Option<&Mint>,
        prefix: &str,
        count: u32,
        one_token: bool,
        mut progress: impl FnMut(u32),
    ) -> Result<Users, String> {
        let mut people = Vec::with_capacity(count as usize);
        let mut last = None;
        for n in 0..count {
            if let Some(mint) = mint
                && (last.is_none() || !one_token)
            {
                last = Some(mint.token(&format!("{prefix}{n}"), &[])?);
            }
            people.push(Identity::new(last.as_deref(), &address(n)));
            progress(n + 1);
        }
        let mut operators = Vec::with_capacity(OPERATORS as usize);
        for n in 0..OPERATORS {
            let token = mint
                .map(|m| m.token(&format!("{prefix}operator{n}"), &["operator"]))
                .transpose()?;
            operators.push(Identity::new(
                token.as_deref(),
                &format!("10.255.{}.255", n % 256),
            ));
        }
        Ok(Users {
            prefix: prefix.to_string(),
            people,
            operators,
        })
    }

    /// How many people there are.
    pub fn count(&self) -> u32 {
        self.people.len() as u32
    }

    /// The credentials of a user.
    pub fn identity(&self, user: UserId) -> &Identity {
        self.people
            .get(user as usize)
            .unwrap_or_else(|| &self.operators[((u32::MAX - user) % OPERATORS) as usize])
    }

    /// What subjects of this run begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_user_has_an_address_of_its_own() {
        let mut seen = std::collections::HashSet::new();
        for n in 0..200_000 {
            let a = address(n);
            assert!(a.parse::<std::net::Ipv4Addr>().is_ok());
            assert!(seen.insert(a));
        }
    }

    #[test]
    fn an_identity_without_a_token_sends_no_authorization() {
        let users = Users::mint(None, "u", 2, false, |_| {}).unwrap();
        assert_eq!(&users.identity(1).h1[..], b"x-forwarded-for: 10.0.0.2\r\n");
        assert!(users.identity(operator(3)).bearer.is_empty());
    }
}
