//! The way to Redis: one connection that comes back by itself, a deadline a question, and the breaker.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fred::clients::Client;
use fred::interfaces::{ClientLike, EventInterface, KeysInterface};
use fred::types::config::{ReconnectPolicy, UnresponsiveConfig};
use fred::types::scripts::Script;
use fred::types::{Builder, FromValue, Value};

use crate::breaker::Breaker;
use crate::metrics::{Counter, Metrics};
use crate::{CacheError, Settings};

/// A server that has been silent for so long is left for a new connection.
const SILENCE: Duration = Duration::from_secs(2);
/// Questions on their way at most; more are refused at once.
const QUESTIONS_MAX: usize = 16_384;

#[derive(Debug)]
pub(crate) struct Link {
    client: Client,
    breaker: Breaker,
    answer_timeout: Duration,
    begun: Instant,
    tokens: AtomicU64,
    connections: Arc<AtomicU64>,
    place: u64,
    pub scripts: Scripts,
    pub metrics: Metrics,
}

/// What is asked of Redis: each is atomic there.
#[derive(Debug)]
pub(crate) struct Scripts {
    pub read: Script,
    pub store: Script,
    pub unlock: Script,
    pub invalidate: Script,
    pub beat: Script,
    pub stock: Script,
    pub lease: Script,
}

impl Scripts {
    fn new() -> Scripts {
        Scripts {
            read: Script::from_lua(include_str!("lua/read.lua")),
            store: Script::from_lua(include_str!("lua/store.lua")),
            unlock: Script::from_lua(include_str!("lua/unlock.lua")),
            invalidate: Script::from_lua(include_str!("lua/invalidate.lua")),
            beat: Script::from_lua(include_str!("lua/beat.lua")),
            stock: Script::from_lua(include_str!("lua/stock.lua")),
            lease: Script::from_lua(include_str!("lua/lease.lua")),
        }
    }
}

impl Link {
    /// Begins to connect, and waits at most five answers long: a start without Redis is a start.
    pub async fn open(settings: &Settings) -> Result<Link, CacheError> {
        let config = settings.check()?;
        let place = getrandom::u64().map_err(|error| CacheError::Random(error.to_string()))?;
        let mut builder = Builder::from_config(fred::types::config::Config {
            fail_fast: false,
            ..config
        });
        builder.with_connection_config(|connection| {
            connection.connection_timeout = SILENCE;
            connection.internal_command_timeout = SILENCE;
            connection.unresponsive = UnresponsiveConfig {
                max_timeout: Some(SILENCE),
                interval: SILENCE / 4,
            };
            // What was not answered is not known to be undone, and is decided by who asked.
            connection.max_command_attempts = 1;
            connection.max_command_buffer_len = QUESTIONS_MAX;
        });
        // For ever, at 50 ms first and at most every second.
        builder.set_policy(ReconnectPolicy::new_exponential(0, 50, 1000, 2));
        let client = builder.build().map_err(redis)?;
        let connections = Arc::new(AtomicU64::new(0));
        let counted = connections.clone();
        // Both tasks end with the client.
        drop(client.on_reconnect(move |_| {
            counted.fetch_add(1, Ordering::AcqRel);
            async { Ok(()) }
        }));
        drop(client.connect());
        _ = tokio::time::timeout(settings.answer_timeout * 5, client.wait_for_connect()).await;
        Ok(Link {
            client,
            breaker: Breaker::new(settings.breaker_failures, settings.breaker_open),
            answer_timeout: settings.answer_timeout,
            begun: Instant::now(),
            tokens: AtomicU64::new(0),
            connections,
            place,
            scripts: Scripts::new(),
            metrics: Metrics::default(),
        })
    }

    /// A word that nobody else has: 64 random bits a process's link, and a number.
    pub fn token(&self) -> String {
        format!(
            "{:016x}-{:x}",
            self.place,
            self.tokens.fetch_add(1, Ordering::Relaxed)
        )
    }

    /// Runs a script within the deadline.
    pub async fn run<T: FromValue>(
        &self,
        script: &Script,
        keys: Vec<String>,
        args: Vec<Value>,
    ) -> Result<T, CacheError> {
        self.ask(script.evalsha_with_reload(&self.client, keys, args))
            .await
    }

    /// Which connection this is, the first or a later one.
    pub fn connection(&self) -> u64 {
        self.connections.load(Ordering::Acquire)
    }

    pub async fn delete(&self, key: String) -> Result<(), CacheError> {
        self.ask(self.client.del(key)).await
    }

    pub async fn get(&self, key: String) -> Result<Option<String>, CacheError> {
        self.ask(self.client.get(key)).await
    }

    pub async fn set(&self, key: String, value: String, life: Duration) -> Result<(), CacheError> {
        let life = fred::types::Expiration::PX(millis(life));
        self.ask(self.client.set(key, value, Some(life), None, false))
            .await
    }

    async fn ask<T>(
        &self,
        question: impl Future<Output = Result<T, fred::error::Error>>,
    ) -> Result<T, CacheError> {
        if !self.breaker.admits(self.now_ms()) {
            return Err(CacheError::Redis(
                "it has not answered lately, and is left alone".to_owned(),
            ));
        }
        // The driver would keep the question until there is a connection.
        let answer = if self.client.is_connected() {
            match tokio::time::timeout(self.answer_timeout, question).await {
                Ok(answer) => answer.map_err(redis),
                Err(_) => Err(CacheError::Redis(format!(
                    "no answer within {:?}",
                    self.answer_timeout
                ))),
            }
        } else {
            Err(CacheError::Redis("there is no connection to it".to_owned()))
        };
        match &answer {
            Ok(_) => self.breaker.answered(),
            Err(_) => {
                Counter::add(&self.metrics.redis_failures);
                self.breaker.failed(self.now_ms());
            }
        }
        answer
    }

    fn now_ms(&self) -> u64 {
        self.begun.elapsed().as_millis() as u64
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let client = self.client.clone();
        // Its tasks would go on connecting for ever.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { client.quit().await });
        }
    }
}

fn redis(error: fred::error::Error) -> CacheError {
    CacheError::Redis(error.to_string())
}

/// For Redis.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).max(1)
}
