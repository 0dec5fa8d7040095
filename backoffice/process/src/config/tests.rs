use std::collections::BTreeSet;

use super::*;

fn load(set: &[&str]) -> Result<Config, ConfigError> {
    Sources {
        set: set.iter().map(|text| (*text).to_owned()).collect(),
        ..Sources::default()
    }
    .load()
}

fn problem(set: &[&str]) -> String {
    load(set).expect_err("it must be refused").to_string()
}

fn with_environment(variables: &[(&str, &str)], set: &[&str]) -> Result<Config, ConfigError> {
    Sources {
        set: set.iter().map(|text| (*text).to_owned()).collect(),
        environment: variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        ..Sources::default()
    }
    .load()
}

#[test]
fn the_default_file_parses_to_the_defaults() {
    let parsed: RawConfig = toml::from_str(DEFAULT_FILE).unwrap();
    assert_eq!(parsed, RawConfig::default());
    Config::check(&parsed, Secrets::default()).unwrap();
}

/// The keys serde knows of, found by asking for one that nobody knows.
fn keys_of(section: &str) -> Vec<String> {
    let text = match section {
        "" => "zz = 1".to_owned(),
        section => format!("[{section}]\nzz = 1"),
    };
    let error = toml::from_str::<RawConfig>(&text).unwrap_err();
    let keys = nearest::expected(error.message());
    keys.into_iter().map(str::to_owned).collect()
}

#[test]
fn the_default_file_has_every_key_in_its_section() {
    let (mut there, mut section) = (BTreeSet::new(), String::new());
    for line in DEFAULT_FILE.lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = section_of(line) {
            section = name.to_owned();
        } else if let Some((key, _)) = line.split_once(" = ") {
            there.insert(format!("{section}.{key}"));
        }
    }
    for section in keys_of("") {
        let keys = keys_of(&section);
        assert!(!keys.is_empty(), "{section}");
        for key in keys {
            assert!(there.contains(&format!("{section}.{key}")), "{section}.{key}");
        }
    }
}

#[test]
fn an_unknown_key_names_its_line_its_section_and_the_nearest_key() {
    let error = parse("backoffice.toml", "[grpc]\n\nlissten = \"x\"\n").unwrap_err();
    assert_eq!(error.place, "backoffice.toml:3");
    assert!(error.problem.contains("[grpc]"), "{error}");
    assert!(error.problem.ends_with("did you mean `listen`?"), "{error}");
    assert!(problem(&["grcp.listen=x"]).contains("did you mean `grpc`?"));
    assert!(problem(&["process.roles=[\"fed\"]"]).contains("did you mean \"feed\"?"));
}

#[test]
fn the_environment_beats_the_file_and_set_beats_both_and_roles_beat_all() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("b.toml");
    std::fs::write(
        &file,
        "[process]\nshards = 8\nstop_ms = 200\nroles = [\"api\"]\nbus = \"kafka\"",
    )
    .unwrap();
    let sources = Sources {
        file: Some(file),
        environment: vec![
            ("BACKOFFICE_PROCESS__SHARDS".into(), "16".into()),
            ("BACKOFFICE_PROCESS__STOP_MS".into(), "300".into()),
            ("BACKOFFICE_PORT".into(), "tcp://10.0.0.1:80".into()),
        ],
        set: vec!["process.stop_ms=400".into()],
        roles: Some(vec!["feed".into(), "store".into()]),
    };
    let config = sources.load().unwrap();
    assert_eq!((config.shards, config.stop.as_millis()), (16, 400));
    assert_eq!(config.roles, BTreeSet::from([Role::Feed, Role::Store]));
    assert!(config.follows_bus());
    assert_eq!(config.kafka.shards, 16, "the topic has as many partitions");
}

#[test]
fn elsewhere_than_on_loopback_it_wants_tls_and_to_know_who_dials() {
    let open = "grpc.listen=0.0.0.0:7445";
    let tls = ["grpc.cert=/c.pem", "grpc.key=/k.pem"];
    assert!(problem(&[open]).contains("grpc.cert"));
    assert!(problem(&[open, tls[0], tls[1]]).contains("grpc.client_ca or grpc.token_file"));
    assert!(load(&[open, tls[0], tls[1], "grpc.client_ca=/ca.pem"]).is_ok());
    let token = [("BACKOFFICE_GRPC_TOKEN", "0123456789abcdef")];
    assert!(with_environment(&token, &[open, tls[0], tls[1]]).is_ok());
    assert!(
        with_environment(&token, &[open]).is_err(),
        "a token in the clear is everybody's"
    );
    assert!(load(&[open, "grpc.insecure=true"]).is_ok());
    assert!(load(&["grpc.listen=[::1]:0"]).is_ok());
}

