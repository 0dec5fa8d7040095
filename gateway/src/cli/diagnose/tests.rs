use super::config_text::{secrets, without_secrets};
use super::scrub::{HIDDEN, Scrubber, masked};
use super::*;

fn scrubber(secrets: &[&str]) -> Scrubber {
    Scrubber::new(secrets.iter().map(|secret| (*secret).to_owned()).collect(), false)
}

#[test]
fn what_is_secret_by_its_form_is_hidden_wherever_it_stands() {
    for (text, scrubbed) in [
        ("a hunter2-and-more b", "a (hidden) b"),
        (
            "mysql://shop:pw@db:3306/shop?ssl=1 ok",
            "mysql://(hidden)@db:3306/shop?(hidden) ok",
        ),
        ("\"https://idp/keys?token=x\"", "\"https://idp/keys?(hidden)\""),
        ("http://127.0.0.1:9901/config", "http://127.0.0.1:9901/config"),
        ("Bearer eyJhbGciOi.eyJzdWIi.c2ln, said", "Bearer (hidden), said"),
        ("eyJ is no token", "eyJ is no token"),
        (
            "x -----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY----- y",
            "x (hidden) y",
        ),
        ("-----BEGIN EC PRIVATE KEY-----\nMC4C", "(hidden)"),
        (
            "-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE----- z",
            "-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE----- z",
        ),
        ("日本 :// @ eyJ -----BEGIN", "日本 :// @ eyJ -----BEGIN"),
    ] {
        assert_eq!(scrubber(&["hunter2-and-more", "and"]).text(text), scrubbed);
    }
}

#[test]
fn secrets_of_a_configuration_are_hidden_by_name_at_any_depth() {
    let json = r#"{"auth":{"keys":[{"kid":"a","secret":"s3"}],"cache_tokens":5},
        "pay":{"merchant":{"API_KEY":"k","Password":"p","name":"n","access_token":"t"}},"tls":{"key":"/etc/key.pem"}}"#;
    let shown: serde_json::Value = serde_json::from_str(&without_secrets(json.as_bytes()).unwrap()).unwrap();
    assert_eq!(shown["auth"]["keys"][0]["secret"], HIDDEN);
    assert_eq!(shown["pay"]["merchant"]["API_KEY"], HIDDEN);
    assert_eq!(shown["pay"]["merchant"]["Password"], HIDDEN);
    assert_eq!(shown["pay"]["merchant"]["access_token"], HIDDEN);
    assert_eq!(shown["pay"]["merchant"]["name"], "n");
    assert_eq!(shown["tls"]["key"], "/etc/key.pem");
    assert_eq!(shown["auth"]["cache_tokens"], 5);
}

#[test]
fn secrets_are_found_in_a_file_that_does_not_load_and_on_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.toml");
    std::fs::write(
        &file,
        "[[auth.keys]\nkid = \"a\"\n# the secret is in \"the safe\"\nsecret = 'in the file'\nserver.x = 1\n",
    )
    .unwrap();
    let args = RunArgs {
        config: Some(file),
        set: vec![
            "auth.keys=[{kid=\"b\", secret=\"on the line\"}]".into(),
            "store.password=plain".into(),
        ],
        ..RunArgs::default()
    };
    let mut found = secrets(&args, None);
    found.sort();
    assert_eq!(found, ["in the file", "on the line", "plain"]);
}

#[test]
fn a_record_of_the_recorder_shows_what_happened_and_to_nobody() {
    let json = br#"{"remembers":7,"requests":[{"at":"t","id":"r1","route":"/v1/orders","status":201,"total_us":12.5,
        "stages":{"decide_us":1.0},"client":"203.0.113.9","buyer":"alice","sku":"SKU-1","order":"42","new":"?"}]}"#;
    let shown: serde_json::Value = serde_json::from_str(&scrubber(&[]).requests(json).unwrap()).unwrap();
    let record = shown["requests"][0].as_object().unwrap();
    assert_eq!(record["client"], "203.0.113.0/24");
    assert_eq!((&record["status"], &record["id"]), (&201.into(), &"r1".into()));
    assert_eq!(record["stages"]["decide_us"], 1.0);
    for gone in ["buyer", "sku", "order", "new"] {
        assert!(!record.contains_key(gone), "{gone}");
    }
    let whole = Scrubber::new(Vec::new(), true).requests(json).unwrap();
    assert!(whole.contains("203.0.113.9"));
    assert!(
        scrubber(&[]).requests(b"[1]").is_err(),
        "an unknown form is not let through"
    );
    assert_eq!(masked("2001:db8:1:2::3".parse().unwrap()), "2001:db8:1::/48");
    assert_eq!(masked("::ffff:192.0.2.7".parse().unwrap()), "192.0.2.0/24");
}

#[test]
fn the_worst_comes_first_and_three_are_named() {
    let mut bundle = Bundle::new(scrubber(&[]));
    let mut put = |name, text: &str| bundle.put(name, Ok(text.as_bytes().to_vec()));
    put("readyz.txt", "ready\n");
    put(
        "doctor.txt",
        "ok    kernel  x\nwarn  swap  a: b; c\nFAIL  port  d: e; f\n",
    );
    put(
        "breakers.json",
        r#"[{"name":"shard-0","state":"open","forced":"open"},{"name":"shard-1","state":"closed"}]"#,
    );
    put("log.txt", "log 1: 2 segments\n  FAULT: torn\n");
    put("metrics-1.txt", "tidegate_refusals_total{reason=\"full\"} 5\n");
    put("metrics-2.txt", "tidegate_refusals_total{reason=\"full\"} 9\n");
    assert_eq!(
        findings::of(&bundle),
        [
            "the log has a fault: torn",
            "breaker shard-0 is open, by an operator's hand",
            "doctor: port d: e; f",
        ]
    );
    assert!(findings::of(&Bundle::new(scrubber(&[])))[0].contains("no gateway answers"));
}

#[test]
fn counters_of_trouble_that_rose_are_named_by_how_much() {
    let before = "# HELP x\na_failed_total{k=\"v\"} 5\nb_total 1\nc_shed_total 2\n";
    let after = "a_failed_total{k=\"v\"} 6\nb_total 100\nc_shed_total 9\nd_faults_total 3\n";
    let risen: Vec<String> = findings::risen(before, after).collect();
    assert_eq!(
        risen,
        [
            "c_shed_total rose by 7 while it was watched",
            "d_faults_total rose by 3 while it was watched",
            "a_failed_total{k=\"v\"} rose by 1 while it was watched",
        ]
    );
}

#[test]
fn a_name_tells_the_time() {
    for (second, name) in [
        (0, "19700101T000000Z"),
        (951_782_400, "20000229T000000Z"),
        (1_767_323_045, "20260102T030405Z"),
        (4_102_444_799, "20991231T235959Z"),
    ] {
        assert_eq!(bundle::stamp(second), name);
    }
}

#[test]
fn flags_of_the_kernel_are_picked_and_the_rest_stays() {
    assert_eq!(
        system::flags("root=UUID=1 isolcpus=2,3 quiet mitigations=off key=x"),
        "isolcpus=2,3 mitigations=off\n"
    );
}
