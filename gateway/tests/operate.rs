//! What an operator changes while the gateway runs, from outside.

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::{Client, Gateway, until};
use rustix::process::Signal;
use serde_json::{Value, json};

/// A gateway with a file that the test changes.
struct Operated {
    folder: tempfile::TempDir,
    gateway: Gateway,
}

/// Files are looked at once an hour: a test that waits for less asks for the reload.
const NO_LOOKS: &str = "[tls]\nreload_s = 3600\n";

impl Operated {
    fn new(text: &str) -> Operated {
        let folder = tempfile::tempdir().unwrap();
        let file = Operated::file_in(folder.path());
        std::fs::write(&file, text).unwrap();
        let gateway = Gateway::start_with(&folder.path().join("data"), &file);
        Operated { folder, gateway }
    }

    fn file_in(folder: &Path) -> PathBuf {
        folder.join("tidegate.toml")
    }

    fn write(&self, text: &str) {
        std::fs::write(Operated::file_in(self.folder.path()), text).unwrap();
    }

    fn last_reload(&self) -> Value {
        serde_json::from_str(&self.gateway.admin("/reload").1).unwrap()
    }

    fn reloads(&self, result: &str) -> u64 {
        self.gateway
            .figure(&format!("tidegate_config_reloads_total{{result=\"{result}\"}}"))
    }
}

/// How many of `count` orders are placed; the others are 429.
fn placed(client: &mut Client, token: &str, name: &str, count: usize) -> usize {
    let statuses = (0..count).map(|n| client.place(token, &format!("{name}-{n}"), "SKU-1", 1).status);
    statuses
        .inspect(|status| assert!([201, 429].contains(status), "{status}"))
        .filter(|status| *status == 201)
        .count()
}

#[test]
fn limits_change_by_sighup_and_by_the_admin_address_and_a_bad_file_keeps_the_old() {
    let with = |limit: &str| {
        format!("{NO_LOOKS}[limits.address]\nrate = \"off\"\n[limits.user]\n{limit}\n[server]\nthreads = 2\n")
    };
    let shop = Operated::new(&with("rate = 0.01\nburst = 3"));
    let gateway = &shop.gateway;
    let alice = gateway.token("alice", None);
    // Two connections: whichever threads they met follow.
    let (mut one, mut two) = (gateway.connect(), gateway.connect());
    let mut both = |name: &str, count: usize| {
        placed(&mut one, &alice, &format!("{name}-1"), count)
            + placed(&mut two, &alice, &format!("{name}-2"), count)
    };
    assert_eq!(both("slow", 5), 3);

    shop.write(&with("rate = 1000\nburst = 1000"));
    gateway.signal(Signal::HUP);
    until("the reload", || shop.reloads("applied") == 1);
    assert_eq!(
        shop.last_reload()["changed"],
        json!(["limits.user.burst", "limits.user.rate"])
    );
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(both("fast", 30), 60, "nobody waits for the old rate");

    shop.write(&with("rate = \"fast\""));
    gateway.signal(Signal::HUP);
    until("the refusal", || shop.reloads("failed") == 1);
    let error = shop.last_reload()["error"].to_string();
    assert!(
        error.contains("tidegate.toml") && error.contains("[limits.user]"),
        "{error}"
    );
    assert_eq!(gateway.ask_admin("POST", "/reload").0, 422);
    assert_eq!(both("still", 10), 20);
    let shown: Value = serde_json::from_str(&gateway.admin("/config").1).unwrap();
    assert_eq!(shown["limits"]["user"]["rate"], 1000);

    let waits = "threads = 7\n[tls]\nticket_key_file = \"/nowhere\"\n";
    let text = with("rate = 0.01\nburst = 2").replace(NO_LOOKS, "");
    shop.write(&text.replace("threads = 2\n", waits));
    let (status, text) = gateway.ask_admin("POST", "/reload");
    let outcome: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &outcome["result"]), (200, &json!("applied")), "{text}");
    assert_eq!(
        outcome["at_the_next_start"],
        json!(["server.threads", "tls.reload_s", "tls.ticket_key_file"])
    );
    assert!(both("slower", 5) <= 2);
}

