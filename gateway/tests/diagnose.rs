//! `tidegate diagnose`: the real binary, from outside.

mod common;

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::{Gateway, path, text, tidegate};

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
        "system/mount-store.txt",
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
