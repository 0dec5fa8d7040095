//! The wall clock: whether somebody keeps it, and whether the log lets a start begin with it.

use std::time::{SystemTime, UNIX_EPOCH};

use tidegate_log::ShardClock;

use super::adjtimex::{self, Discipline};
use super::{Check, log_end};
use crate::config::Config;

/// Beyond this a clock that is said to be kept is not: tokens forgive 60 s, holds and sale times nothing.
const ERROR_US_MAX: u64 = 1_000_000;

pub(super) fn synchronised() -> Check {
    judge_discipline(adjtimex::discipline())
}

pub(super) fn judge_discipline(discipline: Option<Discipline>) -> Check {
    let name = "clock";
    match discipline {
        None => Check::ok(
            name,
            "whether it is kept cannot be asked here (adjtimex is forbidden)",
        ),
        Some(Discipline {
            synchronised: false, ..
        }) => Check::warn(
            name,
            "not synchronised",
            "sales would begin, holds end and tokens be good at the wrong time",
            "systemctl enable --now systemd-timesyncd (or chronyd); in a container, on the host",
        ),
        Some(kept) if kept.error_us_max > ERROR_US_MAX => Check::warn(
            name,
            format!("synchronised, off by up to {} ms", kept.error_us_max / 1000),
            "its time service has not heard of its servers for long",
            "look at `timedatectl timesync-status` or `chronyc tracking`",
        ),
        Some(kept) => Check::ok(
            name,
            format!("synchronised, off by at most {} ms", kept.error_us_max / 1000),
        ),
    }
}

pub(super) fn against_log(config: &Config) -> Check {
    let name = "clock and log";
    let last_ms = match log_end::last_time_ms(&config.server.data) {
        Ok(Some(last_ms)) => last_ms,
        Ok(None) => return Check::ok(name, "no entry in the log yet"),
        Err(problem) => {
            return Check::warn(
                name,
                "the end of the log cannot be read",
                problem,
                format!("run `tidegate log verify {}`", config.server.data.display()),
            );
        }
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    judge_jump(now.as_nanos() as u64, last_ms, config.shards.allow_clock_jump)
}

/// The same question that a start asks, in its words.
pub(super) fn judge_jump(wall_ns: u64, last_ms: u64, allowed: bool) -> Check {
    let name = "clock and log";
    let ahead_ms = (wall_ns / 1_000_000) as i64 - last_ms as i64;
    let found = format!(
        "the newest entry is {} s {}",
        ahead_ms.unsigned_abs() / 1000,
        if ahead_ms < 0 { "in the future" } else { "old" }
    );
    match ShardClock::start(wall_ns, 0, last_ms, allowed) {
        Err(ahead) => Check::fail(
            name,
            found,
            ahead.to_string(),
            "set the clock right, or start with --allow-clock-jump if it is",
        ),
        // Shard time never goes back: until the wall has caught up it stands still, and so do holds' deadlines.
        Ok(_) if ahead_ms < -60_000 => Check::warn(
            name,
            found,
            "the clock was set back: until it has caught up, holds end late",
            "set the clock right before the start, if it is wrong now",
        ),
        Ok(_) => Check::ok(name, found),
    }
}
