//! Where Redis is, how long it is waited for, and how long what it holds lives.

use std::fmt;
use std::time::Duration;

use fred::types::config::Config;

use crate::CacheError;

/// Names of invalidators and prefixes become parts of keys.
const NAME_BYTES_MAX: usize = 64;

/// How the cache reaches Redis, and its bounds.
#[derive(Clone)]
pub struct Settings {
    /// `redis://user:password@host:port/database`; `rediss://` for TLS, held against the system's roots. One server, or what stands for one:
    /// scripts here touch several keys at once, which a Redis Cluster would refuse.
    pub url: String,
    /// What every key begins with. Programs that store other shapes under the same names need prefixes of their own.
    pub prefix: String,
    /// Who invalidates: the names of all [`Invalidator`](crate::Invalidator)s. While one of them is silent nothing of Redis is served.
    /// Without any, lifetimes are all that bounds how old a value may be.
    pub invalidators: Vec<String>,
    /// One question to Redis. A read that missed it goes to the loader.
    pub answer_timeout: Duration,
    /// One load. What takes longer is an error, and is not stored.
    pub load_timeout: Duration,
    /// How long a load of another process is waited for, before this one loads as well.
    pub wait_max: Duration,
    /// Loads at the same time, of all keys of this process.
    pub loads_max: usize,
    /// The life of a value in Redis. Each gets between 75 % and 100 % of it at random, so that what was written together does not end together.
    pub life: Duration,
    /// The life of a remembered absence, at random as well.
    pub absence_life: Duration,
    /// The life of both in this process: so long may an old value be served here after another process invalidated it.
    pub near_life: Duration,
    /// Bytes of values and keys in this process.
    pub near_bytes_max: u64,
    /// After so long without a word of an invalidator nothing that was stored before is served any more.
    pub mark_life: Duration,
    /// Failures in a row after which Redis is left alone.
    pub breaker_failures: u32,
    /// For so long; then one question tries it.
    pub breaker_open: Duration,
}

impl Settings {
    /// The defaults: prefix `tidegate`, one invalidator `store`, 100 ms an answer, 2 s a load, 300 ms of waiting, 64 loads, 10 min a value, 5 s
    /// an absence, 500 ms and 64 MiB in this process, marks of 3 s, a breaker of 5 failures and 500 ms.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Settings {
        Settings {
            url: url.into(),
            prefix: "tidegate".to_owned(),
            invalidators: vec!["store".to_owned()],
            answer_timeout: Duration::from_millis(100),
            load_timeout: Duration::from_secs(2),
            wait_max: Duration::from_millis(300),
            loads_max: 64,
            life: Duration::from_secs(600),
            absence_life: Duration::from_secs(5),
            near_life: Duration::from_millis(500),
            near_bytes_max: 64 << 20,
            mark_life: Duration::from_secs(3),
            breaker_failures: 5,
            breaker_open: Duration::from_millis(500),
        }
    }

    /// Everything that can be wrong without asking Redis.
    pub(crate) fn check(&self) -> Result<Config, CacheError> {
        name("prefix", &self.prefix)?;
        for invalidator in &self.invalidators {
            name("invalidators", invalidator)?;
        }
        let ms = Duration::from_millis;
        within("answer_timeout", self.answer_timeout, ms(1), ms(10_000))?;
        within("load_timeout", self.load_timeout, ms(1), ms(60_000))?;
        within("wait_max", self.wait_max, Duration::ZERO, ms(10_000))?;
        within("life", self.life, ms(10), ms(86_400_000))?;
        within("absence_life", self.absence_life, ms(10), self.life)?;
        within("near_life", self.near_life, ms(1), self.life)?;
        within("mark_life", self.mark_life, ms(100), ms(60_000))?;
        within("breaker_open", self.breaker_open, ms(1), ms(60_000))?;
        if !(1..=65_536).contains(&self.loads_max) {
            return Err(wrong("loads_max", self.loads_max, "1 to 65536"));
        }
        if self.near_bytes_max < 1 << 16 {
            return Err(wrong("near_bytes_max", self.near_bytes_max, "at least 65536"));
        }
        if self.breaker_failures == 0 {
            return Err(wrong("breaker_failures", 0, "at least 1"));
        }
        let config = Config::from_url(&self.url).map_err(|error| self.bad_url(error.details()))?;
        if config.server.is_centralized() {
            Ok(config)
        } else {
            Err(self.bad_url("it names a cluster"))
        }
    }

    fn bad_url(&self, why: &str) -> CacheError {
        CacheError::Settings(format!(
            "the cache's URL cannot be used: {why}; right is redis://user:password@host:6379/0, or rediss:// for TLS"
        ))
    }
}

fn name(what: &str, given: &str) -> Result<(), CacheError> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if (1..=NAME_BYTES_MAX).contains(&given.len()) && given.bytes().all(letter) {
        return Ok(());
    }
    let right = "1 to 64 letters, digits, '-', '_' or '.'";
    Err(wrong(what, format_args!("{given:?}"), right))
}

fn within(what: &str, given: Duration, least: Duration, most: Duration) -> Result<(), CacheError> {
    if (least..=most).contains(&given) {
        return Ok(());
    }
    Err(wrong(
        what,
        format_args!("{given:?}"),
        format_args!("{least:?} to {most:?}"),
    ))
}

fn wrong(what: &str, given: impl fmt::Display, right: impl fmt::Display) -> CacheError {
    CacheError::Settings(format!("the cache's {what} is {given}; right is {right}"))
}

impl fmt::Debug for Settings {
    /// Without the URL, which holds a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("prefix", &self.prefix)
            .field("invalidators", &self.invalidators)
            .field("life", &self.life)
            .field("near_life", &self.near_life)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_sound_and_every_wrong_setting_is_named() {
        assert!(Settings::new("redis://127.0.0.1:6379").check().is_ok());
        let tls = Settings::new("rediss://127.0.0.1:6379").check().expect("TLS");
        assert!(tls.tls.is_some());
        type Spoil = fn(&mut Settings);
        let wrong: [(&str, Spoil); 7] = [
            ("prefix", |s| s.prefix = "a b".into()),
            ("invalidators", |s| s.invalidators.push(String::new())),
            ("answer_timeout", |s| s.answer_timeout = Duration::ZERO),
            ("absence_life", |s| s.absence_life = s.life * 2),
            ("loads_max", |s| s.loads_max = 0),
            ("near_bytes_max", |s| s.near_bytes_max = 1),
            ("breaker_failures", |s| s.breaker_failures = 0),
        ];
        for (name, spoil) in wrong {
            let mut settings = Settings::new("redis://127.0.0.1:6379");
            spoil(&mut settings);
            let line = settings.check().unwrap_err().to_string();
            assert!(line.contains(name) && line.contains("right is"), "{line}");
        }
    }

    #[test]
    fn a_url_that_cannot_be_used_says_what_would_be_right_and_no_password_is_printed() {
        for url in ["mysql://u:secret@h/d", "secret", "redis-cluster://u:secret@h:1"] {
            let settings = Settings::new(url);
            let line = settings.check().unwrap_err().to_string();
            assert!(line.contains("redis://user:password@host:6379/0"), "{line}");
            assert!(
                !line.contains("secret") && !format!("{settings:?}").contains("secret"),
                "{line}"
            );
        }
    }
}
