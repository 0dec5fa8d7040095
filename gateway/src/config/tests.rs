use std::collections::BTreeSet;
use std::time::Duration;

use super::raw::{Figure, RawConfig};
use super::*;
use crate::gcra::Limit;

fn load(set: &[&str]) -> Result<Config, ConfigError> {
    Sources {
        set: set.iter().map(|text| text.to_string()).collect(),
        ..Sources::default()
    }
    .load()
}

fn problem(set: &[&str]) -> String {
    load(set).expect_err("it must be refused").to_string()
}

fn file_problem(text: &str) -> String {
    parse("tidegate.toml", text)
        .expect_err("it must be refused")
        .to_string()
}

#[test]
fn the_default_file_parses_to_the_defaults() {
    let parsed: RawConfig = toml::from_str(DEFAULT_FILE).unwrap();
    assert_eq!(parsed, RawConfig::default());
    Config::check(parsed).unwrap();
}

/// The keys serde knows of, found by asking for one that nobody knows.
fn keys_of(section: &str) -> Vec<String> {
    let text = if section.is_empty() {
        "zz = 1".to_string()
    } else {
        format!("[{section}]\nzz = 1")
    };
    let error = toml::from_str::<RawConfig>(&text).unwrap_err();
    nearest::expected(error.message())
        .into_iter()
        .map(str::to_string)
        .collect()
}

#[test]
fn the_default_file_mentions_every_key_in_its_section() {
    let mut mentioned = BTreeSet::new();
    let mut section = String::new();
    for line in DEFAULT_FILE.lines() {
        if let Some(name) = section_of(line) {
            section = name.to_string();
        } else if let Some((key, _)) = line.trim_start_matches('#').split_once(" = ") {
            mentioned.insert(format!("{section}.{key}"));
        }
    }
    for section in keys_of("") {
        let inner = keys_of(&section);
        assert!(!inner.is_empty(), "{section}");
        for key in inner {
            let path = format!("{section}.{key}");
            if section == "limits" {
                for figure in ["rate", "burst"] {
                    assert!(mentioned.contains(&format!("{path}.{figure}")), "{path}.{figure}");
                }
            } else {
                assert!(mentioned.contains(&path), "{path}");
            }
        }
    }
    assert!(mentioned.len() > 50);
}

#[test]
fn the_default_file_explains_every_key() {
    let mut explained = false;
    for line in DEFAULT_FILE.lines() {
        if line.starts_with("# ") {
            explained = true;
        } else if line.is_empty() {
            explained = false;
        } else {
            assert!(explained || line.starts_with('['), "not explained: {line}");
        }
    }
}

#[test]
fn defaults_are_the_documented_ones() {
    let config = load(&[]).unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8443");
    assert_eq!(config.server.admin.to_string(), "127.0.0.1:9901");
    assert!(config.server.trusted_proxies.trusts("127.0.0.1".parse().unwrap()));
    assert_eq!(
        config.limits.user,
        Limit::Bucket {
            rate: 10.0,
            burst: 20
        }
    );
    assert_eq!(
        config.limits.address,
        Limit::Bucket {
            rate: 100.0,
            burst: 200
        }
    );
    assert_eq!(
        config.limits.handshakes,
        Limit::Bucket {
            rate: 20.0,
            burst: 100
        }
    );
    assert_eq!(config.timeouts.handshake, Duration::from_secs(5));
    assert!(config.tls.client_auth.is_none() && config.server.hand_over);
    assert_eq!(config.overload.shed_after, Duration::from_millis(50));
    assert_eq!(config.auth.leeway, Duration::from_secs(60));
    assert_eq!(config.tls.certificates[0].cert, Path::new("./data/cert.pem"));
    assert_eq!(config.shards.count, 64);
}

