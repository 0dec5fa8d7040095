//! Makes values void when what they were read from changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fred::types::Value;
use tokio::sync::{RwLock, RwLockReadGuard};

use crate::cache::check_key;
use crate::link::millis;
use crate::{Cache, CacheError};

/// A consumer of committed entries, as the cache sees it. One process at a time has a name.
#[derive(Debug)]
pub struct Invalidator {
    cache: Cache,
    key: String,
    mark: RwLock<Mark>,
    /// Something was not invalidated, or may not have been.
    broken: AtomicBool,
}

#[derive(Debug)]
struct Mark {
    word: Arc<str>,
    /// The connection by which it was set: behind another may be another server, which lost what the first one took.
    connection: u64,
}

/// Until it is kept, what was asked for is not known to be done: an error, and a future that was dropped.
struct Unknown<'a>(Option<&'a AtomicBool>);

impl Drop for Unknown<'_> {
    fn drop(&mut self) {
        if let Some(broken) = self.0 {
            broken.store(true, Ordering::Release);
        }
    }
}

impl Cache {
    /// The invalidator `name`, one of `settings.invalidators`. Nothing that was stored before it came is served after its first beat.
    pub fn invalidator(&self, name: &str) -> Result<Invalidator, CacheError> {
        if !self.settings().invalidators.iter().any(|known| known == name) {
            return Err(CacheError::Argument(format!(
                "there is no invalidator {name:?}; the settings name {:?}",
                self.settings().invalidators
            )));
        }
        Ok(Invalidator {
            key: self.mark_key(name),
            cache: self.clone(),
            mark: RwLock::new(Mark {
                word: "".into(),
                connection: 0,
            }),
            broken: AtomicBool::new(true),
        })
    }
}

impl Invalidator {
    /// Call it once the entry `op` (of the shard that `key` belongs to) is committed where the loader reads. After `Ok` no process reads an
    /// older value from Redis, and none that is being loaded now is stored; this process has it in no level. Other processes may answer
    /// from their own level for `near_life` more. A repeat, and an op older than one that was seen, costs one question and changes nothing.
    ///
    /// After an error it may be called again or not: the next word of this invalidator makes all of Redis's values void, and until it comes
    /// they are served for `mark_life` at most.
    pub async fn invalidate(&self, key: &str, op: u64) -> Result<(), CacheError> {
        check_key(key)?;
        let near = self.cache.near();
        near.invalidate(key);
        let done = self.invalidate_far(key, op).await;
        // Once more: since the first, a read may have brought the old value from Redis.
        near.invalidate(key);
        let metrics = self.cache.metrics();
        match &done {
            Ok(()) => metrics.invalidations.add(),
            Err(_) => metrics.invalidations_failed.add(),
        }
        done
    }

    /// Says that this consumer follows and is not behind. Call it at least every third of `mark_life`; not while it lags by more than
    /// readers may see. Without it nothing of Redis is served.
    pub async fn beat(&self) -> Result<(), CacheError> {
        let link = self.cache.link();
        let mark = self.sound_mark().await?;
        let life = millis(self.cache.settings().mark_life);
        let args = vec![Value::from(&*mark.word), life.into()];
        let kept: i64 = link.run(&link.scripts.beat, vec![self.key.clone()], args).await?;
        if kept == 0 {
            drop(mark);
            self.make_void().await?;
        }
        Ok(())
    }

    async fn invalidate_far(&self, key: &str, op: u64) -> Result<(), CacheError> {
        let mut unknown = Unknown(Some(&self.broken));
        let (link, settings) = (self.cache.link(), self.cache.settings());
        let mark = self.sound_mark().await?;
        let keys = vec![
            self.cache.value_key(key),
            self.cache.lock_key(key),
            self.cache.floor_key(key),
            self.key.clone(),
        ];
        let args = vec![
            Value::from(&*mark.word),
            digits(op).into(),
            millis(settings.life).into(),
            millis(settings.mark_life).into(),
        ];
        let ours: i64 = link.run(&link.scripts.invalidate, keys, args).await?;
        if ours == 0 {
            drop(mark);
            self.make_void().await?;
        }
        unknown.0 = None;
        Ok(())
    }

    /// The mark, after everything was made void if it had to be.
    async fn sound_mark(&self) -> Result<RwLockReadGuard<'_, Mark>, CacheError> {
        let mark = self.mark.read().await;
        let same = mark.connection == self.cache.link().connection();
        if same && !self.broken.load(Ordering::Acquire) {
            return Ok(mark);
        }
        drop(mark);
        self.make_void().await?;
        Ok(self.mark.read().await)
    }

    /// A new mark: values are stamped with the one they were stored under, and loads under way will not be stored.
    async fn make_void(&self) -> Result<(), CacheError> {
        let link = self.cache.link();
        let mut mark = self.mark.write().await;
        let mut unknown = Unknown(Some(&self.broken));
        self.broken.store(false, Ordering::Release);
        let (word, connection) = (link.token(), link.connection());
        let life = self.cache.settings().mark_life;
        link.set(self.key.clone(), word.clone(), life).await?;
        *mark = Mark {
            word: word.into(),
            connection,
        };
        self.cache.near().invalidate_all();
        self.cache.metrics().voids.add();
        unknown.0 = None;
        Ok(())
    }
}

/// In Lua a number is a double: ops are compared as text of one length.
pub(crate) fn digits(number: u64) -> String {
    format!("{number:020}")
}
