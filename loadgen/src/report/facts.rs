//! How a run was made: command, machine, versions, date.

use std::path::Path;
use std::process::Command;

use super::document::Facts;
use crate::cli::RunArgs;
use crate::net::pool::PoolConfig;

/// Gathers what is known; what is not stays empty.
pub fn gather(args: &RunArgs, config: &PoolConfig, began_unix_ms: u64) -> Facts {
    let rate = args.rate;
    let offered = match (args.closed_loop, rate.from == rate.to) {
        (true, _) => "closed loop: as much as the connections carry".to_string(),
        (false, true) => format!("{} requests/s, open loop", rate.from),
        (false, false) => format!("{} to {} requests/s, open loop", rate.from, rate.to),
    };
    Facts {
        command: std::env::args().map(|a| quoted(&a)).collect::<Vec<_>>().join(" "),
        began: rfc3339(began_unix_ms),
        machine: machine(),
        version: env!("CARGO_PKG_VERSION").into(),
        gateway: args
            .tidegate
            .as_deref()
            .and_then(|p| first_line(Command::new(p).arg("--version"))),
        git: git(),
        target: args.target.clone(),
        http: args.http,
        connections: config.connections as u64,
        outstanding: config.outstanding as u64,
        offered,
        users: u64::from(args.users),
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_string()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn first_line(command: &mut Command) -> Option<String> {
    let out = command.output().ok().filter(|o| o.status.success())?;
    let text = String::from_utf8_lossy(&out.stdout);
    text.lines()
        .next()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .map(String::from)
}

/// A program that was built in its tree lies in it.
fn git() -> Option<String> {
    let me = std::env::current_exe().ok()?;
    first_line(
        Command::new("git")
            .arg("-C")
            .arg(me.parent()?)
            .args(["describe", "--always", "--dirty"]),
    )
}

fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(Path::new(path)).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|l| l.starts_with(name))?;
        line.split_once(':').map(|(_, v)| v.trim().to_string())
    };
    let mut parts = Vec::new();
    parts.extend(field(&read("/proc/cpuinfo"), "model name"));
    if let Ok(n) = std::thread::available_parallelism() {
        parts.push(format!("{n} cores"));
    }
    let memory_kib = field(&read("/proc/meminfo"), "MemTotal")
        .and_then(|v| v.split(' ').next().and_then(|n| n.parse::<f64>().ok()));
    if let Some(kib) = memory_kib {
        parts.push(format!("{:.1} GiB", kib / 1024.0 / 1024.0));
    }
    let kernel = read("/proc/sys/kernel/osrelease");
    if !kernel.is_empty() {
        parts.push(format!("Linux {}", kernel.trim()));
    }
    parts.join(", ")
}

/// Unix ms as RFC 3339 in UTC, to the second (Hinnant, "chrono-compatible low-level date algorithms").
fn rfc3339(unix_ms: u64) -> String {
    let s = unix_ms / 1000;
    let days = s / 86_400 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    let (h, m, s) = (s / 3600 % 24, s / 60 % 60, s % 60);
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_rfc_3339() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(1_795_449_156_999), "2026-11-23T15:52:36Z");
        assert_eq!(rfc3339(1_709_251_199_000), "2024-02-29T23:59:59Z");
    }

    #[test]
    fn a_command_can_be_pasted_again() {
        assert_eq!(quoted("--rate=1000..2000"), "--rate=1000..2000");
        assert_eq!(quoted("p99<10ms"), "'p99<10ms'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
