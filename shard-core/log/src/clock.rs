//! The time that shards see.

use std::fmt;

/// A shard's time may follow the wall by this part of the time that passes: 0.1 % shifts a 15-minute hold by 0.9 s.
const SLEW_DIVISOR: u64 = 1000;

/// How far ahead of the log's last time a start may be without being told that this is right.
const AHEAD_MS_MAX: u64 = 24 * 3600 * 1000;

const NS_PER_MS: u64 = 1_000_000;

/// A shard thread's clock. It begins at max(wall, last logged), moves with the boot clock, and slews to the wall by at
/// most 0.1 %, so that a step of the wall's clock neither freezes nor expires a sale. Never goes back.
#[derive(Clone, Debug)]
pub struct ShardClock {
    /// Unix nanoseconds.
    now_ns: u64,
    /// CLOCK_BOOTTIME at the last look.
    boot_ns: u64,
}

/// The wall's clock is more than 24 h ahead of the log: a wrong clock, or a data directory that lay idle. A start with
/// it needs the operator's word, because it would expire everything and issue ids that cannot be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AheadOfLog {
    /// By how much, in milliseconds.
    pub ahead_ms: u64,
}

impl fmt::Display for AheadOfLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the clock is {} hours ahead of the log's last entry",
            self.ahead_ms / 3_600_000
        )
    }
}

impl std::error::Error for AheadOfLog {}

impl ShardClock {
    /// A start. `wall_ns` is CLOCK_REALTIME, `boot_ns` CLOCK_BOOTTIME, `last_logged_ms` the latest time of any record
    /// (0 when there is none), all since their epochs. `allow_ahead` is the operator's word.
    pub fn start(
        wall_ns: u64,
        boot_ns: u64,
        last_logged_ms: u64,
        allow_ahead: bool,
    ) -> Result<ShardClock, AheadOfLog> {
        let ahead_ms = (wall_ns / NS_PER_MS).saturating_sub(last_logged_ms);
        if last_logged_ms > 0 && ahead_ms > AHEAD_MS_MAX && !allow_ahead {
            return Err(AheadOfLog { ahead_ms });
        }
        let now_ns = wall_ns.max(last_logged_ms.saturating_mul(NS_PER_MS));
        Ok(ShardClock { now_ns, boot_ns })
    }

    /// Shard time in unix milliseconds. Call it once a batch.
    pub fn now_ms(&mut self, wall_ns: u64, boot_ns: u64) -> u64 {
        let passed = boot_ns.saturating_sub(self.boot_ns);
        self.boot_ns = self.boot_ns.max(boot_ns);
        let slew_max = passed / SLEW_DIVISOR;
        let target = self.now_ns.saturating_add(passed);
        self.now_ns = wall_ns.clamp(target.saturating_sub(slew_max), target.saturating_add(slew_max));
        self.now_ns / NS_PER_MS
    }

    /// How far the wall is ahead of shard time (negative: behind), in milliseconds. For a metric.
    pub fn wall_ahead_ms(&self, wall_ns: u64) -> i64 {
        (wall_ns as i64).wrapping_sub(self.now_ns as i64) / NS_PER_MS as i64
    }
}

#[cfg(test)]
mod tests;