#[test]
fn an_unknown_key_names_its_line_its_section_and_the_nearest_key() {
    let text = file_problem("[server]\nthreads = 2\n\n[limits.user]\nrate = 5\nbursst = 7\n");
    assert!(
        text.starts_with("tidegate.toml:6: in [limits.user]: unknown field `bursst`"),
        "{text}"
    );
    assert!(text.ends_with("did you mean `burst`?"), "{text}");
    let text = file_problem("[sever]\nthreads = 2\n");
    assert!(
        text.starts_with("tidegate.toml:1: ") && text.ends_with("did you mean `server`?"),
        "{text}"
    );
    let text = file_problem("[[auth.keys]]\nkdi = \"a\"\n");
    assert!(
        text.contains("in [auth.keys]") && text.ends_with("did you mean `kid`?"),
        "{text}"
    );
}

#[test]
fn bad_toml_and_wrong_types_name_the_line() {
    assert!(file_problem("[server\n").starts_with("tidegate.toml:1: "));
    let text = file_problem("[server]\nthreads = \"two\"\n");
    assert!(
        text.starts_with("tidegate.toml:2: in [server]: invalid type"),
        "{text}"
    );
    let text = file_problem("[limits.user]\nrate = \"of\"\n");
    assert!(text.contains("a number or \"off\""), "{text}");
}

#[test]
fn the_environment_beats_the_file_and_set_beats_both_and_flags_beat_all() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.toml");
    std::fs::write(&path, "[server]\nlisten = \"127.0.0.1:1\"\nthreads = 1\n[shards]\nwindow_us = 1\n[limits.user]\nburst = 5\n")
        .unwrap();
    let variable = |name: &str, value: &str| (name.to_string(), value.to_string());
    let mut sources = Sources {
        file: Some(path),
        ..Sources::default()
    };
    let config = sources.load().unwrap();
    assert_eq!(
        config.limits.user,
        Limit::Bucket { rate: 10.0, burst: 5 },
        "a key left out keeps its default"
    );
    sources.environment = vec![
        variable("TIDEGATE_SERVER__LISTEN", "127.0.0.1:2"),
        variable("TIDEGATE_LIMITS__USER__RATE", "off"),
        variable("TIDEGATE_SHARDS__WINDOW_US", "2"),
        variable("TIDEGATE_SERVICE_HOST", "10.0.0.1"),
    ];
    sources.set = vec!["shards.window_us=3".into(), "server.listen=127.0.0.1:3".into()];
    sources.flags = vec![("server.listen", "127.0.0.1:4".into())];
    let config = sources.load().unwrap();
    assert_eq!(config.server.listen.port(), 4);
    assert_eq!(config.server.threads, Some(1));
    assert_eq!(config.shards.window, Duration::from_micros(3));
    assert_eq!(config.limits.user, Limit::Off);
}

#[test]
fn an_override_that_is_wrong_names_itself() {
    let sources = Sources {
        environment: vec![("TIDEGATE_LIMITS__USER__RAET".into(), "5".into())],
        ..Sources::default()
    };
    let text = sources.load().unwrap_err().to_string();
    assert!(
        text.starts_with("TIDEGATE_LIMITS__USER__RAET: ") && text.ends_with("did you mean `rate`?"),
        "{text}"
    );
    let text = problem(&["shards.cuont=3"]);
    assert!(
        text.starts_with("--set shards.cuont=3: ") && text.ends_with("did you mean `count`?"),
        "{text}"
    );
    assert!(problem(&["shards.count"]).contains("expected section.key=value"));
    assert!(problem(&["a b=3"]).contains("not a path"));
    assert!(problem(&["shards.count=three"]).contains("--set shards.count=three"));
}

#[test]
fn values_in_overrides_may_be_toml_or_plain_text() {
    let config = load(&[
        "server.trusted_proxies=[\"10.0.0.0/8\"]",
        "server.data=/var/lib/with space",
        "limits.address.burst=\"off\"",
        "logging.format=text",
        "auth.issuer=123",
        "shards.cores=[1, 2]",
    ])
    .unwrap();
    assert!(config.server.trusted_proxies.trusts("10.1.2.3".parse().unwrap()));
    assert_eq!(config.server.data, Path::new("/var/lib/with space"));
    assert_eq!(config.limits.address, Limit::Off);
    assert_eq!(config.auth.issuer, "123");
    assert!(!config.logging.json);
    assert_eq!(config.shards.threads, Some(2));
}

