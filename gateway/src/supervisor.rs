//! What systemd is told (sd_notify(3)): how long a start takes, when it is done, that the process is alive, that it ends. Without
//! `NOTIFY_SOCKET` nothing is said to anybody.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// A recovery that says nothing for this long has stopped. The longest step without a report is reading the checkpoints: a quarter of a
/// gigabyte a million open orders, which a slow disk gives in seconds.
const STEP_MAX: Duration = Duration::from_secs(120);

/// The connection to the service manager, held by the thread that waits for the end.
#[derive(Debug)]
pub struct Supervisor {
    /// How often it wants to hear of us, halved: one report that comes late is no death.
    every: Option<Duration>,
    said: Instant,
}

impl Supervisor {
    /// From the environment, as systemd sets it.
    pub fn from_environment(now: Instant) -> Supervisor {
        Supervisor {
            every: sd_notify::watchdog_enabled().map(|time| time / 2),
            said: now,
        }
    }

    /// A start that recovers a long log is not to be killed for being slow (`TimeoutStartSec`), and says how far it is.
    pub fn recovering(records: u64) {
        let more_us = u32::try_from(STEP_MAX.as_micros()).unwrap_or(u32::MAX);
        tell(&[
            NotifyState::ExtendTimeoutUsec(more_us),
            NotifyState::Status(&format!("recovering the log: {records} records")),
        ]);
    }

    /// Connections are accepted and orders taken.
    pub fn ready(&self) {
        tell(&[NotifyState::Ready, NotifyState::Status("serving")]);
    }

    /// No new connections; what is in flight is answered.
    pub fn stopping(&self) {
        tell(&[NotifyState::Stopping, NotifyState::Status("draining")]);
    }

    /// For the watchdog, as often as it wants. The caller has just seen that all net threads run and that the log has not failed.
    pub fn alive(&mut self, now: Instant) {
        if self
            .every
            .is_some_and(|every| now.duration_since(self.said) >= every)
        {
            self.said = now;
            tell(&[NotifyState::Watchdog]);
        }
    }
}

/// A manager that does not listen is no reason not to serve; it ends what it does not hear of.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd cannot be told (NOTIFY_SOCKET); is NotifyAccess=main set?");
    }
}
