//! Cores.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Runs `start` with this thread on `core` alone: a process that it spawns inherits that, and so do all of its threads.
///
/// # Errors
/// The core does not exist, or `start` failed.
pub fn on_core<T>(core: usize, start: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let failed = |error: rustix::io::Errno| format!("core {core} cannot be used: {error}");
    let before = sched_getaffinity(None).map_err(failed)?;
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).map_err(failed)?;
    let result = start();
    sched_setaffinity(None, &before).map_err(failed)?;
    result
}

/// Threads of process `pid` that may run elsewhere than on `core`, as `name (cores)`.
pub fn strays(pid: u32, core: usize) -> Vec<String> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    tasks
        .flatten()
        .filter_map(|task| {
            let status = std::fs::read_to_string(task.path().join("status")).ok()?;
            let field = |name: &str| {
                status
                    .lines()
                    .find_map(|line| line.strip_prefix(name))
                    .unwrap_or("")
                    .trim()
                    .to_string()
            };
            let cores = field("Cpus_allowed_list:");
            (cores != core.to_string()).then(|| format!("{} ({cores})", field("Name:")))
        })
        .collect()
}
