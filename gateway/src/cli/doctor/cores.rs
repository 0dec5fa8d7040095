//! Cores: how many, which, and how much of them.

use std::fs;
use std::path::Path;

use super::Check;
use crate::config::Config;
use crate::shards::Layout;

pub(super) fn cores(config: &Config, layout: &Layout, available: usize) -> Check {
    let name = "cores";
    let named = config.server.cores.iter().chain(&config.shards.cores);
    let allowed = rustix::thread::sched_getaffinity(None).ok();
    let missing = named
        .copied()
        .find(|core| allowed.as_ref().is_some_and(|set| !set.is_set(*core)));
    let quota = cpu_quota();
    let quota_text = quota.map_or_else(String::new, |cores| format!(", a CPU quota of {cores:.2} cores"));
    let found = format!(
        "{available} usable{quota_text}: {} net and {} shard threads",
        layout.nets, layout.shards
    );
    if let Some(core) = missing {
        return Check::fail(
            name,
            found,
            format!("server.cores or shards.cores names core {core}, which this process may not use"),
            "name cores of `taskset -cp $$`, or leave the lists empty",
        );
    }
    match quota {
        Some(cores) if cores.fract() != 0.0 => Check::warn(
            name,
            found,
            "a quota that is no whole number of cores stops all threads for the rest of each period once it is used up",
            format!(
                "give it whole cores (CPUQuota={}%, or a cpuset)",
                cores.ceil() as u64 * 100
            ),
        ),
        _ => Check::ok(name, found),
    }
}

/// The smallest quota of this process's cgroup and those above it, in cores (cgroup v2, `cpu.max`).
fn cpu_quota() -> Option<f64> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let root = Path::new("/sys/fs/cgroup");
    let leaf = root.join(own.trim_start_matches('/'));
    let quotas = leaf
        .ancestors()
        .take_while(|directory| directory.starts_with(root))
        .filter_map(|directory| quota_of(&fs::read_to_string(directory.join("cpu.max")).ok()?));
    quotas.min_by(f64::total_cmp)
}

/// `50000 100000` → 0.5; `max 100000` → none.
pub(super) fn quota_of(cpu_max: &str) -> Option<f64> {
    let (quota, period) = cpu_max.trim().split_once(' ')?;
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (period > 0.0).then(|| quota / period)
}
