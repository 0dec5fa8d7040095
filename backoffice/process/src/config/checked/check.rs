//! From the raw file to [`Config`]: every value within its bounds, or the key and the reason.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tidegate_kafka::Compression;
use tracing_subscriber::EnvFilter;

use super::{BusKind, Config, Feed, Grpc, Logging, Role, Tls};
use crate::config::ConfigError;
use crate::config::nearest::nearest;
use crate::config::raw::{RawConfig, RawGrpc, RawKafka, RawMysql};
use crate::config::secrets::{Secret, Secrets};

type Checked<T> = Result<T, ConfigError>;

impl Config {
    /// Checks the raw configuration.
    ///
    /// # Errors
    /// The first value that is not allowed, with its key.
    pub fn check(raw: &RawConfig, secrets: Secrets) -> Checked<Config> {
        let shards = within("process.shards", raw.process.shards, 1, 1024)?;
        Ok(Config {
            roles: roles(&raw.process.roles)?,
            shards,
            bus: word(
                "process.bus",
                &raw.process.bus,
                &[("none", BusKind::None), ("kafka", BusKind::Kafka)],
            )?,
            stop: millis("process.stop_ms", raw.process.stop_ms, 100, 600_000)?,
            grpc: grpc(&raw.grpc, secrets.token)?,
            feed: Feed {
                marks: millis("feed.marks_ms", raw.feed.marks_ms, 10, 10_000)?,
                back_off: millis("feed.back_off_ms", raw.feed.back_off_ms, 100, 60_000)?,
            },
            mysql: mysql(&raw.mysql, secrets.mysql.as_ref())?,
            kafka: kafka(&raw.kafka, shards, secrets.kafka.as_ref())?,
            admin: socket("admin.listen", &raw.admin.listen)?,
            logging: Logging {
                filter: filter(&raw.logging.filter)?,
                json: raw.logging.json,
            },
        })
    }
}

fn roles(names: &[String]) -> Checked<BTreeSet<Role>> {
    let roles: BTreeSet<Role> = names
        .iter()
        .map(|name| {
            word(
                "process.roles",
                name.trim(),
                &Role::ALL.map(|role| (role.name(), role)),
            )
        })
        .collect::<Checked<_>>()?;
    if roles.is_empty() {
        return Err(ConfigError::new(
            "process.roles",
            "names no role: give it feed, store, api, jobs or some of them",
        ));
    }
    Ok(roles)
}

fn grpc(raw: &RawGrpc, token: Option<Secret>) -> Checked<Grpc> {
    let listen = socket("grpc.listen", &raw.listen)?;
    let tls = match (raw.cert.as_str(), raw.key.as_str()) {
        ("", "") if !raw.client_ca.is_empty() => {
            return Err(ConfigError::new(
                "grpc.client_ca",
                "asks for certificates, and there is no TLS: set grpc.cert and grpc.key as well",
            ));
        }
        ("", "") => None,
        ("", _) => {
            return Err(ConfigError::new(
                "grpc.cert",
                "is empty, and grpc.key is not: set both",
            ));
        }
        (_, "") => {
            return Err(ConfigError::new(
                "grpc.key",
                "is empty, and grpc.cert is not: set both",
            ));
        }
        (cert, key) => Some(Tls {
            cert: cert.into(),
            key: key.into(),
            client_ca: path(&raw.client_ca),
        }),
    };
    let knows_edges = token.is_some() || tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    if !listen.ip().is_loopback() && !raw.insecure {
        if tls.is_none() {
            return Err(ConfigError::new(
                "grpc.listen",
                format!(
                    "{listen} is not loopback, and there is no TLS: set grpc.cert and grpc.key (or grpc.insecure = true on a network that is private)"
                ),
            ));
        }
        if !knows_edges {
            return Err(ConfigError::new(
                "grpc.listen",
                format!(
                    "{listen} is not loopback, and anybody may dial: set grpc.client_ca or grpc.token_file (or grpc.insecure = true on a network that is private)"
                ),
            ));
        }
    }
    Ok(Grpc {
        listen,
        tls,
        token,
        window_bytes: within("grpc.window_bytes", raw.window_bytes, 65_536, 268_435_456)?,
    })
}

fn mysql(raw: &RawMysql, password: Option<&Secret>) -> Checked<tidegate_mysql::Settings> {
    Ok(tidegate_mysql::Settings {
        url: with_password(&raw.url, password)?,
        ca: path(&raw.ca),
        connect_timeout: millis("mysql.connect_ms", raw.connect_ms, 100, 600_000)?,
        answer_timeout: millis("mysql.answer_ms", raw.answer_ms, 100, 600_000)?,
        batch_timeout: millis("mysql.batch_ms", raw.batch_ms, 100, 600_000)?,
        readers_max: within("mysql.readers", raw.readers, 1, 256)?,
        writers_max: within("mysql.writers", raw.writers, 1, 256)?,
        ..tidegate_mysql::Settings::new(String::new())
    })
}

