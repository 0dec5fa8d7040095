//! What the load generator says when it cannot do what it is asked: the real binary, from outside.

use std::process::Command;

#[test]
fn every_error_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let no_key = folder.path().join("token.key");
    std::fs::write(&no_key, "no key").unwrap();
    let no_key = no_key.to_str().unwrap();
    let nobody = "http://127.0.0.1:1";
    for (args, wrong, remedy) in [
        (
            &["run", "--target", "127.0.0.1:8443"][..],
            "--target 127.0.0.1:8443",
            "https://127.0.0.1:8443",
        ),
        (
            &["run", "--target", "ftp://shop"],
            "--target ftp://shop",
            "want a URL such as",
        ),
        (
            &["run", "--target", "http://no-such-host.invalid"],
            "no-such-host",
            "spell its host otherwise",
        ),
        (
            &["run", "--target", "https://127.0.0.1:1"],
            "whose certificate to believe?",
            "--cacert FILE",
        ),
        (
            &["run", "--target", nobody],
            "who signs the users' tokens?",
            "--token-key FILE",
        ),
        (
            &["run", "--target", nobody, "--token-key", "/nowhere"],
            "No such file",
            "name DATA/token.key",
        ),
        (
            &["run", "--target", nobody, "--token-key", no_key],
            "not an Ed25519",
            "name DATA/token.key",
        ),
        (
            &["run", "--target", "https://127.0.0.1:1", "--cacert", "/nowhere"],
            "--cacert /nowhere",
            "name DATA/cert.pem",
        ),
        (
            &["run", "--target", nobody, "--rate", "fast"],
            "fast",
            "want a rate in requests per second",
        ),
        (
            &["drill", "--tidegate", "/nowhere"],
            "where is the gateway?",
            "--tidegate PROGRAM",
        ),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_tidegate-loadgen"))
            .args(args)
            .output()
            .expect("the binary starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        let at = said
            .find(wrong)
            .unwrap_or_else(|| panic!("{args:?} does not say {wrong:?}: {said}"));
        assert!(
            said[at..].contains(remedy),
            "{args:?} does not say {remedy:?}: {said}"
        );
    }
}
