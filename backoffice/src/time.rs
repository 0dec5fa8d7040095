//! Moments as text: RFC 3339 in UTC with milliseconds, as the gateway writes them.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tidegate_shard_core::Millis;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Tells the time; a test has its own.
pub type Clock = Arc<dyn Fn() -> Millis + Send + Sync>;

/// The wall clock.
#[must_use]
pub fn wall() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Millis(since.as_millis() as u64)
    })
}

/// `2026-11-23T15:39:00.000Z`. Moments past the year 9999 are written as its last second.
#[must_use]
pub fn rfc3339(at: Millis) -> String {
    let seconds = i64::try_from(at.0 / 1000).unwrap_or(i64::MAX).min(YEAR_9999_END);
    let moment = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        moment.year(),
        u8::from(moment.month()),
        moment.day(),
        moment.hour(),
        moment.minute(),
        moment.second(),
        at.0 % 1000
    )
}

/// 9999-12-31T23:59:59Z: the last second that RFC 3339 can write.
const YEAR_9999_END: i64 = 253_402_300_799;

/// Reads a time with `Z` or an offset, from 1970 on; `None` when it is not one.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<Millis> {
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    let ms = moment.unix_timestamp_nanos() / 1_000_000;
    u64::try_from(ms).ok().map(Millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_the_gateway_writes_it_and_read_back() {
        let at = Millis(1_700_000_000_123);
        assert_eq!(rfc3339(at), "2023-11-14T22:13:20.123Z");
        assert_eq!(parse_rfc3339("2023-11-14T22:13:20.123Z"), Some(at));
        assert_eq!(parse_rfc3339("2023-11-14T23:13:20.123+01:00"), Some(at));
    }

    #[test]
    fn what_is_no_moment_after_1970_is_refused() {
        for text in [
            "",
            "2026",
            "2026-13-01T00:00:00Z",
            "2026-01-01T00:00:00",
            "1969-12-31T23:59:59Z",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
        assert!(rfc3339(Millis(u64::MAX)).starts_with("9999-12-31T23:59:59"));
    }
}
