//! Values by key in two levels: this process, Redis, and behind them a loader.

mod entry;
mod near;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fred::types::Value;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use crate::link::{Link, millis};
use crate::metrics::Metrics;
use crate::{CacheError, GetError, Settings};
use entry::{Entry, jittered};
pub(crate) use near::Near;

/// Between two looks at a key that another process loads.
const LOOK_EVERY: Duration = Duration::from_millis(15);
/// Bytes of a key.
const KEY_BYTES_MAX: usize = 256;

/// Reads through two levels. A clone is the same cache.
#[derive(Clone, Debug)]
pub struct Cache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    link: Arc<Link>,
    near: Near,
    loads: Semaphore,
    settings: Settings,
}

/// What Redis says of a key.
enum Far {
    Hit(Entry),
    Load { stamp: String, token: String },
    Wait,
    Unreadable,
    Away,
}

impl Cache {
    /// Checks the settings and begins to connect. Redis need not be there.
    pub async fn open(settings: Settings) -> Result<Cache, CacheError> {
        let link = Arc::new(Link::open(&settings).await?);
        Ok(Cache(Arc::new(Inner {
            link,
            near: Near::new(settings.near_bytes_max),
            loads: Semaphore::new(settings.loads_max),
            settings,
        })))
    }

    /// The value of `key`, or that there is none: remembered, or by `load`, which must read where the entries that are invalidated by were
    /// committed (a replica that lags would bring an old value in).
    ///
    /// `key` is 1 to 256 bytes without control characters. One key is always read as one type. An error is not remembered; all that waited
    /// for the same load get it.
    pub async fn get<V, E, F, L>(&self, key: &str, load: F) -> Result<Option<V>, Arc<GetError<E>>>
    where
        V: Serialize + DeserializeOwned,
        E: Send + Sync + 'static,
        F: FnOnce() -> L,
        L: Future<Output = Result<Option<V>, E>>,
    {
        check_key(key).map_err(|error| Arc::new(GetError::Key(error)))?;
        let near_key = self.0.near.key(key);
        if let Some(entry) = self.0.near.get(&near_key).await {
            self.0.link.metrics.near_hits.add();
            return decode(&entry);
        }
        // Whoever comes while this is under way waits for it. A reader that comes after an invalidation has another key here.
        let load = async {
            let value = load().await.map_err(GetError::Load)?;
            to_json::<V, E>(value)
        };
        let readable = |bytes: &[u8]| serde_json::from_slice::<V>(bytes).is_ok();
        let entry = self
            .0
            .near
            .join(near_key, self.fetch(key, load, readable))
            .await?;
        decode(&entry)
    }