#[test]
fn a_listener_that_is_not_on_loopback_needs_trusted_proxies() {
    let text = problem(&["server.listen=0.0.0.0:443"]);
    assert!(text.starts_with("server.trusted_proxies: must be set"), "{text}");
    let config = load(&["server.listen=0.0.0.0:443", "server.trusted_proxies=[]"]).unwrap();
    assert!(config.server.trusted_proxies.networks().is_empty());
    assert!(load(&["server.listen=[::1]:443"]).is_ok());
}

#[test]
fn a_proxy_header_needs_somebody_to_believe() {
    let text = problem(&["server.proxy_protocol=on", "server.trusted_proxies=[]"]);
    assert!(
        text.starts_with("server.proxy_protocol: ") && text.contains("trusted_proxies"),
        "{text}"
    );
    assert!(load(&["server.proxy_protocol=on"]).unwrap().server.proxy_protocol);
    assert!(!load(&[]).unwrap().server.proxy_protocol);
}

#[test]
fn values_that_make_no_sense_are_refused_with_their_key() {
    for (setting, place) in [
        ("backoffice.mode=far", "backoffice.mode"),
        ("server.listen=localhost", "server.listen"),
        ("server.data=", "server.data"),
        (
            "server.trusted_proxies=[\"10.0.0.1/8\"]",
            "server.trusted_proxies",
        ),
        ("server.proxy_protocol=v3", "server.proxy_protocol"),
        ("shards.count=0", "shards.count"),
        ("shards.count=1025", "shards.count"),
        ("shards.segment_bytes=1048577", "shards.segment_bytes"),
        ("shards.backlog_bytes=4096", "shards.backlog_bytes"),
        ("shards.durability=replicated", "shards.durability"),
        ("shards.durability=bus", "shards.durability"),
        ("shards.checkpoint_bytes=1000", "shards.checkpoint_bytes"),
        ("shards.scrub_bytes_per_s=4294967297", "shards.scrub_bytes_per_s"),
        ("shards.writer=fast", "shards.writer"),
        ("shards.placement=nowhere", "shards.placement"),
        ("shards.threads=65", "shards.threads"),
        ("limits.user.rate=0", "limits.user"),
        ("limits.user.rate=-1", "limits.user"),
        ("limits.user.rate=1e12", "limits.user"),
        ("limits.user.rate=nan", "limits.user"),
        ("limits.user.burst=1.5", "limits.user.burst"),
        ("limits.user.burst=0", "limits.user"),
        ("timeouts.head_ms=0", "timeouts.head_ms"),
        ("http.target_bytes=100000", "http.target_bytes"),
        (
            "http.h2_stream_window_bytes=2147483648",
            "http.h2_stream_window_bytes",
        ),
        ("overload.shed_after_ms=0", "overload.shed_after_ms"),
        ("slow_lane.exchanges=0", "slow_lane.exchanges"),
        ("slow_lane.running=257", "slow_lane.running"),
        ("slow_lane.reads_per_s=9", "slow_lane.reads_per_s"),
        ("slow_lane.changes_per_s=100001", "slow_lane.changes_per_s"),
        ("slow_lane.slow_ms=5001", "slow_lane.slow_ms"),
        ("tls.cert=a.pem", "tls"),
        ("tls.client_auth=required", "tls.client_ca"),
        ("tls.client_ca=clients.pem", "tls.client_auth"),
        ("tls.client_auth=always", "tls.client_auth"),
        ("tls.sni=[{ cert = \"a\" }]", "tls.sni[0]"),
        ("auth.local_key=false", "auth"),
        ("auth.audience=", "auth.audience"),
        ("auth.jwks_url=http://idp.example/jwks", "auth.jwks_url"),
        ("auth.jwks_ca=ca.pem", "auth.jwks_ca"),
        ("auth.jwks_refresh_s=1", "auth.jwks_refresh_s"),
        ("auth.jwks_cooldown_s=0", "auth.jwks_cooldown_s"),
        (
            "auth.keys=[{ algorithm = \"none\", file = \"x\" }]",
            "auth.keys[0].algorithm",
        ),
        (
            "auth.keys=[{ algorithm = \"RS256\", secret = \"x\" }]",
            "auth.keys[0]",
        ),
        (
            "auth.keys=[{ algorithm = \"HS256\", secret = \"short\" }]",
            "auth.keys[0]",
        ),
        (
            "auth.keys=[{ algorithm = \"ES256\", file = \"x\", kid = \"local\" }]",
            "auth.keys",
        ),
    ] {
        let error = load(&[setting]).expect_err(setting);
        assert_eq!(error.place, place, "{setting}: {error}");
    }
}

