//! `tidegate doctor` and `tidegate diagnose`, and what every command says when it cannot do what it is asked: the real binary, from outside.

mod common;

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use common::{Gateway, TIDEGATE};
use serde_json::Value;

fn tidegate(args: &[&str]) -> Output {
    Command::new(TIDEGATE)
        .args(args)
        .output()
        .expect("the binary starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

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
        } else {
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

/// The members of a bundle by name.
fn bundle(file: &Path) -> BTreeMap<String, Vec<u8>> {
    let zipped = std::fs::File::open(file).expect("it was written");
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(zipped));
    let entries = archive.entries().expect("an archive");
    entries
        .map(|entry| {
            let mut entry = entry.expect("an entry");
            assert_eq!(entry.header().mode().expect("a mode"), 0o600);
            let name = text(&entry.path_bytes())
                .trim_start_matches("tidegate-diagnose/")
                .to_owned();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("its bytes");
            (name, bytes)
        })
        .collect()
}

#[test]
fn a_bundle_holds_what_is_needed_and_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let secret_in_file = "PLANTED-IN-A-FILE-0123456789abcdef0123";
    let secret_in_config = "PLANTED-IN-THE-CONFIG-0123456789abcdef";
    std::fs::write(at("hs256.secret"), secret_in_file).unwrap();
    let tickets = "a1b2c3d4".repeat(8);
    std::fs::write(at("tickets"), format!("{tickets}\n")).unwrap();
    let config = format!(
        "[tls]\nticket_key_file = {:?}\n[auth]\nkeys = [{{ kid = \"one\", algorithm = \"HS256\", secret = {secret_in_config:?} }}, \
         {{ kid = \"two\", algorithm = \"HS256\", file = {:?} }}]\njwks_url = \"http://127.0.0.1:9/keys?PLANTED-QUERY=1\"\n",
        at("tickets"),
        at("hs256.secret")
    );
    std::fs::write(at("tidegate.toml"), &config).unwrap();
    let data = at("data");
    let gateway = Gateway::start_with(&data, &at("tidegate.toml"));
    let token = gateway.token("PLANTED-USER", None);
    let mut client = gateway.connect();
    let placed = client.place(&token, "PLANTED-KEY", "SKU-1", 1);
    assert_eq!(placed.status, 201);

    let out = at("bundle.tar.gz");
    let config_file = at("tidegate.toml");
    let args = [
        "diagnose",
        "--config",
        path(&config_file),
        "--data",
        path(&data),
        "--listen",
        &gateway.address,
        "--admin",
        &gateway.admin,
        "--seconds",
        "1",
        "--out",
        path(&out),
    ];
    let output = tidegate(&args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout).trim(), path(&out));
    assert!(
        text(&output.stderr).contains("metrics-2.txt"),
        "progress is shown"
    );
    assert_eq!(
        std::fs::metadata(&out).unwrap().permissions().mode() & 0o777,
        0o600
    );

    let parts = bundle(&out);
    for name in [
        "SUMMARY.md",
        "version.txt",
        "doctor.txt",
        "doctor.json",
        "readyz.txt",
        "breakers.json",
        "reload.json",
        "metrics-1.txt",
        "metrics-2.txt",
        "config.json",
        "MANIFEST",
        "log.txt",
        "system/uname.txt",
        "system/limits.txt",
        "system/mount.txt",
    ] {
        assert!(
            parts.contains_key(name),
            "{name} is missing: {}",
            text(&output.stderr)
        );
    }
    let summary = text(&parts["SUMMARY.md"]);
    assert!(
        summary.contains("## Look here first") && summary.contains("| log.txt |"),
        "{summary}"
    );
    assert!(
        text(&parts["log.txt"]).contains("last op by shard: "),
        "{}",
        text(&parts["log.txt"])
    );
    assert!(text(&parts["config.json"]).contains("\"ticket_key_file\""));

    let private = std::fs::read_to_string(data.join("key.pem")).unwrap();
    let signing = std::fs::read_to_string(data.join("token.key")).unwrap();
    let order = placed.member("order_id");
    let planted = [
        secret_in_file,
        secret_in_config,
        &tickets,
        "PLANTED",
        &token,
        "PRIVATE KEY",
        &order,
        private.lines().nth(1).unwrap(),
        signing.lines().nth(1).unwrap(),
    ];
    for (name, bytes) in &parts {
        let content = text(bytes);
        for secret in planted {
            assert!(!content.contains(secret), "{name} holds {secret}");
        }
    }
    assert!(
        !tidegate(&args).status.success(),
        "a bundle that is there is not replaced"
    );
}

