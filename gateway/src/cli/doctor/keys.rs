//! Token keys, and who else can read what must stay secret.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::Check;
use crate::auth::keys::{Algorithm, KeyMaterial, SharedKeys, Sources};
use crate::config::Config;

const NAME: &str = "token keys";

pub(super) fn keys(config: &Config) -> Vec<Check> {
    let mut sources = Sources::of(&config.auth);
    let is_due = config.auth.local_key.as_ref().is_some_and(|path| !path.exists());
    if is_due {
        sources
            .keys
            .retain(|key| !matches!(key.material, KeyMaterial::PrivateFile(_)));
    }
    let mut checks = vec![match SharedKeys::load(sources) {
        Ok(keys) => Check::ok(NAME, found(config, keys.current().len(), is_due)),
        Err(problem) => Check::fail(
            NAME,
            "cannot be used",
            problem,
            "correct the file, or what [auth] says of it; DATA/token.key is made anew by a start once it is gone (its tokens end with it)",
        ),
    }];
    checks.push(secrecy(&secret_files(config)));
    checks
}

fn found(config: &Config, keys: usize, is_due: bool) -> String {
    let mut text = format!("{keys} from files and configuration");
    if is_due {
        text += "; the first start makes token.key";
    }
    if let Some(remote) = &config.auth.jwks {
        text += &format!("; {} is asked once it runs", without_query(&remote.url));
    }
    text
}

/// A query may hold a credential, and a report is shown around.
fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

/// Private keys and shared secrets, where they exist.
fn secret_files(config: &Config) -> Vec<PathBuf> {
    let tokens = config.auth.keys.iter().filter_map(|key| match &key.material {
        KeyMaterial::PrivateFile(path) => Some(path),
        KeyMaterial::File(path) if key.algorithm == Algorithm::Hs256 => Some(path),
        KeyMaterial::File(_) | KeyMaterial::Secret(_) => None,
    });
    let tls = config.tls.certificates.iter().map(|pair| &pair.key);
    let files = tokens.chain(tls).chain(&config.tls.ticket_key_file);
    files.filter(|path| path.exists()).cloned().collect()
}

pub(super) fn secrecy(files: &[PathBuf]) -> Check {
    let name = "secret files";
    let open: Vec<String> = files
        .iter()
        .filter(|path| mode(path) & 0o077 != 0)
        .map(|path| path.display().to_string())
        .collect();
    match open.is_empty() {
        true => Check::ok(
            name,
            format!("{} files, readable by their owner alone", files.len()),
        ),
        false => Check::warn(
            name,
            open.join(", "),
            "others than the owner have rights to what signs tokens or proves who we are",
            format!("chmod 600 {}", open.join(" ")),
        ),
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).map_or(0, |meta| meta.permissions().mode())
}
