//! What all threads share: the present set of keys, replaced whole by control threads, and the bell for an unknown key.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::thread::Thread;
use std::time::{Duration, SystemTime};

use super::jwks::Jwks;
use super::{KEYS_MAX, Key, KeyMaterial, KeySet, KeySource, read_key};
use crate::auth::jwks::Remote;
use crate::config::checked::Auth;

/// The present set and what it is made from.
pub struct SharedKeys {
    generation: AtomicU64,
    current: RwLock<Arc<KeySet>>,
    /// Control threads only.
    made_from: Mutex<MadeFrom>,
    failures: AtomicU64,
    /// A net thread met a token whose key is in no set, since the last fetch.
    asked: AtomicBool,
    fetcher: OnceLock<Thread>,
}

struct MadeFrom {
    sources: Sources,
    /// Modification times of the files at the last load.
    seen: Vec<Option<SystemTime>>,
    /// What the URL said last.
    fetched: Option<Jwks>,
}

/// Where the set comes from.
#[derive(Debug, Clone)]
pub struct Sources {
    /// Configured keys.
    pub keys: Vec<KeySource>,
    /// A JWKS file.
    pub jwks_file: Option<PathBuf>,
    /// A JWKS that is fetched.
    pub remote: Option<Remote>,
    /// `iss` of tokens under the keys of a JWKS.
    pub issuer: String,
    /// `aud` of tokens under the keys of a JWKS.
    pub audience: String,
    /// What `exp` and `nbf` forgive.
    pub leeway: Duration,
}

impl SharedKeys {
    /// Reads every source but the URL.
    ///
    /// # Errors
    /// A sentence about the first file that is missing or is not what it should be.
    pub fn load(sources: Sources) -> Result<SharedKeys, String> {
        let seen = sources.modified();
        let set = sources.read(1, None)?;
        Ok(SharedKeys {
            generation: AtomicU64::new(1),
            current: RwLock::new(Arc::new(set)),
            made_from: Mutex::new(MadeFrom {
                sources,
                seen,
                fetched: None,
            }),
            failures: AtomicU64::new(0),
            asked: AtomicBool::new(false),
            fetcher: OnceLock::new(),
        })
    }

    /// The present set. Takes a lock: call it when [`SharedKeys::generation`] changed.
    pub fn current(&self) -> Arc<KeySet> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The number of the present set.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Reloads of files that failed; the old keys stayed.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Reads the files again if any modification time changed since the last look. Call it from a thread that may block. `Ok(true)`: there is a new set.
    ///
    /// # Errors
    /// What is wrong with the new files; the old set stays in use, and the same files are not complained about twice.
    pub fn reload_if_changed(&self) -> Result<bool, String> {
        let mut made_from = self.made_from();
        let modified = made_from.sources.modified();
        if made_from.seen == modified {
            return Ok(false);
        }
        made_from.seen = modified;
        let set = made_from.read(self.next()).inspect_err(|_| {
            self.failures.fetch_add(1, Ordering::Relaxed);
        })?;
        self.publish(set);
        Ok(true)
    }

    /// Takes what the URL said. `Ok(true)`: there is a new set; `Ok(false)`: it said so before, and remembered tokens stay remembered.
    ///
    /// # Errors
    /// Why it cannot be used beside the other keys; the old set stays.
    pub fn fetched(&self, from: &Remote, jwks: Jwks) -> Result<bool, String> {
        let mut made_from = self.made_from();
        // The configuration may have changed while the fetch was under way.
        let is_stale = made_from.sources.remote.as_ref() != Some(from);
        if is_stale || made_from.fetched.as_ref() == Some(&jwks) {
            return Ok(false);
        }
        let set = made_from.sources.read(self.next(), Some(&jwks))?;
        made_from.fetched = Some(jwks);
        self.publish(set);
        Ok(true)
    }

    /// Puts other sources in force, at once and whole.
    ///
    /// # Errors
    /// A sentence about the first of them that is not what it should be; the old set stays.
    pub fn replace(&self, sources: Sources) -> Result<(), String> {
        let mut made_from = self.made_from();
        let mut next = MadeFrom {
            seen: sources.modified(),
            fetched: None,
            sources,
        };
        // What another URL said is not to be believed any more.
        let url = |sources: &Sources| sources.remote.as_ref().map(|remote| remote.url.clone());
        if url(&next.sources) == url(&made_from.sources) {
            next.fetched = made_from.fetched.clone();
        }
        let set = next.read(self.next())?;
        *made_from = next;
        self.publish(set);
        drop(made_from);
        // It may have a URL to fetch now, or other times to do so.
        self.wake_fetcher();
        Ok(())
    }

