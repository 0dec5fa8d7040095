//! What the kernel does with memory that a latency notices.

use std::fs;

use super::Check;

pub(super) fn huge_pages() -> Check {
    judge_huge_pages(&fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default())
}

/// `enabled` is the file's text: the mode in force stands in brackets.
pub(super) fn judge_huge_pages(enabled: &str) -> Check {
    let name = "huge pages";
    let mode = enabled.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    match mode.map(|(mode, _)| mode) {
        Some("always") => Check::warn(
            name,
            "transparent huge pages are always made",
            "making them stops a thread for milliseconds now and then",
            "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
        ),
        Some(mode) => Check::ok(name, format!("transparent huge pages: {mode}")),
        None => Check::ok(name, "none"),
    }
}

pub(super) fn swap() -> Check {
    judge_swap(&fs::read_to_string("/proc/meminfo").unwrap_or_default())
}

/// `meminfo` is `/proc/meminfo`.
pub(super) fn judge_swap(meminfo: &str) -> Check {
    let kib = |key: &str| -> u64 {
        let value = meminfo
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        value
            .and_then(|value| value.split_whitespace().next()?.parse().ok())
            .unwrap_or(0)
    };
    let (total, free) = (kib("SwapTotal"), kib("SwapFree"));
    let used = total.saturating_sub(free);
    let name = "swap";
    match (total, used) {
        (0, _) => Check::ok(name, "none"),
        (_, 0) => Check::ok(name, format!("{} MiB, unused", total >> 10)),
        _ => Check::warn(
            name,
            format!("{} of {} MiB in use", used >> 10, total >> 10),
            "a page of stock that was swapped out stops its shard thread for a disk's read",
            "swapoff -a, or MemorySwapMax=0 in the unit",
        ),
    }
}
