//! `SUMMARY.md`: what is inside, and where to look first.

use std::fmt::Write as _;

use super::bundle::{Bundle, stamp};

/// What each part is.
const MEANINGS: [(&str, &str); 24] = [
    ("version.txt", "version and build of the program that made this"),
    ("doctor.txt", "`tidegate doctor`, for reading"),
    ("doctor.json", "the same, for programs"),
    ("readyz.txt", "whether it takes orders, and why not"),
    ("breakers.json", "breakers of the shard threads"),
    ("reload.json", "what came of the last reload"),
    ("hot.json", "the SKUs most asked for"),
    ("requests.json", "the last requests: when, route, outcome, times"),
    ("metrics-1.txt", "metrics"),
    ("profile.pb", "CPU profile (`go tool pprof`)"),
    (
        "metrics-2.txt",
        "metrics, as many seconds later as the profile took",
    ),
    ("flamegraph.svg", "another profile, as a picture"),
    ("config.json", "the configuration in force, secrets hidden"),
    ("MANIFEST", "the data directory's manifest"),
    ("log.txt", "where the logs stand: files, positions, ops"),
    ("system/uname.txt", "kernel and cores"),
    (
        "system/limits.txt",
        "limits of the gateway that runs, or of this program",
    ),
    ("system/cmdline.txt", "flags of the kernel that change its timing"),
    ("system/cgroup.txt", "cgroup and its bounds"),
    (
        "system/process.txt",
        "memory, threads and I/O of the same process",
    ),
    ("system/pressure.txt", "who waited for CPU, disk, memory"),
    ("system/memory.txt", "memory and huge pages"),
    ("system/load.txt", "load, sockets, disks"),
    (
        "system/mount-store.txt",
        "the disk that the store is on, and its length",
    ),
];

pub(super) fn text(bundle: &Bundle, findings: &[String], now_s: u64) -> String {
    let mut text = format!("# Tidegate, looked at {}\n\n## Look here first\n\n", stamp(now_s));
    if findings.is_empty() {
        text += "Nothing stands out.\n";
    }
    for (n, finding) in findings.iter().enumerate() {
        let _ = writeln!(text, "{}. {finding}", n + 1);
    }
    text += "\n## What is inside\n\n| part | bytes | what it is |\n|---|--:|---|\n";
    for part in bundle.parts() {
        if let Ok(bytes) = &part.content {
            let _ = writeln!(
                text,
                "| {} | {} | {} |",
                part.name,
                bytes.len(),
                meaning(part.name)
            );
        }
    }
    let absent: Vec<_> = bundle
        .parts()
        .iter()
        .filter_map(|part| Some((part.name, part.content.as_ref().err()?)))
        .collect();
    if !absent.is_empty() {
        text += "\n## What could not be had\n\n";
    }
    for (name, problem) in absent {
        let _ = writeln!(text, "- {name} ({}): {problem}", meaning(name));
    }
    text += "\nKeys, tokens, users and orders are left out; clients' addresses are cut to their network unless `--with-addresses` was given.\n";
    text
}

fn meaning(name: &str) -> &'static str {
    let known = MEANINGS.iter().find(|(part, _)| *part == name);
    known.map_or("the file system of the data directory", |(_, meaning)| meaning)
}
