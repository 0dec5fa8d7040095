//! What must not stand in the configuration file: each secret comes from a file of its own or from a variable.

use std::fmt;
use std::path::Path;

use super::ConfigError;
use super::raw::RawConfig;

/// The shortest token that is taken: who guesses may try for long.
const TOKEN_MIN: usize = 16;

/// A secret; printing it prints nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// What it is.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Secret {
        Secret(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Secrets {
    /// What an edge must send.
    pub token: Option<Secret>,
    /// MySQL's password.
    pub mysql: Option<Secret>,
    /// Kafka's password.
    pub kafka: Option<Secret>,
}

impl Secrets {
    /// Reads them from where the configuration says.
    ///
    /// # Errors
    /// A file that cannot be read or is empty; a token that is too short.
    pub fn read(raw: &RawConfig, environment: &[(String, String)]) -> Result<Secrets, ConfigError> {
        let variable = |name: &str| {
            let found = environment.iter().find(|(key, _)| key == name);
            found
                .map(|(_, value)| Secret::from(value.as_str()))
                .filter(|secret| !secret.0.is_empty())
        };
        let secret = |key: &str, file: &str, name: &str| match file {
            "" => Ok(variable(name)),
            file => of_file(key, Path::new(file)).map(Some),
        };
        let token = secret("grpc.token_file", &raw.grpc.token_file, "BACKOFFICE_GRPC_TOKEN")?;
        if let Some(token) = &token
            && (token.0.len() < TOKEN_MIN || !token.0.bytes().all(|b| b.is_ascii_graphic()))
        {
            return Err(ConfigError::new(
                "grpc.token_file (or BACKOFFICE_GRPC_TOKEN)",
                format!(
                    "the token must be at least {TOKEN_MIN} visible ASCII characters: openssl rand -hex 32"
                ),
            ));
        }
        Ok(Secrets {
            token,
            mysql: secret(
                "mysql.password_file",
                &raw.mysql.password_file,
                "BACKOFFICE_MYSQL_PASSWORD",
            )?,
            kafka: secret(
                "kafka.password_file",
                &raw.kafka.password_file,
                "BACKOFFICE_KAFKA_PASSWORD",
            )?,
        })
    }
}

/// The file's text without the line's end.
fn of_file(key: &str, file: &Path) -> Result<Secret, ConfigError> {
    let wrong = |why: String| ConfigError::new(key, format!("{}: {why}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(wrong("is empty: it must hold the secret and nothing else".into())),
        secret => Ok(Secret::from(secret)),
    }
}
