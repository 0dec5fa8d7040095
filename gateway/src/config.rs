//! Configuration, in two steps: a raw mirror of the file ([`raw`]), then values that were checked ([`checked`]). The
//! rest of the program sees only the second.
//!
//! Later sources win: the TOML file, then the environment, then `--set`, then flags.
//!
//! * Environment: `TIDEGATE_` and the key's path in capitals, its parts joined by two underscores:
//!   `TIDEGATE_SERVER__LISTEN=0.0.0.0:443`, `TIDEGATE_LIMITS__USER__RATE=off`. A `TIDEGATE_` variable without two underscores is
//!   not ours and is left alone (Kubernetes makes such ones for a service called `tidegate`).
//! * `--set`: `--set limits.user.rate=50`.
//!
//! In both, the value is TOML where it parses as TOML of the right type, and a plain string otherwise.
//! An unknown key is an error that names where it stands and the nearest key there is.

pub mod checked;
pub mod raw;

mod nearest;

use std::fmt;
use std::path::{Path, PathBuf};

pub use checked::Config;
use raw::RawConfig;

#[cfg(test)]
mod tests;

/// The default file with every key explained: what `tidegate config default` prints.
pub const DEFAULT_FILE: &str = include_str!("../../configs/tidegate.toml");

/// Prefix of the environment variables that are ours.
const ENVIRONMENT_PREFIX: &str = "TIDEGATE_";

/// What is wrong with the configuration: where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// File and line, variable, flag, or the key.
    pub place: String,
    /// One sentence.
    pub problem: String,
}

impl ConfigError {
    pub(crate) fn new(place: impl Into<String>, problem: impl Into<String>) -> ConfigError {
        ConfigError {
            place: place.into(),
            problem: problem.into(),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

impl std::error::Error for ConfigError {}

/// Where configuration comes from, weakest first.
#[derive(Debug, Default, Clone)]
pub struct Sources {
    /// The file, if one was named.
    pub file: Option<PathBuf>,
    /// Variables; only those with our prefix are looked at.
    pub environment: Vec<(String, String)>,
    /// `section.key=value`, in order.
    pub set: Vec<String>,
    /// What flags say: the key's path and a plain string.
    pub flags: Vec<(&'static str, String)>,
}

impl Sources {
    /// The process's environment and nothing else.
    pub fn from_environment() -> Sources {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX))
            .collect();
        Sources {
            environment,
            ..Sources::default()
        }
    }

    /// Reads, merges and checks.
    ///
    /// # Errors
    /// The first problem: an unreadable file, bad TOML, an unknown key, a value that is not allowed.
    pub fn load(&self) -> Result<Config, ConfigError> {
        let mut table = match &self.file {
            Some(path) => read_file(path)?,
            None => toml::Table::new(),
        };
        for (name, value) in &self.environment {
            if let Some(path) = environment_path(name) {
                merge(&mut table, one_key(name, &path, value)?);
            }
        }
        for setting in &self.set {
            let place = format!("--set {setting}");
            let (path, value) = setting
                .split_once('=')
                .ok_or_else(|| ConfigError::new(&place, "expected section.key=value"))?;
            merge(&mut table, one_key(&place, path.trim(), value)?);
        }
        for (path, value) in &self.flags {
            let quoted = toml::Value::String(value.clone()).to_string();
            merge(&mut table, one_key("command line", path, &quoted)?);
        }
        let raw = table
            .try_into()
            .map_err(|error: toml::de::Error| ConfigError::new("configuration", error.message()))?;
        Config::check(raw)
    }
}

/// The TOML in `path` as a table whose keys and types were checked against [`RawConfig`].
fn read_file(path: &Path) -> Result<toml::Table, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        ConfigError::new(
            path.display().to_string(),
            format!("cannot be read: {error}; `tidegate config default > FILE` makes one"),
        )
    })?;
    parse(&path.display().to_string(), &text)
}

/// Parses TOML `text`; `place` names it in errors.
pub fn parse(place: &str, text: &str) -> Result<toml::Table, ConfigError> {
    toml::from_str::<RawConfig>(text).map_err(|error| explain(place, text, &error))?;
    text.parse()
        .map_err(|error: toml::de::Error| explain(place, text, &error))
}

/// Checks a whole file on its own: what `tidegate check-config` does.
pub fn check_file(path: &Path) -> Result<Config, ConfigError> {
    Sources {
        file: Some(path.to_path_buf()),
        ..Sources::default()
    }
    .load()
}

/// A table with the one key `path` set to `value`, checked as a file would be.
fn one_key(place: &str, path: &str, value: &str) -> Result<toml::Table, ConfigError> {
    let document = |value: &str| match path.rsplit_once('.') {
        Some((section, key)) => format!("[{section}]\n{key} = {value}\n"),
        None => format!("{path} = {value}\n"),
    };
    if path.is_empty()
        || !path
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    {
        return Err(ConfigError::new(
            place,
            "the key is not a path such as limits.user.rate",
        ));
    }
    let as_toml = parse(place, &document(value));
    let as_string = || {
        parse(
            place,
            &document(&toml::Value::String(value.to_string()).to_string()),
        )
    };
    let result = match as_toml {
        Ok(table) => Ok(table),
        // The string's error is the one to show: it is about the value, not about TOML's syntax.
        Err(_) => as_string(),
    };
    result.map_err(|error| ConfigError::new(place, error.problem))
}

/// `TIDEGATE_LIMITS__USER__RATE` → `limits.user.rate`.
fn environment_path(name: &str) -> Option<String> {
    let rest = name.strip_prefix(ENVIRONMENT_PREFIX)?;
    rest.contains("__")
        .then(|| rest.to_ascii_lowercase().replace("__", "."))
}

/// Lays `over` on `under`: tables are merged key by key, everything else is replaced.
fn merge(under: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) => merge(below, above),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

/// A serde error with the line, the section, and the nearest known name.
fn explain(place: &str, text: &str, error: &toml::de::Error) -> ConfigError {
    let mut problem = error.message().trim().replace('\n', "; ");
    let mut place = place.to_string();
    if let Some(span) = error.span() {
        let before = text.get(..span.start).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let section = before
            .lines()
            .chain(text.lines().nth(line - 1))
            .filter_map(section_of)
            .next_back();
        place = format!("{place}:{line}");
        if let Some(section) = section {
            problem = format!("in [{section}]: {problem}");
        }
    }
    if let Some(suggestion) = nearest::suggestion(error.message()) {
        problem = format!("{problem}; did you mean `{suggestion}`?");
    }
    ConfigError { place, problem }
}

/// The name in a `[section]` or `[[section]]` line.
fn section_of(line: &str) -> Option<&str> {
    let inner = line.trim().strip_prefix('[')?;
    let inner = inner.strip_prefix('[').unwrap_or(inner);
    Some(inner.split(']').next()?.trim())
}
