//! The answer to one take, and what the `RateLimit` fields say of it
//! ([draft-ietf-httpapi-ratelimit-headers-11](https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/11/)).

use super::pace::Pace;
use super::{SECOND_NS, UNIT_NS};

/// The answer to one take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Take {
    /// Whether the take was admitted.
    pub allowed: bool,
    /// Takes that would be admitted right now, after this one.
    pub remaining: u32,
    /// Nanoseconds until the next take is admitted; 0 if one is now.
    pub retry_after_ns: u64,
    /// The limit it was measured by; `None`: none.
    pace: Option<Pace>,
}

impl Take {
    /// A take nothing limits.
    pub const UNLIMITED: Take = Take {
        allowed: true,
        remaining: u32::MAX,
        retry_after_ns: 0,
        pace: None,
    };

    /// A take after which the bucket is full in `ahead` units.
    pub(super) fn admitted(pace: Pace, ahead: u64) -> Take {
        let room = pace.capacity() - ahead;
        Take {
            allowed: true,
            remaining: (room / pace.interval) as u32,
            retry_after_ns: pace.interval.saturating_sub(room) * UNIT_NS,
            pace: Some(pace),
        }
    }

    /// A take after which the bucket would be full in `ahead` units only, which is too far.
    pub(super) fn refused(pace: Pace, ahead: u64) -> Take {
        Take {
            allowed: false,
            remaining: 0,
            retry_after_ns: (ahead - pace.capacity()) * UNIT_NS,
            pace: Some(pace),
        }
    }

    /// Seconds for `Retry-After` (RFC 9110, section 10.2.3: whole seconds), at least 1.
    pub fn retry_after_s(&self) -> u64 {
        self.retry_after_ns.div_ceil(SECOND_NS).max(1)
    }

    /// The `RateLimit-Policy` field's value for a policy called `name` (section 3 of the draft): the quota `q` and its window `w` in
    /// seconds. `None` without a limit.
    pub fn policy_field(&self, name: &str) -> Option<String> {
        let pace = self.pace?;
        Some(format!("\"{name}\";q={};w={}", pace.burst, pace.window_s()))
    }

    /// The `RateLimit` field's value (section 4 of the draft): `r`, what is left, and `t`, the effective window: "the number of seconds within
    /// which the client can use no more than the available quota". For a bucket that is the time to the next take, not the time until it
    /// is full, so `t` and `Retry-After` agree, as section 6 asks.
    pub fn ratelimit_field(&self, name: &str) -> String {
        format!("\"{name}\";r={};t={}", self.remaining, self.retry_after_s())
    }
}
