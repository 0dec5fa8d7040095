//! The one reader of clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Nanoseconds since the run's clock was made.
pub type Nanos = u64;

/// A monotonic clock with the wall time of its zero.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    zero: Instant,
    zero_unix_ms: u64,
}

impl Clock {
    /// A clock that reads 0 now.
    pub fn start() -> Clock {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock {
            zero: Instant::now(),
            zero_unix_ms: wall.as_millis() as u64,
        }
    }

    /// Nanoseconds since the start.
    pub fn now(&self) -> Nanos {
        self.zero.elapsed().as_nanos() as u64
    }

    /// Unix milliseconds at the clock's zero.
    pub fn zero_unix_ms(&self) -> u64 {
        self.zero_unix_ms
    }

    /// Unix milliseconds now, by the monotonic clock.
    pub fn unix_ms(&self) -> u64 {
        self.zero_unix_ms + self.now() / 1_000_000
    }
}

/// CPU time of this process (user and system).
pub fn cpu_time() -> Duration {
    let at = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(at.tv_sec as u64, at.tv_nsec as u32)
}