#[test]
fn a_changed_file_is_noticed_and_new_connections_get_it() {
    let with = |more: &str| format!("[tls]\nreload_s = 1\n[limits.address]\nrate = \"off\"\n{more}");
    let shop = Operated::new(&with(""));
    let gateway = &shop.gateway;
    let alice = gateway.token("alice", None);
    let mut old = gateway.connect();
    let large = format!("{{\"lines\":[],\"more\":\"{}\"}}", "x".repeat(4096));
    let ask = |client: &mut Client, body: &str| {
        client
            .request("POST", "/v1/orders", &alice, &[("idempotency-key", "k")], body)
            .status
    };
    assert_eq!(ask(&mut old, &large), 400);

    shop.write(&with("[http]\nbody_bytes = 1024\n"));
    until("the file is noticed", || shop.reloads("applied") == 1);
    assert_eq!(
        ask(&mut old, &large),
        400,
        "an old connection keeps what it was told"
    );
    until("a new connection is told the new bound", || {
        ask(&mut gateway.connect(), &large) == 413
    });

    // Another key takes the place of the local one: its tokens are refused at once, on old connections, too.
    let secret = "0123456789abcdef0123456789abcdef";
    shop.write(&with(&format!(
        "[auth]\nlocal_key = false\nkeys = [{{ algorithm = \"HS256\", secret = \"{secret}\" }}]\n"
    )));
    assert_eq!(gateway.ask_admin("POST", "/reload").0, 200);
    assert_eq!(ask(&mut old, "{}"), 401);
}

/// Answers every connection on `listener` with `body`, until the process ends.
fn publish(listener: TcpListener, body: String) {
    std::thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            let mut head = [0; 2048];
            _ = socket.read(&mut head);
            _ = write!(
                socket,
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
        }
    });
}

/// A key of an identity provider: its JWKS, and a token for `user` under it.
fn provider_key(kid: &str, user: &str) -> (String, String) {
    use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
    let mut jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
    jwk.common.key_id = Some(kid.to_owned());
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some(kid.to_owned());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({ "iss": "idp", "aud": "shop", "sub": user, "exp": now + 600 });
    let token = jsonwebtoken::encode(&header, &claims, &key).unwrap();
    (json!({ "keys": [jwk] }).to_string(), token)
}

#[test]
fn a_start_with_the_identity_provider_down_serves_local_tokens_and_finds_the_provider_later() {
    let folder = tempfile::tempdir().unwrap();
    let address: SocketAddr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("auth.jwks_url=http://{address}/jwks.json");
    let set = [
        &*url,
        "auth.issuer=idp",
        "auth.audience=shop",
        "limits.address.rate=off",
    ];
    let gateway = Gateway::start(folder.path(), &set);
    let alice = gateway.token("alice", None);
    let (jwks, bob) = provider_key("idp-1", "bob");
    let mut client = gateway.connect();
    assert_eq!(client.place(&alice, "k", "SKU-1", 1).status, 201);
    assert!(gateway.figure("tidegate_jwks_fetches_total{result=\"failed\"}") >= 1);
    let refused = client.place(&bob, "k", "SKU-1", 1);
    assert_eq!(
        (refused.status, refused.member("code")),
        (401, "unauthorized".to_owned())
    );
    assert!(
        refused.member("detail").contains("identity provider"),
        "{refused:?}"
    );

    publish(TcpListener::bind(address).unwrap(), jwks);
    until("the provider's keys are taken", || {
        client.place(&bob, "k", "SKU-1", 1).status == 201
    });
    assert_eq!(
        gateway.figure("tidegate_jwks_fetches_total{result=\"changed\"}"),
        1
    );
}

#[test]
fn a_breaker_forced_open_refuses_with_nothing_reserved_until_it_is_let_go() {
    for shell in ["server.io=auto", "server.io=epoll"] {
        force_a_breaker(shell);
    }
}