    /// The URL in force.
    pub fn remote(&self) -> Option<Remote> {
        self.made_from().sources.remote.clone()
    }

    /// Whether the URL in force has ever been answered.
    pub fn has_fetched(&self) -> bool {
        self.made_from().fetched.is_some()
    }

    /// Asks for a fetch because a token names a key that is in no set. For net threads: two atomic operations at most, and a wake-up
    /// for the first who asks; nothing is allocated, nothing is waited for.
    pub fn ask(&self) {
        if !self.asked.load(Ordering::Relaxed) && !self.asked.swap(true, Ordering::AcqRel) {
            self.wake_fetcher();
        }
    }

    /// Whether somebody asked.
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    /// What was asked for has been done.
    pub fn answered(&self) {
        self.asked.store(false, Ordering::Release);
    }

    /// The thread that [`SharedKeys::ask`] wakes; the first one stays.
    pub fn fetched_by(&self, thread: Thread) {
        _ = self.fetcher.set(thread);
    }

    fn wake_fetcher(&self) {
        if let Some(thread) = self.fetcher.get() {
            thread.unpark();
        }
    }

    fn made_from(&self) -> MutexGuard<'_, MadeFrom> {
        self.made_from.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Only called with `made_from` locked, so that numbers are not given twice.
    fn next(&self) -> u64 {
        self.generation() + 1
    }

    fn publish(&self, set: KeySet) {
        let generation = set.generation;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(set);
        self.generation.store(generation, Ordering::Release);
    }
}

impl MadeFrom {
    fn read(&self, generation: u64) -> Result<KeySet, String> {
        self.sources.read(generation, self.fetched.as_ref())
    }
}

impl Sources {
    /// Those of a configuration.
    pub fn of(auth: &Auth) -> Sources {
        Sources {
            keys: auth.keys.clone(),
            jwks_file: auth.jwks_file.clone(),
            remote: auth.jwks.clone(),
            issuer: auth.issuer.clone(),
            audience: auth.audience.clone(),
            leeway: auth.leeway,
        }
    }

    fn modified(&self) -> Vec<Option<SystemTime>> {
        let files = self.keys.iter().filter_map(|key| match &key.material {
            KeyMaterial::File(path) | KeyMaterial::PrivateFile(path) => Some(path),
            KeyMaterial::Secret(_) => None,
        });
        files
            .chain(&self.jwks_file)
            .map(|path| std::fs::metadata(path).and_then(|meta| meta.modified()).ok())
            .collect()
    }

    fn read(&self, generation: u64, fetched: Option<&Jwks>) -> Result<KeySet, String> {
        let mut keys = Vec::new();
        for source in &self.keys {
            keys.push(read_key(source)?);
        }
        if let Some(path) = &self.jwks_file {
            self.add(&mut keys, &Jwks::read(path)?, &path.display().to_string())?;
        }
        if let Some(remote) = &self.remote {
            // A root that cannot be read is found at the start, not at the first fetch.
            remote.roots()?;
            if let Some(jwks) = fetched {
                self.add(&mut keys, jwks, &remote.url)?;
            }
        }
        if keys.len() > KEYS_MAX {
            return Err(format!("{} keys; at most {KEYS_MAX} are taken", keys.len()));
        }
        Ok(KeySet {
            generation,
            keys,
            leeway_s: self.leeway.as_secs(),
            remote: self.remote.is_some(),
        })
    }

    fn add(&self, keys: &mut Vec<Key>, jwks: &Jwks, name: &str) -> Result<(), String> {
        for key in jwks
            .keys(&self.issuer, &self.audience)
            .map_err(|error| format!("{name}: {error}"))?
        {
            if keys.iter().any(|other| other.kid == key.kid) {
                let kid = key.kid.as_deref().unwrap_or("(none)");
                return Err(format!("{name}: a second key has the kid `{kid}`"));
            }
            keys.push(key);
        }
        Ok(())
    }
}
