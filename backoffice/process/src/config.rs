//! Configuration, in two steps: a raw mirror of the file ([`raw`]), then values that were checked ([`checked`]). The rest of the program
//! sees only the second.
//!
//! Later sources win: the TOML file, then the environment (`BACKOFFICE_GRPC__LISTEN=...`), then `--set grpc.listen=...`, then flags. In the
//! environment and in `--set` the value is TOML where it parses as TOML of the right type, and a plain string otherwise. Secrets come from
//! files of their own or from variables ([`secrets`]), never from the file.

pub mod checked;
pub mod raw;
pub mod secrets;

mod nearest;

use std::fmt;
use std::path::{Path, PathBuf};

pub use checked::{BusKind, Config, Role};
use raw::RawConfig;
use secrets::Secrets;

#[cfg(test)]
mod tests;

/// The default file with every key explained.
pub const DEFAULT_FILE: &str = include_str!("../../../configs/backoffice.toml");

/// Prefix of the environment variables that are ours.
const ENVIRONMENT_PREFIX: &str = "BACKOFFICE_";

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
    /// Variables with our prefix.
    pub environment: Vec<(String, String)>,
    /// `section.key=value`, in order.
    pub set: Vec<String>,
    /// What `--roles` says.
    pub roles: Option<Vec<String>>,
}

impl Sources {
    /// The process's environment and nothing else.
    #[must_use]
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
    /// The first problem: an unreadable file, bad TOML, an unknown key, a value that is not allowed, a secret that cannot be read.
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
        let mut raw: RawConfig = table
            .try_into()
            .map_err(|error: toml::de::Error| ConfigError::new("configuration", error.message()))?;
        if let Some(roles) = &self.roles {
            raw.process.roles.clone_from(roles);
        }
        let secrets = Secrets::read(&raw, &self.environment)?;
        Config::check(&raw, secrets)
    }
}

/// The TOML in `path` as a table whose keys and types were checked against [`RawConfig`].
fn read_file(path: &Path) -> Result<toml::Table, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        ConfigError::new(
            path.display().to_string(),
            format!("cannot be read: {error}; `tidegate-backoffice config > FILE` makes one"),
        )
    })?;
    parse(&path.display().to_string(), &text)
}

/// Parses TOML `text`; `place` names it in errors.
fn parse(place: &str, text: &str) -> Result<toml::Table, ConfigError> {
    toml::from_str::<RawConfig>(text).map_err(|error| explain(place, text, &error))?;
    text.parse()
        .map_err(|error: toml::de::Error| explain(place, text, &error))
}

/// A table with the one key `path` set to `value`, checked as a file would be.
fn one_key(place: &str, path: &str, value: &str) -> Result<toml::Table, ConfigError> {
    let Some((section, key)) = path.split_once('.').filter(|_| {
        path.chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    }) else {
        return Err(ConfigError::new(
            place,
            "the key is not a path such as grpc.listen",
        ));
    };
    let document = |value: &str| format!("[{section}]\n{key} = {value}\n");
    let quoted = toml::Value::String(value.to_owned()).to_string();
    // The string's error is the one to show: it is about the value, not about TOML's syntax.
    parse(place, &document(value))
        .or_else(|_| parse(place, &document(&quoted)))
        .map_err(|error| ConfigError::new(place, error.problem))
}

/// `BACKOFFICE_GRPC__LISTEN` → `grpc.listen`. Without two underscores it is a secret's, or somebody else's.
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

/// The name in a `[section]` line.
fn section_of(line: &str) -> Option<&str> {
    Some(line.trim().strip_prefix('[')?.split(']').next()?.trim())
}