fn force_a_breaker(shell: &str) {
    let folder = tempfile::tempdir().unwrap();
    let set = [
        shell,
        "shards.threads=2",
        "limits.user.rate=off",
        "limits.address.rate=off",
    ];
    let gateway = Gateway::start(folder.path(), &set);
    let (alice, operator) = (
        gateway.token("alice", None),
        gateway.token("root", Some("operator")),
    );
    let mut client = gateway.connect();
    let rows = || serde_json::from_str::<Value>(&gateway.admin("/breakers").1).unwrap();
    assert_eq!(rows().as_array().map(Vec::len), Some(3), "and the backoffice's");

    // SKUs of both shard threads, told apart by what is refused.
    let skus: Vec<String> = (1..=12).map(|n| format!("SKU-{n}")).collect();
    assert_eq!(gateway.ask_admin("POST", "/breakers/shard-0?state=open").0, 200);
    let refused_of = |client: &mut Client, key: &str| -> Vec<String> {
        let refused = skus.iter().filter(|sku| {
            let answer = client.place(&alice, &format!("{key}-{sku}"), sku, 1);
            assert!(
                answer.status == 201 || answer.member("code") == "out_of_service",
                "{answer:?}"
            );
            assert!(answer.status == 201 || answer.header("retry-after").is_some());
            answer.status == 503
        });
        refused.cloned().collect()
    };
    until("the net threads follow", || {
        !refused_of(&mut client, "a").is_empty()
    });
    let there = refused_of(&mut client, "b");
    assert!(!there.is_empty() && there.len() < skus.len(), "{there:?}");
    let elsewhere = skus.iter().find(|sku| !there.contains(sku)).unwrap();

    // An order that needs both threads is refused as well, whichever is its home.
    let body = format!(
        "{{\"lines\":[{{\"sku\":\"{}\",\"qty\":1}},{{\"sku\":\"{elsewhere}\",\"qty\":1}}]}}",
        there[0]
    );
    let both = client.request(
        "POST",
        "/v1/orders",
        &alice,
        &[("idempotency-key", "both")],
        &body,
    );
    assert_eq!(
        (both.status, both.member("code")),
        (503, "out_of_service".to_owned())
    );

    until("it is shown", || {
        gateway.figure("tidegate_breaker_transitions_total{breaker=\"shard-0\"}") == 1
    });
    assert_eq!(rows()[0]["state"], "open");
    assert_eq!(rows()[0]["forced"], "open");
    assert!(rows()[0]["refused"].as_u64().unwrap() > there.len() as u64);
    assert_eq!(gateway.figure("tidegate_breaker_open{breaker=\"shard-0\"}"), 1);
    assert_eq!(gateway.figure("tidegate_breaker_forced{breaker=\"shard-0\"}"), 1);
    assert_eq!(gateway.figure("tidegate_breaker_open{breaker=\"shard-1\"}"), 0);
    assert_eq!(gateway.admin("/readyz").0, 200);

    assert_eq!(gateway.ask_admin("POST", "/breakers/shard-0?state=auto").0, 200);
    let stock =
        |client: &mut Client| client.request("GET", &format!("/v1/stock/{}", there[0]), &operator, &[], "");
    until("it is closed again", || stock(&mut client).status == 200);
    assert_eq!(stock(&mut client).member("held"), "0", "nothing was reserved");
    assert_eq!(client.place(&alice, "again", &there[0], 1).status, 201);
    assert_eq!(rows()[0]["forced"], "auto");
}

#[test]
fn a_service_manager_hears_of_start_life_and_end() {
    let folder = tempfile::tempdir().unwrap();
    let address = folder.path().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let heard = |what: &str| {
        let mut said = Vec::new();
        loop {
            let mut bytes = [0; 512];
            let length = socket
                .recv(&mut bytes)
                .unwrap_or_else(|error| panic!("{what}: {error}; {said:?}"));
            said.push(String::from_utf8_lossy(&bytes[..length]).into_owned());
            if said
                .last()
                .is_some_and(|text| text.lines().any(|line| line == what))
            {
                return said;
            }
        }
    };
    let environment = [
        ("NOTIFY_SOCKET", address.to_str().unwrap()),
        ("WATCHDOG_USEC", "600000"),
    ];
    let mut gateway = Gateway::start_in(&folder.path().join("data"), &environment);
    let before_ready = heard("READY=1");
    assert!(
        before_ready[0].contains("EXTEND_TIMEOUT_USEC=120000000"),
        "{before_ready:?}"
    );
    let began = std::time::Instant::now();
    heard("WATCHDOG=1");
    heard("WATCHDOG=1");
    assert!(
        began.elapsed() < Duration::from_millis(1_200),
        "it reports in time: {:?}",
        began.elapsed()
    );
    gateway.signal(Signal::TERM);
    assert!(!heard("STOPPING=1").iter().any(|text| text.contains("READY=1")));
    assert_eq!(gateway.wait(Duration::from_secs(30)), 0);
}
