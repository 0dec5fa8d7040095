//! `[backoffice]`.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Checked, ConfigError, is_loopback};
use crate::config::checked::{BackofficeMode, CertificateFiles, RemoteBackoffice};
use crate::config::raw::RawBackoffice;

pub(super) fn mode(raw: &RawBackoffice) -> Checked<BackofficeMode> {
    let key = "backoffice.mode";
    match &*raw.mode {
        "none" => Ok(BackofficeMode::None),
        "embedded" if cfg!(feature = "embedded") => Ok(BackofficeMode::Embedded),
        "embedded" => Err(ConfigError::new(
            key,
            "this binary was built without the feature `embedded`; use \"none\", or a binary that has it",
        )),
        "remote" if cfg!(feature = "remote") => Ok(BackofficeMode::Remote),
        "remote" => Err(ConfigError::new(
            key,
            "this binary was built without the feature `remote`; use a binary that has it",
        )),
        word => Err(ConfigError::new(
            key,
            format!("`{word}` is neither \"embedded\", \"remote\" nor \"none\""),
        )),
    }
}

/// How a backoffice in another process is reached; none in the other modes.
pub(super) fn remote(raw: &RawBackoffice) -> Checked<Option<RemoteBackoffice>> {
    if raw.mode != "remote" {
        return Ok(None);
    }
    let file = |text: &str| (!text.is_empty()).then(|| PathBuf::from(text));
    let identity = match (file(&raw.cert), file(&raw.key)) {
        (Some(cert), Some(key)) => Some(CertificateFiles { cert, key }),
        (None, None) => None,
        _ => return Err(ConfigError::new("backoffice.cert", "needs both cert and key")),
    };
    let ca = file(&raw.ca);
    check_address(&raw.address, ca.is_some(), identity.is_some())?;
    let start_wait = match raw.start_wait_ms {
        ms @ 0..=600_000 => Duration::from_millis(ms),
        ms => {
            return Err(ConfigError::new(
                "backoffice.start_wait_ms",
                format!("must be 0 to 600000, not {ms}"),
            ));
        }
    };
    Ok(Some(RemoteBackoffice {
        address: raw.address.clone(),
        ca,
        identity,
        token_file: file(&raw.token_file),
        start_wait,
    }))
}

fn check_address(address: &str, ca: bool, identity: bool) -> Checked<()> {
    let wrong = |problem: String| Err(ConfigError::new("backoffice.address", problem));
    let uri: http::Uri = match address.parse() {
        Ok(uri) => uri,
        Err(error) => return wrong(format!("`{address}`: {error}; write https://host:port")),
    };
    let Some(host) = uri.host().filter(|_| uri.port().is_some()) else {
        return wrong(format!(
            "`{address}` names no host or no port; write https://host:port"
        ));
    };
    match uri.scheme_str() {
        Some("https") if ca => Ok(()),
        Some("https") => wrong(format!(
            "`{address}`: name the authority of its certificate with backoffice.ca"
        )),
        // Orders and who placed them are on this wire, and what confirms them.
        Some("http") if !is_local(host) => wrong(format!(
            "`{address}` is not on this machine, and http is not encrypted: write https:// and set backoffice.ca"
        )),
        Some("http") if ca || identity => wrong(format!("`{address}`: ca, cert and key are for https")),
        Some("http") => Ok(()),
        _ => wrong(format!(
            "`{address}` begins neither with https:// nor with http://"
        )),
    }
}

fn is_local(host: &str) -> bool {
    let address: Result<IpAddr, _> = host.trim_matches(['[', ']']).parse();
    host == "localhost" || address.is_ok_and(is_loopback)
}

/// The store's file; a relative path is one under the data directory, so that a copy of the directory finds it.
pub(super) fn store(raw: &RawBackoffice, data: &Path) -> Checked<PathBuf> {
    let key = "backoffice.store";
    let text = &raw.store;
    if text.is_empty() {
        return Err(ConfigError::new(
            key,
            "must name a file; \"store.db\" is the one in the data directory",
        ));
    }
    let path = Path::new(text);
    if text.ends_with('/') || text.ends_with("/.") || path.file_name().is_none() {
        return Err(ConfigError::new(
            key,
            format!(
                "`{text}` names a folder; name a file in it, as {}",
                path.join("store.db").display()
            ),
        ));
    }
    Ok(data.join(path))
}