#[test]
fn a_bundle_is_written_when_nothing_runs_and_the_configuration_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("c.toml");
    std::fs::write(
        &config,
        "[[auth.keys]]\nsecrett = \"PLANTED-MISTAKE\"\nsecret = \"PLANTED-SECRET\"\n",
    )
    .unwrap();
    let out = folder.path().join("b.tar.gz");
    let output = tidegate(&[
        "diagnose",
        "--config",
        path(&config),
        "--data",
        path(folder.path()),
        "--admin",
        "127.0.0.1:1",
        "--seconds",
        "1",
        "--out",
        path(&out),
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let parts = bundle(&out);
    let summary = text(&parts["SUMMARY.md"]);
    assert!(
        summary.contains("no gateway answers") && summary.contains("- metrics-1.txt"),
        "{summary}"
    );
    assert!(summary.contains("unknown field `secrett`"), "{summary}");
    assert!(parts.values().all(|bytes| !text(bytes).contains("PLANTED")));
}

/// A case: what is asked, what is said to be wrong, what is said to be done.
type Case<'a> = (&'a [&'a str], &'a str, &'a str);

#[test]
fn every_error_ends_in_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| {
        let directory = folder.path().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        directory
    };
    let (served, locked) = (at("served"), at("locked"));
    drop(Gateway::start(&served, &[]));
    let holder = Gateway::start(&locked, &[]);
    let broken = |name: &str, file: &str, text: &str| {
        let directory = at(name);
        for known in ["cert.pem", "key.pem", "token.key", "MANIFEST"] {
            std::fs::copy(served.join(known), directory.join(known)).unwrap();
        }
        std::fs::write(directory.join(file), text).unwrap();
        directory
    };
    let bad_cert = broken("bad cert", "cert.pem", "x");
    let bad_key = broken("bad key", "token.key", "x");
    let bad_manifest = broken("bad manifest", "MANIFEST", "x");
    let half_pair = broken("half pair", "LOCK", "");
    std::fs::remove_file(half_pair.join("key.pem")).unwrap();
    let no_manifest = at("no manifest");
    std::fs::create_dir_all(no_manifest.join("logs/00000000000000aa")).unwrap();
    std::fs::write(
        no_manifest.join("logs/00000000000000aa/0000000001.seg"),
        vec![0; 8192],
    )
    .unwrap();
    let a_file = folder.path().join("file");
    std::fs::write(&a_file, "[server]\nlisten = 5\nthreadz = 1\n").unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = port.local_addr().unwrap().to_string();
    let fresh = at("fresh");
    let below_file = a_file.join("data");

    let free = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let start = |data: &Path, more: &[&str]| -> Vec<String> {
        let fixed = ["run", "--data", path(data)];
        fixed
            .iter()
            .chain(&free)
            .chain(more)
            .map(|word| (*word).to_owned())
            .collect()
    };
    let other_port = |data: &Path, flag: &str| -> Vec<String> {
        let mut args = start(data, &[]);
        let at = args.iter().position(|word| word == flag).unwrap();
        args[at + 1].clone_from(&taken);
        args
    };
    let cases: Vec<(Vec<String>, &str, &str)> = vec![
        (
            other_port(&fresh, "--listen"),
            "Address already in use",
            "choose another with --listen",
        ),
        (
            other_port(&fresh, "--admin"),
            "the admin address",
            "choose another with --admin",
        ),
        (
            start(&locked, &[]),
            "another tidegate uses this data directory",
            "stop it first",
        ),
        (
            start(&below_file, &[]),
            "Not a directory",
            "choose another directory with --data",
        ),
        (
            start(&bad_cert, &[]),
            "cert.pem",
            "put the right file there or name another in [tls]",
        ),
        (
            start(&bad_key, &[]),
            "token.key",
            "put the right key there or name another in [auth]",
        ),
        (
            start(&half_pair, &[]),
            "is there without",
            "the start makes a new pair",
        ),
        (
            start(&bad_manifest, &[]),
            "the manifest is damaged",
            "restore it from a copy",
        ),
        (
            start(&no_manifest, &[]),
            "the file MANIFEST is missing",
            "choose a new one with --data",
        ),
        (
            start(
                &served,
                &["--set", "shards.threads=65", "--set", "shards.count=70"],
            ),
            "65 shard threads for 64 shards",
            "set shards.threads",
        ),
        (
            start(&fresh, &["--set", "server.threadz=1"]),
            "unknown field",
            "did you mean `threads`?",
        ),
        (
            start(&fresh, &["--set", "server.io=fast"]),
            "`fast` is none of",
            "auto, uring, epoll, monoio",
        ),
        (
            start(&fresh, &["--listen", "0.0.0.0:0"]),
            "cannot be used multiple times",
            "--help",
        ),
    ];
    for (args, wrong, remedy) in &cases {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        says(&(&args, wrong, remedy));
    }
    let nowhere = folder.path().join("nowhere");
    for case in [
        (
            &["check-config", path(&nowhere)][..],
            "No such file",
            "`tidegate config default > FILE` makes one",
        ),
        (&["check-config", path(&a_file)], "[server]", "expected a string"),
        (
            &["token", "--user", "a", "--data", path(&nowhere)],
            "does not exist",
            "name its data directory with --data",
        ),
        (
            &["token", "--user", "a", "--data", path(&bad_key)],
            "not an Ed25519 private key",
            "data directory with --data",
        ),
        (
            &["token", "--user", "", "--data", path(&served)],
            "a user's name",
            "1 to 128 bytes",
        ),
        (
            &["log", "verify", path(&nowhere)],
            "No such file",
            "name a data directory that tidegate has served",
        ),
        (
            &["log", "dump", path(&bad_manifest)],
            "the manifest is damaged",
            "restore it from a copy",
        ),
        (
            &["diagnose", "--out", path(&served)],
            "is there already",
            "name another file with --out",
        ),
    ] {
        says(&case);
    }
    drop(holder);
}

fn says((args, wrong, remedy): &Case<'_>) {
    let output = tidegate(args);
    let said = text(&output.stderr);
    assert!(
        matches!(output.status.code(), Some(1 | 2)),
        "{args:?}: {:?} {said}",
        output.status
    );
    let at = said
        .find(wrong)
        .unwrap_or_else(|| panic!("{args:?} does not say {wrong:?}: {said}"));
    assert!(
        said[at..].contains(remedy),
        "{args:?} does not say {remedy:?}: {said}"
    );
}
