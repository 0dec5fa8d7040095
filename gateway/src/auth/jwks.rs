//! Keys from a URL: a JWKS (RFC 7517) that an identity provider publishes, fetched by a thread of its own.
//!
//! Net threads never wait for it. A token whose key is unknown is refused at once, and [`SharedKeys::ask`] has the set fetched again,
//! once a cool-down: so a rotated key works a round trip after its first token, and made-up key names cannot make us flood the provider.
//! Whatever goes wrong, the keys of the last good answer stay.

mod client;
mod schedule;

#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::auth::keys::SharedKeys;
use crate::auth::keys::jwks::Jwks;
use schedule::Schedule;

/// A whole fetch, name resolution to last byte.
pub const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// Where keys are fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// `https`, or `http` to a loopback address; see [`check_url`].
    pub url: String,
    /// Certificates (PEM) that vouch for it; `None`: those of Mozilla's list, which is built in.
    pub ca: Option<PathBuf>,
    /// How often it is asked.
    pub refresh: Duration,
    /// Between two fetches for the sake of unknown keys, at least.
    pub cooldown: Duration,
}

/// Whether keys may be fetched from `url`.
///
/// # Errors
/// What is wrong with it.
pub fn check_url(url: &str) -> Result<(), String> {
    client::is_loopback(url).and_then(|(uri, is_loopback)| match uri.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if is_loopback => Ok(()),
        Some("http") => Err(format!(
            "`{url}` is not https: whoever sits on the way could sign tokens (http is taken for loopback addresses only)"
        )),
        _ => Err(format!("`{url}` is not a URL such as https://idp.example/jwks.json")),
    })
}

/// What was fetched so far. Written by the fetching thread, read for the metrics.
#[derive(Debug, Default)]
pub struct FetchStats {
    /// Answers with other keys than before.
    pub changed: AtomicU64,
    /// Answers with the same keys.
    pub unchanged: AtomicU64,
    /// Fetches that failed; the keys of the last good answer stayed.
    pub failed: AtomicU64,
    /// Fetches, of all these, that an unknown key asked for.
    pub forced: AtomicU64,
    /// When the last good answer came, seconds since 1970; 0: never.
    pub last_good_s: AtomicU64,
}

/// Starts the thread, called `jwks`. It sleeps while no URL is configured. The receiver hears once when the first fetch is over, whatever came of it.
///
/// # Errors
/// The thread cannot be made.
pub fn start(keys: Arc<SharedKeys>, stats: Arc<FetchStats>, timeout: Duration) -> io::Result<Receiver<()>> {
    let (first, heard) = sync_channel(1);
    let fetcher = Fetcher {
        keys,
        stats,
        timeout,
        first: Some(first),
    };
    std::thread::Builder::new()
        .name("jwks".into())
        .spawn(move || fetcher.run())?;
    Ok(heard)
}

struct Fetcher {
    keys: Arc<SharedKeys>,
    stats: Arc<FetchStats>,
    timeout: Duration,
    first: Option<SyncSender<()>>,
}

impl Fetcher {
    /// For as long as the process lives.
    fn run(mut self) {
        self.keys.fetched_by(std::thread::current());
        let mut schedule = Schedule::new(Instant::now());
        let mut served = None;
        loop {
            let Some(remote) = self.keys.remote() else {
                served = None;
                std::thread::park();
                continue;
            };
            let now = Instant::now();
            if served.as_ref() != Some(&remote) {
                // Another URL, or other times: what the old one did says nothing about it.
                schedule = Schedule::new(now);
                served = Some(remote.clone());
            }
            let asked = self.keys.is_asked();
            let wait = schedule.wait(now, asked, remote.cooldown);
            if wait > Duration::ZERO {
                std::thread::park_timeout(wait);
                continue;
            }
            if schedule.begin(now, asked) {
                self.stats.forced.fetch_add(1, Ordering::Relaxed);
            }
            let good = self.fetch(&remote);
            // Cleared after the fetch: who asked meanwhile has the answer, and if not, the next token asks again.
            self.keys.answered();
            schedule.end(Instant::now(), good, remote.refresh);
            if let Some(first) = self.first.take() {
                _ = first.send(());
            }
        }
    }

    fn fetch(&self, remote: &Remote) -> bool {
        let result = client::get(remote, self.timeout)
            .and_then(|text| Jwks::parse(&text))
            .and_then(|jwks| self.keys.fetched(remote, jwks));
        match result {
            Ok(true) => {
                self.stats.changed.fetch_add(1, Ordering::Relaxed);
                tracing::info!(url = remote.url, "token keys fetched");
            }
            Ok(false) => {
                self.stats.unchanged.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                self.stats.failed.fetch_add(1, Ordering::Relaxed);
                let which = if self.keys.has_fetched() {
                    "the keys fetched before stay"
                } else {
                    "tokens under its keys are refused until it answers"
                };
                tracing::error!(
                    url = remote.url,
                    error,
                    "auth.jwks_url cannot be fetched; {which}"
                );
                return false;
            }
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.stats.last_good_s.store(now.as_secs(), Ordering::Relaxed);
        true
    }
}
