//! The configuration read again while the process runs: checked first, then swapped whole.
//!
//! A file with a mistake changes nothing. A key that is read only at the start is named and waits for it; the rest of the file is
//! taken all the same. No net thread waits for any of this: limits are one atomic word each, the rest is picked up at a turn's start.

mod difference;

#[cfg(test)]
mod tests;

use std::fs::Metadata;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use serde::Serialize;
use tidegate_host::Knobs;

use crate::auth::keys::{self, SharedKeys};
use crate::config::{Config, Sources};
use crate::live::Live;
use crate::logging::Filter;
use crate::net::Buckets;
use crate::worker::clock;
use difference::Difference;

/// What a reload needs to put a configuration in force.
pub struct Parts {
    /// Where configuration comes from: the file is read again, environment and flags are as they were.
    pub sources: Sources,
    /// What net threads read.
    pub live: Arc<Live>,
    /// The limits.
    pub buckets: Buckets,
    /// The keys of tokens.
    pub keys: Arc<SharedKeys>,
    /// What shard threads read.
    pub knobs: Arc<Knobs>,
    /// What is logged; `None`: somebody else's subscriber.
    pub filter: Option<Filter>,
}

/// How a reload ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Something changed, or waits for the next start.
    Applied,
    /// All values are in force already.
    Unchanged,
    /// There is a mistake; nothing changed.
    Failed,
}

impl Ending {
    const ALL: [Ending; 3] = [Ending::Applied, Ending::Unchanged, Ending::Failed];

    /// The word in the metric.
    pub fn word(self) -> &'static str {
        match self {
            Ending::Applied => "applied",
            Ending::Unchanged => "unchanged",
            Ending::Failed => "failed",
        }
    }
}

/// What came of a reload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// How it ended.
    pub result: Ending,
    /// Keys whose new values are in force.
    pub changed: Vec<String>,
    /// Keys whose new values take effect at the next start.
    pub at_the_next_start: Vec<String>,
    /// The mistake: where, and what would be right.
    pub error: Option<String>,
}

/// Reads the configuration again when it is told to, or when the file changed.
pub struct Reloader {
    parts: Parts,
    state: Mutex<State>,
    /// By [`Ending::ALL`].
    counts: [AtomicU64; Ending::ALL.len()],
}

struct State {
    /// The file as of the last reload.
    loaded: Option<Stamp>,
    /// The file at the last look.
    seen: Option<Stamp>,
    last: Option<Outcome>,
}

/// Modification time and size: together they see a change within the clock's grain, too.
type Stamp = (SystemTime, u64);

impl Reloader {
    /// One for the configuration that `parts.live` has in force.
    pub fn new(parts: Parts) -> Reloader {
        let stamp = stamp(&parts.sources);
        Reloader {
            parts,
            state: Mutex::new(State {
                loaded: stamp,
                seen: stamp,
                last: None,
            }),
            counts: Default::default(),
        }
    }

    /// Reads everything again. `why` is who asks, for the log. Reads files: call it from a thread that may block.
    pub fn reload(&self, why: &str) -> Outcome {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.reload_locked(&mut state, why)
    }

    /// Reads everything again if the file changed. A change is taken when two looks in a row have seen the same file: the first half of a
    /// file that is still being written is often good TOML, with defaults for the other half.
    pub fn reload_if_changed(&self) -> Option<Outcome> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // A file that is not there is one that is being replaced.
        let now = Some(stamp(&self.parts.sources)?);
        let is_settled = std::mem::replace(&mut state.seen, now) == now;
        (is_settled && state.loaded != now).then(|| self.reload_locked(&mut state, "the file changed"))
    }

    /// What came of the last reload, if there was one.
    pub fn last(&self) -> Option<Outcome> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.last.clone()
    }

    /// How many reloads ended how.
    pub fn counts(&self) -> Vec<(&'static str, u64)> {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        Ending::ALL
            .iter()
            .map(|ending| ending.word())
            .zip(counts)
            .collect()
    }

    fn reload_locked(&self, state: &mut State, why: &str) -> Outcome {
        state.loaded = stamp(&self.parts.sources);
        let outcome = match self.apply() {
            Ok(difference) => Outcome {
                result: if difference == Difference::default() {
                    Ending::Unchanged
                } else {
                    Ending::Applied
                },
                changed: difference.live,
                at_the_next_start: difference.next_start,
                error: None,
            },
            Err(error) => Outcome {
                result: Ending::Failed,
                changed: Vec::new(),
                at_the_next_start: Vec::new(),
                error: Some(error),
            },
        };
        log(why, &outcome);
        self.counts[outcome.result as usize].fetch_add(1, Ordering::Relaxed);
        state.last = Some(outcome.clone());
        outcome
    }

    /// Everything that can fail comes first.
    fn apply(&self) -> Result<Difference, String> {
        let parts = &self.parts;
        let mut read = parts.sources.load().map_err(|error| error.to_string())?;
        let now = parts.live.current();
        difference::keep_local_key(&now, &mut read);
        let difference = Difference::between(&now, &read);
        let config = difference::in_force(&now, read, &difference.next_start);
        if difference.touches("auth.") {
            parts.keys.replace(keys::Sources::of(&config.auth))?;
        }
        self.put_in_force(&difference, config);
        Ok(difference)
    }

    fn put_in_force(&self, difference: &Difference, config: Config) {
        let parts = &self.parts;
        if let Some(filter) = parts.filter.as_ref().filter(|_| difference.touches("logging.")) {
            filter.set(&config.logging.filter);
        }
        let tables = [
            ("limits.address.", &parts.buckets.address, config.limits.address),
            ("limits.user.", &parts.buckets.user, config.limits.user),
            (
                "limits.handshakes.",
                &parts.buckets.handshakes,
                config.limits.handshakes,
            ),
        ];
        for (section, table, limit) in tables {
            if difference.touches(section) {
                table.set_limit(limit, clock::now_ns());
            }
        }
        let shed_after = config.overload.shed_after.as_millis();
        parts
            .knobs
            .set_shed_after_ms(u32::try_from(shed_after).unwrap_or(u32::MAX));
        parts.knobs.set_backlog_bytes_max(config.shards.backlog_bytes);
        parts.live.replace(Arc::new(config));
    }
}

fn log(why: &str, outcome: &Outcome) {
    if let Some(error) = &outcome.error {
        tracing::error!(why, error, "the configuration cannot be used; the old one stays");
        return;
    }
    tracing::info!(
        why,
        changed = outcome.changed.join(" "),
        "the configuration was read again"
    );
    for key in &outcome.at_the_next_start {
        tracing::warn!("{key} changed: takes effect at the next start");
    }
}

fn stamp(sources: &Sources) -> Option<Stamp> {
    let file = sources.file.as_ref()?;
    let of = |meta: Metadata| Some((meta.modified().ok()?, meta.len()));
    std::fs::metadata(file).ok().and_then(of)
}