/// The URL with the password in it. One that stands in the file is refused: files are copied, mailed and committed.
fn with_password(url: &str, password: Option<&Secret>) -> Checked<String> {
    let wrong = |why: &str| {
        ConfigError::new(
            "mysql.url",
            format!("{why}; right is mysql://user@host:3306/database, with ?require_ssl=true for TLS"),
        )
    };
    let rest = url
        .strip_prefix("mysql://")
        .ok_or_else(|| wrong("it does not begin with mysql://"))?;
    let (user, place) = rest.rsplit_once('@').ok_or_else(|| wrong("it names no user"))?;
    if user.contains(':') {
        return Err(wrong(
            "it has a password in it: put that into a file (mysql.password_file) or into BACKOFFICE_MYSQL_PASSWORD",
        ));
    }
    if place.split_once('/').is_none_or(|(host, database)| {
        host.is_empty() || database.split('?').next().is_none_or(str::is_empty)
    }) {
        return Err(wrong("it names no host or no database"));
    }
    Ok(match password {
        None => url.to_owned(),
        Some(password) => format!("mysql://{user}:{}@{place}", percent(password.expose())),
    })
}

/// As it may stand in a URL, whatever it holds.
fn percent(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(byte));
            }
            other => escaped.push_str(&format!("%{other:02X}")),
        }
    }
    escaped
}

fn kafka(raw: &RawKafka, shards: u16, password: Option<&Secret>) -> Checked<tidegate_kafka::Settings> {
    let secret = |name: &str| name.ends_with("password") || name.ends_with(".pem");
    if let Some(name) = raw.more.keys().find(|name| secret(name)) {
        return Err(ConfigError::new(
            "kafka.more",
            format!(
                "{name} is a secret: set kafka.user, and kafka.password_file or BACKOFFICE_KAFKA_PASSWORD"
            ),
        ));
    }
    let mut more: Vec<(String, String)> = raw.more.clone().into_iter().collect();
    if !raw.user.is_empty() {
        more.push(("sasl.username".into(), raw.user.clone()));
        let password = password.ok_or_else(|| {
            ConfigError::new(
                "kafka.user",
                "has no password: set kafka.password_file or BACKOFFICE_KAFKA_PASSWORD",
            )
        })?;
        more.push(("sasl.password".into(), password.expose().to_owned()));
    }
    let settings = tidegate_kafka::Settings {
        brokers: raw.brokers.clone(),
        topic: raw.topic.clone(),
        shards,
        transactional_id: raw.transactional_id.clone(),
        replication: raw.replication,
        min_insync_replicas: raw.min_insync_replicas,
        transaction_timeout: Duration::from_millis(raw.transaction_ms),
        call_timeout: Duration::from_millis(raw.call_ms),
        linger: Duration::from_millis(raw.linger_ms),
        compression: word(
            "kafka.compression",
            &raw.compression,
            &[("none", Compression::None), ("lz4", Compression::Lz4)],
        )?,
        more,
        ..tidegate_kafka::Settings::default()
    };
    settings
        .check()
        .map_err(|fault| ConfigError::new("[kafka]", fault.to_string()))?;
    Ok(settings)
}

fn filter(text: &str) -> Checked<String> {
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(ConfigError::new(
            "logging.filter",
            format!("`{text}` is no filter such as info,tidegate_process=debug: {error}"),
        )),
    }
}

fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| text.into())
}

fn socket(key: &str, text: &str) -> Checked<SocketAddr> {
    text.parse().map_err(|_| {
        ConfigError::new(
            key,
            format!("`{text}` is no address with a port, such as 127.0.0.1:7445 or [::1]:7445"),
        )
    })
}

fn within<T: PartialOrd + Display + Copy>(key: &str, value: T, min: T, max: T) -> Checked<T> {
    match value {
        value if value >= min && value <= max => Ok(value),
        value => Err(ConfigError::new(
            key,
            format!("must be {min} to {max}, and is {value}"),
        )),
    }
}

fn millis(key: &str, value: u64, min: u64, max: u64) -> Checked<Duration> {
    within(key, value, min, max).map(Duration::from_millis)
}

fn word<T: Copy>(key: &str, text: &str, words: &[(&'static str, T)]) -> Checked<T> {
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
        return Ok(*value);
    }
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let hint = nearest(text, known.iter().copied())
        .map_or_else(String::new, |near| format!("; did you mean \"{near}\"?"));
    Err(ConfigError::new(
        key,
        format!("\"{text}\" is none of {}{hint}", known.join(", ")),
    ))
}
