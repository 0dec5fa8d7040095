//! What every command says when it cannot do what it is asked: the real binary, from outside.

mod common;

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::{Gateway, TIDEGATE, path, text};

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
    let mut beside = start(&fresh, &[]);
    beside[4].clone_from(&holder.address);
    let cases: Vec<(Vec<String>, &str, &str)> = vec![
        // Of the same user, and with SO_REUSEPORT itself.
        (beside, "Address already in use", "choose another with --listen"),
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
    let output = ends(args);
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

/// What a command says that ends by itself. One that serves instead is ended after 20 s.
fn ends(args: &[&str]) -> Output {
    let mut child = Command::new(TIDEGATE)
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let until = Instant::now() + Duration::from_secs(20);
    while child.try_wait().expect("a child").is_none() {
        if Instant::now() > until {
            child.kill().expect("it runs");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().expect("it has ended")
}