    /// The counters.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.0.link.metrics
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.0.link
    }

    pub(crate) fn near(&self) -> &Near {
        &self.0.near
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    async fn fetch<E>(
        &self,
        key: &str,
        load: impl Future<Output = Result<Option<Bytes>, GetError<E>>>,
        readable: impl Fn(&[u8]) -> bool,
    ) -> Result<Entry, GetError<E>> {
        let (settings, metrics) = (&self.0.settings, &self.0.link.metrics);
        let patience = Instant::now() + settings.wait_max;
        let mut unreadable = false;
        loop {
            match self.look(key, &readable).await {
                Far::Hit(entry) => {
                    metrics.far_hits.add();
                    return Ok(entry);
                }
                Far::Load { stamp, token } => return self.load_and_store(key, load, stamp, token).await,
                Far::Wait if Instant::now() < patience => sleep(jittered(LOOK_EVERY)).await,
                Far::Wait => {
                    metrics.impatient.add();
                    return self.load(load).await;
                }
                Far::Unreadable if !unreadable => {
                    metrics.unreadable.add();
                    unreadable = true;
                    _ = self.0.link.delete(self.value_key(key)).await;
                }
                Far::Unreadable | Far::Away => {
                    metrics.fallbacks.add();
                    return self.load(load).await;
                }
            }
        }
    }

    /// Reads what is there, or takes the lock of the load, in one step of Redis.
    async fn look(&self, key: &str, readable: impl Fn(&[u8]) -> bool) -> Far {
        let (link, settings) = (&self.0.link, &self.0.settings);
        let token = link.token();
        // A load that ran out of time has ended before its lock does.
        let lock_life = settings.load_timeout + settings.answer_timeout * 2;
        let args = vec![Value::from(token.as_str()), millis(lock_life).into()];
        let answer: Result<(String, String, Bytes), CacheError> =
            link.run(&link.scripts.read, self.keys(key), args).await;
        let Ok((state, stamp, value)) = answer else {
            return Far::Away;
        };
        match state.as_str() {
            "load" => Far::Load { stamp, token },
            "wait" => Far::Wait,
            "hit" => match Entry::decode(key, &value, settings) {
                Some(entry) if entry.value.as_deref().is_none_or(&readable) => Far::Hit(entry),
                _ => Far::Unreadable,
            },
            _ => Far::Away,
        }
    }

    async fn load_and_store<E>(
        &self,
        key: &str,
        load: impl Future<Output = Result<Option<Bytes>, GetError<E>>>,
        stamp: String,
        token: String,
    ) -> Result<Entry, GetError<E>> {
        let link = &self.0.link;
        let entry = match self.load(load).await {
            Ok(entry) => entry,
            Err(error) => {
                // Whoever waits need not wait for the lock's end.
                let lock = vec![self.lock_key(key)];
                _ = link
                    .run::<i64>(&link.scripts.unlock, lock, vec![token.into()])
                    .await;
                return Err(error);
            }
        };
        let life = match entry.value {
            Some(_) => self.0.settings.life,
            None => self.0.settings.absence_life,
        };
        let args = vec![
            Value::from(token),
            stamp.into(),
            entry.encode(key).into(),
            millis(jittered(life)).into(),
        ];
        let stored = link.run::<i64>(&link.scripts.store, self.keys(key), args).await;
        if let Ok(0) = stored {
            link.metrics.overtaken.add();
        }
        Ok(entry)
    }

    /// Asks the loader, within the bounds of time and number.
    async fn load<E>(
        &self,
        load: impl Future<Output = Result<Option<Bytes>, GetError<E>>>,
    ) -> Result<Entry, GetError<E>> {
        let mut admitted = false;
        let loaded = timeout(self.0.settings.load_timeout, async {
            let Ok(_permit) = self.0.loads.acquire().await else {
                return Err(GetError::Busy);
            };
            admitted = true;
            self.0.link.metrics.loads.add();
            load.await
        })
        .await;
        let value = match loaded {
            Ok(loaded) => loaded?,
            Err(_) if admitted => return Err(GetError::TimedOut),
            Err(_) => return Err(GetError::Busy),
        };
        if value.is_none() {
            self.0.link.metrics.absences.add();
        }
        Ok(Entry::new(value, &self.0.settings))
    }

    fn keys(&self, key: &str) -> Vec<String> {
        let marks = self
            .0
            .settings
            .invalidators
            .iter()
            .map(|name| self.mark_key(name));
        [self.value_key(key), self.lock_key(key)]
            .into_iter()
            .chain(marks)
            .collect()
    }

    pub(crate) fn value_key(&self, key: &str) -> String {
        format!("{}:value:{key}", self.0.settings.prefix)
    }

    pub(crate) fn lock_key(&self, key: &str) -> String {
        format!("{}:lock:{key}", self.0.settings.prefix)
    }

    pub(crate) fn floor_key(&self, key: &str) -> String {
        format!("{}:floor:{key}", self.0.settings.prefix)
    }

    pub(crate) fn mark_key(&self, invalidator: &str) -> String {
        format!("{}:mark:{invalidator}", self.0.settings.prefix)
    }
}

pub(crate) fn check_key(key: &str) -> Result<(), CacheError> {
    if (1..=KEY_BYTES_MAX).contains(&key.len()) && !key.chars().any(char::is_control) {
        return Ok(());
    }
    Err(CacheError::Argument(format!(
        "the key {:?} cannot be used: right is 1 to {KEY_BYTES_MAX} bytes without control characters",
        key.chars().take(40).collect::<String>()
    )))
}

fn to_json<V: Serialize, E>(value: Option<V>) -> Result<Option<Bytes>, GetError<E>> {
    let json = value.map(|value| serde_json::to_vec(&value)).transpose();
    json.map(|json| json.map(Bytes::from))
        .map_err(|error| GetError::Shape(error.to_string()))
}

fn decode<V: DeserializeOwned, E>(entry: &Entry) -> Result<Option<V>, Arc<GetError<E>>> {
    let value = entry.value.as_deref().map(serde_json::from_slice).transpose();
    value.map_err(|error| Arc::new(GetError::Shape(error.to_string())))
}
