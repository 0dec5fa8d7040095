//! The configuration for a bundle, and the secrets that must not be in it.

use std::path::PathBuf;

use serde_json::Value;

use crate::auth::keys::KeyMaterial;
use crate::cli::RunArgs;
use crate::config::{Config, Sources};

use super::scrub::HIDDEN;

/// Parts of a key's name that say that its value is one nobody else may have.
const SECRET_NAMES: [&str; 5] = ["secret", "password", "passwd", "credential", "api_key"];
/// Further ones whose text values are hidden in the configuration in force; in a file's text they stand in too many harmless lines.
const PRIVATE_NAMES: [&str; 2] = ["token", "private"];
/// A secret file's lines shorter than this are no secret, and hiding them would make the bundle unreadable.
const LINE_BYTES_MIN: usize = 16;

fn names(text: &str, parts: &[&str]) -> bool {
    let text = text.to_ascii_lowercase();
    parts.iter().any(|part| text.contains(part))
}

/// The configuration in force of a process that does not run.
pub(super) fn effective(config: &Config) -> String {
    serde_json::to_string_pretty(&config.effective).unwrap_or_default()
}

/// The JSON with the values of secret keys hidden, wherever they stand.
pub(super) fn without_secrets(json: &[u8]) -> Result<String, String> {
    let mut value: Value = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    hide(&mut value);
    serde_json::to_string_pretty(&value).map_err(|error| error.to_string())
}

fn hide(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(text)
                        if !text.is_empty()
                            && (names(name, &SECRET_NAMES) || names(name, &PRIVATE_NAMES)) =>
                    {
                        *text = HIDDEN.to_owned()
                    }
                    Value::Number(_) | Value::Bool(_) | Value::Null => {}
                    value => hide(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide),
        _ => {}
    }
}

/// Every secret that can be known: in case an error repeats what it was about. The configuration may be one that does not load, so
/// its text is looked through as well.
pub(super) fn secrets(args: &RunArgs, config: Option<&Config>) -> Vec<String> {
    let mut secrets = Vec::new();
    let file = args
        .config
        .as_ref()
        .and_then(|file| std::fs::read_to_string(file).ok());
    let environment = Sources::from_environment()
        .environment
        .into_iter()
        .map(|(name, value)| format!("{name}={value:?}"));
    let set = args.set.iter().map(|pair| match pair.split_once('=') {
        Some((name, value)) => format!("{name}={value:?}"),
        None => pair.clone(),
    });
    for line in file
        .iter()
        .flat_map(|text| text.lines())
        .map(str::to_owned)
        .chain(environment)
        .chain(set)
    {
        if names(&line, &SECRET_NAMES) && !line.trim_start().starts_with('#') {
            secrets.extend(quoted_after_secret(&line));
        }
    }
    if let Some(config) = config {
        for path in secret_files(config) {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            secrets.extend(
                text.lines()
                    .map(str::trim)
                    .filter(|line| line.len() >= LINE_BYTES_MIN)
                    .map(str::to_owned),
            );
        }
        secrets.extend(config.auth.keys.iter().filter_map(|key| match &key.material {
            KeyMaterial::Secret(bytes) => String::from_utf8(bytes.to_vec()).ok(),
            _ => None,
        }));
    }
    secrets
}

/// `keys = [{ kid = "a", secret = "b" }]` → `b`.
fn quoted_after_secret(line: &str) -> Vec<String> {
    let lower = line.to_ascii_lowercase();
    let ends = SECRET_NAMES
        .iter()
        .flat_map(|name| lower.match_indices(name).map(|(at, name)| at + name.len()));
    let values = ends.filter_map(|end| {
        let rest = line.get(end..)?;
        let quote = rest.find(['"', '\''])?;
        let mark = rest[quote..].chars().next()?;
        let value = rest[quote..].trim_start_matches(mark).split(mark).next()?;
        // `--set auth.keys=[…]` was quoted as a whole, and its own quotes are escaped.
        Some(value.trim_end_matches('\\').to_owned())
    });
    values.filter(|value| !value.is_empty()).collect()
}

fn secret_files(config: &Config) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = config
        .tls
        .certificates
        .iter()
        .map(|pair| pair.key.clone())
        .collect();
    files.extend(config.tls.ticket_key_file.clone());
    files.extend(config.auth.keys.iter().filter_map(|key| match &key.material {
        KeyMaterial::File(path) | KeyMaterial::PrivateFile(path) => Some(path.clone()),
        KeyMaterial::Secret(_) => None,
    }));
    files
}
