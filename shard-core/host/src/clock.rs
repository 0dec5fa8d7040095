//! The only reader of clocks in the shard threads.

use rustix::time::{ClockId, clock_gettime};
use tidegate_log::{AheadOfLog, ShardClock};
use tidegate_shard_core::Millis;

fn read(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// CLOCK_MONOTONIC in nanoseconds: what [`Request::at_ns`](crate::Request::at_ns) is measured in.
#[inline]
pub fn monotonic_ns() -> u64 {
    read(ClockId::Monotonic)
}

/// Shard time of one thread.
#[derive(Debug, Clone)]
pub(crate) struct Clock(ShardClock);

impl Clock {
    /// Goes on from the last logged time; refuses a wall clock more than 24 h ahead of it unless allowed.
    pub(crate) fn start(last: Millis, allow_ahead: bool) -> Result<Clock, AheadOfLog> {
        ShardClock::start(
            read(ClockId::Realtime),
            read(ClockId::Boottime),
            last.0,
            allow_ahead,
        )
        .map(Clock)
    }

    pub(crate) fn now(&mut self) -> Millis {
        Millis(self.0.now_ms(read(ClockId::Realtime), read(ClockId::Boottime)))
    }
}
