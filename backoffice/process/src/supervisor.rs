//! What systemd is told (sd_notify(3)). Without `NOTIFY_SOCKET` nothing is said to anybody.

use std::time::Duration;

use sd_notify::NotifyState;

/// Edges may dial; from now on the watchdog hears of us, by a task: while the runtime runs, so does the process.
pub fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("serving")]);
    if let Some(every) = sd_notify::watchdog_enabled() {
        tokio::spawn(alive(every / 2));
    }
}

/// What is under way is finished.
pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("ending")]);
}

async fn alive(every: Duration) {
    let mut ticks = tokio::time::interval(every);
    loop {
        ticks.tick().await;
        tell(&[NotifyState::Watchdog]);
    }
}

/// A manager that does not listen is no reason not to serve; it ends what it does not hear of.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd cannot be told (NOTIFY_SOCKET); is NotifyAccess=main set?");
    }
}
