//! Streams that end soon after they began are not opened anew at once.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::seat::Taken;

/// A stream that lived so long was a good one.
const GOOD: Duration = Duration::from_secs(30);
/// After the first that was none.
const FIRST: Duration = Duration::from_millis(50);

/// How long the next stream waits before it opens its bus: two backoffices that take the shards from each other do so ever more slowly.
#[derive(Debug)]
pub(super) struct BackOff {
    max: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    short: u32,
    not_before: Instant,
}

impl BackOff {
    pub(super) fn new(max: Duration) -> BackOff {
        BackOff {
            max,
            state: Mutex::new(State {
                short: 0,
                not_before: Instant::now(),
            }),
        }
    }

    /// Waits for the time that is due.
    pub(super) async fn wait(&self, taken: &Taken, stopping: &CancellationToken) -> Result<(), Status> {
        let (due, over) = (self.lock().not_before, taken.over());
        tokio::select! {
            () = tokio::time::sleep_until(due.into()) => Ok(()),
            () = over.cancelled() => Err(Status::aborted("a newer stream of this store goes on")),
            () = stopping.cancelled() => Err(Status::unavailable("this backoffice is on its way out")),
        }
    }

    /// A stream ended after so long.
    pub(super) fn ended(&self, lived: Duration) {
        let mut state = self.lock();
        state.short = if lived >= GOOD { 0 } else { state.short + 1 };
        state.not_before = Instant::now() + wait(state.short, self.max);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// After so many short ones. One alone costs nothing: an edge that was started anew is not to wait.
fn wait(short: u32, max: Duration) -> Duration {
    match short {
        0 | 1 => Duration::ZERO,
        short => FIRST.saturating_mul(1 << (short - 2).min(16)).min(max),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_to_its_bound_and_a_single_end_costs_nothing() {
        let max = Duration::from_secs(5);
        assert_eq!(wait(0, max), Duration::ZERO);
        assert_eq!(wait(1, max), Duration::ZERO);
        assert_eq!(wait(2, max), FIRST);
        assert_eq!(wait(3, max), FIRST * 2);
        assert_eq!(wait(1000, max), max);
    }

    #[test]
    fn a_stream_that_lived_long_makes_the_next_one_wait_for_nothing() {
        let back_off = BackOff::new(Duration::from_secs(5));
        for _ in 0..9 {
            back_off.ended(Duration::ZERO);
        }
        assert!(back_off.lock().not_before > Instant::now() + Duration::from_secs(1));
        back_off.ended(GOOD);
        assert!(back_off.lock().not_before <= Instant::now());
    }
}
