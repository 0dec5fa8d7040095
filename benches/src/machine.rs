//! What a figure was measured on, and when.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// CPU model, cores, kernel and the file system of `data`, in one line.
pub fn describe(data: &Path) -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| {
        line.strip_prefix("model name")?
            .split_once(':')
            .map(|(_, name)| name.trim())
    });
    let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let virtual_machine = if cpu.contains(" hypervisor") {
        ", virtual machine"
    } else {
        ""
    };
    format!(
        "{}, {cores} cores{virtual_machine}, Linux {}, log on {}",
        model.unwrap_or("unknown CPU"),
        kernel.trim(),
        file_system(data),
    )
}

/// Type and device of the file system that holds `path`: the longest mount point that is a prefix of it.
pub fn file_system(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let holds = |line: &&str| {
        line.split(' ')
            .nth(1)
            .is_some_and(|point| path.starts_with(point))
    };
    let best = mounts
        .lines()
        .filter(holds)
        .max_by_key(|line| line.split(' ').nth(1).map_or(0, str::len));
    let mut fields = best.unwrap_or_default().split(' ');
    let device = fields.next().unwrap_or("?");
    format!("{} ({device})", fields.nth(1).unwrap_or("?"))
}

/// How many processes wanted to run lately (1 min): figures taken beside other work are not worth much.
pub fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace()
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or(0.0)
}

/// Today, UTC, as `2026-01-31 12:05 UTC`.
pub fn now_utc() -> String {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let (year, month, day) = civil(seconds / 86_400);
    let of_day = seconds % 86_400;
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02} UTC",
        of_day / 3600,
        of_day / 60 % 60
    )
}

/// The date `days` after 1970-01-01, in the calendar of today.
fn civil(days: u64) -> (u64, u64, u64) {
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let (mut year, mut left) = (1970, days);
    while left >= 365 + u64::from(is_leap(year)) {
        left -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let months = [
        31,
        28 + u64::from(is_leap(year)),
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    let mut month = 0;
    while left >= months[month] {
        left -= months[month];
        month += 1;
    }
    (year, month as u64 + 1, left + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_through_leap_years() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(20_454), (2026, 1, 1));
    }

    #[test]
    fn the_root_has_a_file_system() {
        assert!(!file_system(Path::new("/")).starts_with('?'));
        assert_ne!(file_system(Path::new("/proc")), file_system(Path::new("/")));
    }
}
