//! Facts of the kernel and the machine.

use std::fs;
use std::path::Path;

use crate::cli::doctor::mount_of;

/// Flags of the kernel's command line that change how fast or how evenly it runs. The rest may hold anything.
const FLAGS: [&str; 12] = [
    "isolcpus",
    "nohz",
    "nohz_full",
    "rcu_nocbs",
    "mitigations",
    "transparent_hugepage",
    "intel_idle.max_cstate",
    "processor.max_cstate",
    "intel_pstate",
    "amd_pstate",
    "cgroup_no_v1",
    "systemd.unified_cgroup_hierarchy",
];
/// Bytes of one file at most.
const FILE_BYTES_MAX: usize = 256 << 10;

type Fact = (&'static str, Result<String, String>);

pub(super) fn version() -> String {
    let build = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    format!(
        "tidegate {} ({build}, {})\n",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH
    )
}

/// `process` is the gateway that runs, if it can be seen; else this one, which has limits of its own. `store`: the store's file.
pub(super) fn facts(data: &Path, store: &Path, process: Option<u32>) -> Vec<Fact> {
    let of = |file: &str| {
        process.map_or_else(
            || format!("/proc/self/{file}"),
            |pid| format!("/proc/{pid}/{file}"),
        )
    };
    vec![
        ("system/uname.txt", Ok(uname())),
        ("system/limits.txt", files(&[&of("limits")])),
        (
            "system/cmdline.txt",
            files(&["/proc/cmdline"]).map(|text| flags(&text)),
        ),
        ("system/cgroup.txt", cgroup(&of("cgroup"))),
        (
            "system/process.txt",
            files(&[&of("status"), &of("io"), &of("schedstat")]),
        ),
        (
            "system/pressure.txt",
            files(&["/proc/pressure/cpu", "/proc/pressure/io", "/proc/pressure/memory"]),
        ),
        (
            "system/memory.txt",
            files(&["/proc/meminfo", "/sys/kernel/mm/transparent_hugepage/enabled"]),
        ),
        (
            "system/load.txt",
            files(&[
                "/proc/loadavg",
                "/proc/stat",
                "/proc/net/sockstat",
                "/proc/diskstats",
            ]),
        ),
        ("system/mount.txt", mount(data)),
        (
            "system/mount-store.txt",
            mount(store.parent().unwrap_or(store)).map(|text| text + &length(store)),
        ),
    ]
}

/// Without the machine's name.
fn uname() -> String {
    let uname = rustix::system::uname();
    let [release, version, machine] =
        [uname.release(), uname.version(), uname.machine()].map(|text| text.to_string_lossy());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("Linux {release} {version} {machine}, {cores} cores\n")
}

/// Each file under its name, those that are there.
fn files(paths: &[&str]) -> Result<String, String> {
    let mut text = String::new();
    let mut problem = String::new();
    for path in paths {
        match fs::read(path) {
            Ok(content) => {
                let content = String::from_utf8_lossy(&content[..FILE_BYTES_MAX.min(content.len())]);
                text += &format!("# {path}\n{}\n", content.trim_end());
            }
            Err(error) => problem = format!("{path}: {error}"),
        }
    }
    if text.is_empty() { Err(problem) } else { Ok(text) }
}

pub(super) fn flags(cmdline: &str) -> String {
    let known = cmdline
        .split_whitespace()
        .filter(|flag| FLAGS.contains(&flag.split('=').next().unwrap_or_default()));
    let known: Vec<&str> = known.collect();
    format!("{}\n", known.join(" "))
}

fn cgroup(file: &str) -> Result<String, String> {
    let own = fs::read_to_string(file).map_err(|error| error.to_string())?;
    let leaf = own
        .lines()
        .find_map(|line| line.strip_prefix("0::"))
        .unwrap_or("/");
    let at = |file: &str| format!("/sys/fs/cgroup{}/{file}", leaf.trim_end_matches('/'));
    let paths = [
        "cpu.max",
        "cpu.stat",
        "memory.max",
        "memory.current",
        "memory.swap.max",
        "io.max",
    ]
    .map(at);
    let figures = files(&paths.each_ref().map(String::as_str)).unwrap_or_default();
    Ok(format!("{own}{figures}"))
}

fn mount(data: &Path) -> Result<String, String> {
    let mount = mount_of(data).ok_or_else(|| format!("{} is not there", data.display()))?;
    let space = rustix::fs::statvfs(data).map_err(|error| error.to_string())?;
    Ok(format!(
        "{} on {} at {} ({})\n{} of {} bytes free, {} of {} files free\n",
        mount.kind,
        mount.device,
        mount.point.display(),
        mount.options,
        space.f_bavail.saturating_mul(space.f_frsize),
        space.f_blocks.saturating_mul(space.f_frsize),
        space.f_ffree,
        space.f_files
    ))
}

/// How much of the disk is the store's.
fn length(store: &Path) -> String {
    match fs::metadata(store) {
        Ok(meta) => format!("the store has {} bytes\n", meta.len()),
        Err(error) => format!("the store: {error}\n"),
    }
}
