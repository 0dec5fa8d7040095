//! `tidegate doctor`: the real binary, from outside.

mod common;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use common::{Gateway, path, text, tidegate};
use serde_json::Value;

/// The checks of a JSON report by name; the first where a name comes twice.
fn checks(output: &Output) -> BTreeMap<String, Value> {
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let checks = report["checks"].as_array().expect("checks").iter().rev();
    checks
        .map(|check| (check["name"].as_str().expect("a name").to_owned(), check.clone()))
        .collect()
}

/// The files of a directory and those below it, with their lengths.
fn files(directory: &Path) -> Vec<(String, u64)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
        let meta = entry.metadata().expect("it is there");
        if meta.is_dir() {
            files.extend(self::files(&entry.path()));
        } else if !entry.file_name().to_string_lossy().starts_with("store.db") {
            // The store follows the log on its own time.
            files.push((entry.path().display().to_string(), meta.len()));
        }
    }
    files.sort();
    files
}

#[test]
fn a_first_start_is_looked_at_without_beginning_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let args = [
        "doctor",
        "--json",
        "--data",
        path(&data),
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
    ];
    let output = tidegate(&args);
    let checks = checks(&output);
    for name in [
        "configuration",
        "kernel",
        "io_uring",
        "clock",
        "huge pages",
        "swap",
        "accept queue",
        "tcp_migrate_req",
        "cores",
        "locked memory",
        "open files",
        "data directory",
        "lock",
        "format",
        "file system",
        "free space",
        "store",
        "sync time",
        "clock and log",
        "certificate",
        "token keys",
        "secret files",
        "port",
        "admin port",
        "admin reach",
    ] {
        let check = checks.get(name).unwrap_or_else(|| panic!("{name} is missing"));
        let is_ok = check["verdict"] == "ok";
        assert_eq!(check.get("remedy").is_none(), is_ok, "{check}");
    }
    let fails = checks.values().filter(|check| check["verdict"] == "fail").count();
    assert_eq!(output.status.code(), Some(i32::from(fails > 0)));
    assert!(!data.exists(), "nothing was made");

    let lines = text(&tidegate(&[&args[..1], &args[2..]].concat()).stdout);
    assert!(
        lines
            .lines()
            .take(5)
            .all(|line| line.starts_with("ok ") || line.starts_with("warn ") || line.starts_with("FAIL ")),
        "{lines}"
    );
    assert_eq!(tidegate(&["doctor", "--jsn"]).status.code(), Some(2), "usage");
}

#[test]
fn a_gateway_that_runs_is_recognised_and_not_disturbed() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(folder.path(), &[]);
    let alice = gateway.token("alice", None);
    let mut client = gateway.connect();
    assert_eq!(client.place(&alice, "before", "SKU-1", 1).status, 201);
    let before = files(folder.path());
    let ask = |data: &Path| {
        tidegate(&[
            "doctor",
            "--json",
            "--data",
            path(data),
            "--listen",
            &gateway.address,
            "--admin",
            &gateway.admin,
        ])
    };
    let output = ask(folder.path());
    let found = checks(&output);
    for name in [
        "port",
        "admin port",
        "lock",
        "format",
        "certificate",
        "token keys",
        "secret files",
        "clock and log",
    ] {
        assert_eq!(found[name]["verdict"], "ok", "{}", found[name]);
    }
    assert!(
        found["port"]["found"]
            .to_string()
            .contains("served by the tidegate that runs (pid ")
    );
    assert_eq!(
        files(folder.path()),
        before,
        "no file is left or changed in length"
    );
    assert_eq!(client.place(&alice, "after", "SKU-1", 1).status, 201);

    // To a start on another directory the same port is taken, and who has it is named.
    let other = tempfile::tempdir().unwrap();
    let output = ask(other.path());
    let port = &checks(&output)["port"];
    assert_eq!(
        (output.status.code(), &port["verdict"]),
        (Some(1), &"fail".into())
    );
    assert!(
        port["wrong"].as_str().unwrap().starts_with("tidegate (pid "),
        "{port}"
    );
}

#[test]
fn what_is_broken_fails_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    drop(Gateway::start(folder.path(), &[]));
    let data = folder.path();
    let ask = |set: &[&str]| {
        let mut args = vec![
            "doctor",
            "--json",
            "--data",
            path(data),
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
        ];
        set.iter().for_each(|pair| args.extend(["--set", pair]));
        let output = tidegate(&args);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
        checks(&output)
    };
    std::fs::set_permissions(data.join("token.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let found = ask(&[
        "server.io=epoll",
        "shards.threads=64",
        "shards.count=64",
        "server.cores=[1000]",
        "server.threads=1",
    ]);
    assert_eq!(found["cores"]["verdict"], "fail", "{}", found["cores"]);
    assert!(
        found["secret files"]["remedy"]
            .as_str()
            .unwrap()
            .starts_with("chmod 600 "),
        "{}",
        found["secret files"]
    );

    std::fs::write(data.join("cert.pem"), "no certificate").unwrap();
    std::fs::write(data.join("token.key"), "no key").unwrap();
    std::fs::write(data.join("MANIFEST"), "no manifest").unwrap();
    let found = ask(&[]);
    for name in ["certificate", "token keys", "format"] {
        assert_eq!(found[name]["verdict"], "fail", "{}", found[name]);
    }
}