#[test]
fn values_that_make_no_sense_are_refused_with_their_key() {
    for (set, key) in [
        (&["process.shards=0"][..], "process.shards"),
        (&["process.shards=1025"], "process.shards"),
        (&["process.roles=[]"], "process.roles"),
        (&["process.bus=rabbit"], "process.bus"),
        (&["process.stop_ms=1"], "process.stop_ms"),
        (&["grpc.listen=nowhere"], "grpc.listen"),
        (&["grpc.cert=/c.pem"], "grpc.key"),
        (&["grpc.key=/k.pem"], "grpc.cert"),
        (&["grpc.client_ca=/ca.pem"], "grpc.client_ca"),
        (&["grpc.window_bytes=1"], "grpc.window_bytes"),
        (&["grpc.token_file=/nowhere/token"], "/nowhere/token"),
        (&["feed.marks_ms=1"], "feed.marks_ms"),
        (&["mysql.url=postgres://u@h/d"], "mysql.url"),
        (&["mysql.url=mysql://h/d"], "mysql.url"),
        (&["mysql.url=mysql://u@h/"], "mysql.url"),
        (&["mysql.readers=0"], "mysql.readers"),
        (&["kafka.topic=a/b"], "topic"),
        (&["kafka.min_insync_replicas=4"], "min_insync_replicas"),
        (&["kafka.compression=zip"], "kafka.compression"),
        (&["kafka.user=u"], "kafka.password_file"),
        (&["kafka.more={ acks = \"1\" }"], "acks"),
        (
            &["kafka.more={ \"sasl.password\" = \"x\" }"],
            "kafka.password_file",
        ),
        (&["admin.listen=7446"], "admin.listen"),
        (&["logging.filter=info,=x=y"], "logging.filter"),
    ] {
        let line = problem(set);
        assert!(line.contains(key), "{set:?}: {line}");
    }
}

#[test]
fn a_password_in_the_url_is_refused_and_one_from_elsewhere_is_put_in_whatever_it_holds() {
    let line = problem(&["mysql.url=mysql://u:secret@h/d"]);
    assert!(
        line.contains("mysql.password_file") && !line.contains("secret@"),
        "{line}"
    );
    let config = with_environment(
        &[("BACKOFFICE_MYSQL_PASSWORD", "p@ss/w:rd%")],
        &["mysql.url=mysql://u@h:3306/d?require_ssl=true"],
    )
    .unwrap();
    assert_eq!(
        config.mysql.url,
        "mysql://u:p%40ss%2Fw%3Ard%25@h:3306/d?require_ssl=true"
    );
    assert!(!format!("{config:?}").contains("p%40"));
}

#[test]
fn secrets_come_from_files_without_the_end_of_their_line_and_are_not_printed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let set = format!("grpc.token_file={}", file.display());
    std::fs::write(&file, "0123456789abcdef-and-more\n").unwrap();
    let config = load(&[&set]).unwrap();
    assert_eq!(
        config.grpc.token.as_ref().unwrap().expose(),
        "0123456789abcdef-and-more"
    );
    assert!(!format!("{config:?}").contains("0123456789"));
    std::fs::write(&file, "\n").unwrap();
    assert!(problem(&[&set]).contains("is empty"));
    std::fs::write(&file, "short").unwrap();
    assert!(problem(&[&set]).contains("at least 16"));
}

#[test]
fn a_kafka_password_is_given_to_librdkafka_and_to_nobody_else() {
    let config = with_environment(
        &[("BACKOFFICE_KAFKA_PASSWORD", "hidden")],
        &[
            "kafka.user=shop",
            "kafka.more={ \"security.protocol\" = \"sasl_plaintext\" }",
        ],
    )
    .unwrap();
    let has = |name: &str, value: &str| config.kafka.more.contains(&(name.into(), value.into()));
    assert!(has("sasl.username", "shop") && has("sasl.password", "hidden"));
    assert!(has("security.protocol", "sasl_plaintext"));
    assert!(!format!("{config:?}").contains("hidden"));
}