#[test]
fn a_url_alone_is_a_source_of_keys() {
    let config = load(&["auth.local_key=false", "auth.jwks_url=https://idp.example/jwks"]).unwrap();
    let remote = config.auth.jwks.unwrap();
    assert_eq!(remote.url, "https://idp.example/jwks");
    assert_eq!(
        (remote.refresh, remote.cooldown),
        (Duration::from_secs(600), Duration::from_secs(30))
    );
}

#[test]
fn the_effective_configuration_hides_secrets_and_shows_what_was_filled_in() {
    let config = load(&[
        "auth.keys=[{ algorithm = \"HS256\", secret = \"0123456789abcdef0123456789abcdef\" }]",
        "limits.user.rate=50",
    ])
    .unwrap();
    let text = config.effective.to_string();
    assert!(!text.contains("0123456789abcdef"), "{text}");
    assert!(!format!("{config:?}").contains("0123456789abcdef"));
    assert_eq!(config.effective["auth"]["keys"][0]["secret"], "(hidden)");
    assert_eq!(config.effective["limits"]["user"]["rate"], 50);
    assert_eq!(config.effective["limits"]["user"]["burst"], 20);
    assert_eq!(config.effective["server"]["trusted_proxies"][0], "127.0.0.0/8");
    assert_eq!(config.effective["tls"]["cert"], "./data/cert.pem");
}

#[test]
fn a_figure_is_a_number_or_off() {
    let figure = |text: &str| {
        toml::from_str::<RawConfig>(&format!("[limits.user]\nrate = {text}")).map(|raw| raw.limits.user.rate)
    };
    assert_eq!(figure("5"), Ok(Figure::Number(5.0)));
    assert_eq!(figure("0.5"), Ok(Figure::Number(0.5)));
    assert_eq!(figure("\"off\""), Ok(Figure::Off));
    assert!(figure("true").is_err());
}

#[test]
fn the_store_is_under_the_data_directory_unless_its_path_is_absolute() {
    let store = |set: &[&str]| {
        let sources = Sources {
            set: set.iter().map(|pair| (*pair).to_owned()).collect(),
            ..Sources::default()
        };
        sources.load().map(|config| config.store)
    };
    let data = "server.data=/d";
    assert_eq!(store(&[data]).unwrap(), Path::new("/d/store.db"));
    assert_eq!(
        store(&[data, "backoffice.store=s/a.db"]).unwrap(),
        Path::new("/d/s/a.db")
    );
    assert_eq!(
        store(&[data, "backoffice.store=/disk/a.db"]).unwrap(),
        Path::new("/disk/a.db")
    );
    for (path, problem) in [
        ("", "must name a file"),
        ("/disk/", "names a folder"),
        ("..", "names a folder"),
        ("a/.", "names a folder"),
    ] {
        let error = store(&[data, &format!("backoffice.store={path}")]).unwrap_err();
        assert!(
            error.place == "backoffice.store" && error.problem.contains(problem),
            "{path}: {error}"
        );
    }
}
