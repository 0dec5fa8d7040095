//! One GET over rustls, bounded in time and size. The only file that names the HTTP client.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ureq::Agent;
use ureq::http::Uri;
use ureq::tls::{RootCerts, TlsConfig};

use super::Remote;
use crate::auth::keys::jwks::JWKS_BYTES_MAX;
use crate::roots;

/// The text at the URL.
///
/// # Errors
/// A sentence: what failed, or which answer was no 200.
pub(super) fn get(remote: &Remote, timeout: Duration) -> Result<Vec<u8>, String> {
    let (_, loopback) = is_loopback(&remote.url)?;
    let tls = TlsConfig::builder()
        .root_certs(remote.roots()?)
        // The client would look for a process-wide provider; ours is aws-lc-rs and named.
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .build();
    let mut config = Agent::config_builder()
        .tls_config(tls)
        .timeout_global(Some(timeout))
        .https_only(!loopback)
        // A key document has one address; a redirect would let it name another, in plain text even.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .max_idle_connections(0)
        .user_agent("tidegate");
    if loopback {
        // HTTPS_PROXY and its like are for what is far away.
        config = config.proxy(None);
    }
    let agent: Agent = config.build().into();
    let mut answer = agent
        .get(&remote.url)
        .header("accept", "application/jwk-set+json, application/json")
        .call()
        .map_err(|error| error.to_string())?;
    if answer.status() != 200 {
        return Err(format!("it answered {}, expected 200", answer.status()));
    }
    answer
        .body_mut()
        .with_config()
        .limit(JWKS_BYTES_MAX)
        .read_to_vec()
        .map_err(|error| error.to_string())
}

/// The URL, parsed, and whether its host is a loopback address.
pub(super) fn is_loopback(url: &str) -> Result<(Uri, bool), String> {
    let wrong = || format!("`{url}` is not a URL such as https://idp.example/jwks.json");
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    let authority = uri.authority().ok_or_else(wrong)?;
    if authority.as_str().contains('@') {
        return Err(
            "a URL with a password in it would be shown in logs; the provider's keys are public".into(),
        );
    }
    let host = authority.host();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let loopback = bare.eq_ignore_ascii_case("localhost")
        || bare
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback());
    Ok((uri, loopback))
}

impl Remote {
    /// Who vouches for the server.
    ///
    /// # Errors
    /// The file of the configured roots is missing or holds no certificate.
    pub(in crate::auth) fn roots(&self) -> Result<RootCerts, String> {
        match &self.ca {
            None => Ok(RootCerts::WebPki),
            Some(path) => roots::read(path),
        }
    }
}
