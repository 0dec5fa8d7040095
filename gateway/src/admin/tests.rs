use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::metrics::{HttpCount, NetThread, ShardThread};
use super::*;

#[derive(Default)]
struct Fake {
    draining: AtomicBool,
}

impl MetricsSource for Fake {
    fn snapshot(&self) -> Snapshot {
        let histogram = HistogramSnapshot {
            bounds: vec![1_000, 1_000_000],
            counts: vec![1, 2, 3],
            sum: 5_000_000_000,
        };
        Snapshot {
            http: vec![HttpCount {
                route: "POST /v1/orders",
                status: 201,
                count: 7,
            }],
            request: vec![("POST /v1/orders", histogram.clone())],
            stages: ["ring_wait", "decide", "commit", "reply"]
                .map(|stage| (stage, histogram.clone()))
                .to_vec(),
            refusals: vec![("rate_limited", 3)],
            tokens: vec![("remembered", 5)],
            jwks_fetches: vec![("failed", 2)],
            jwks_forced: 1,
            config_reloads: vec![("applied", 3)],
            breakers: Board::new(1, 1, false).rows(),
            nets: vec![NetThread {
                connections: 4,
                busy_ns: 2_500_000_000,
                ..NetThread::default()
            }],
            shards: vec![ShardThread {
                ops: 9,
                batch_entries: histogram.clone(),
                sync: histogram,
                ..ShardThread::default()
            }],
            ..Snapshot::default()
        }
    }

    fn times(&self) -> Vec<(&'static str, tidegate_link::stats::Snapshot)> {
        Vec::new()
    }

    fn ready(&self) -> Result<(), &'static str> {
        if self.draining.load(Ordering::Relaxed) {
            Err("draining")
        } else {
            Ok(())
        }
    }

    fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }
}

fn running() -> Running {
    let admin = Admin {
        source: Arc::new(Fake::default()),
        live: Arc::new(Live::new(Arc::new(
            crate::config::Sources::default().load().unwrap(),
        ))),
        reloader: None,
        board: Arc::new(Board::new(1, 2, false)),
        certificates: None,
        keys: None,
        reload: Duration::from_secs(1),
        token: AdminToken::load_or_make(tempfile::tempdir().unwrap().path()).unwrap(),
        tapes: vec![Tape::new(16)],
        desk: None,
        log: Recent::default(),
        about: About {
            run: "1".into(),
            version: "0",
            build: "debug",
            data: "./data".into(),
        },
    };
    start("127.0.0.1:0".parse().unwrap(), admin).unwrap()
}

fn ask(address: SocketAddr, request: &str) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    )
    .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap();
    let status = std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
    (status, answer.split_off(end + 4))
}

fn text(address: SocketAddr, request: &str) -> (u16, String) {
    let (status, body) = ask(address, request);
    (status, String::from_utf8(body).unwrap())
}

#[test]
fn health_and_drain() {
    let address = running().address;
    assert_eq!(text(address, "GET /livez"), (200, "ok\n".into()));
    assert_eq!(text(address, "GET /readyz"), (200, "ready\n".into()));
    assert_eq!(text(address, "GET /drain").0, 405);
    assert_eq!(text(address, "POST /drain").0, 202);
    assert_eq!(text(address, "GET /readyz"), (503, "draining\n".into()));
    assert_eq!(text(address, "GET /livez").0, 200);
    assert_eq!(text(address, "GET /nothing").0, 404);
    assert!(text(address, "GET /config").1.contains("127.0.0.1:8443"));
}

#[test]
fn every_figure_is_a_line_of_metrics() {
    let address = running().address;
    let (status, body) = text(address, "GET /metrics");
    assert_eq!(status, 200);
    for line in [
        "tidegate_ready 1",
        "tidegate_http_answers_total{method=\"POST\",route=\"/v1/orders\",status=\"201\"} 7",
        "tidegate_http_request_seconds_sum{route=\"POST /v1/orders\"} 5.0",
        "tidegate_stage_seconds_bucket{le=\"0.000001\",stage=\"commit\"} 1",
        "tidegate_log_sync_seconds_count{thread=\"0\"} 6",
        "tidegate_jwks_fetches_total{result=\"failed\"} 2",
        "tidegate_jwks_forced_fetches_total 1",
        "tidegate_config_reloads_total{result=\"applied\"} 3",
        "tidegate_jwks_last_success_timestamp_seconds 0",
        "tidegate_stage_seconds_bucket{le=\"+Inf\",stage=\"ring_wait\"} 6",
        "tidegate_refusals_total{reason=\"rate_limited\"} 3",
        "tidegate_tokens_total{result=\"remembered\"} 5",
        "tidegate_connections{thread=\"0\"} 4",
        "tidegate_breaker_open{breaker=\"shard-0\"} 0",
        "tidegate_breaker_forced{breaker=\"shard-0\"} 0",
        "tidegate_breaker_transitions_total{breaker=\"shard-0\"} 0",
        "tidegate_breaker_refusals_total{breaker=\"shard-0\"} 0",
        "tidegate_net_busy_seconds_total{thread=\"0\"} 2.5",
        "tidegate_shard_ops_total{thread=\"0\"} 9",
        "tidegate_log_batch_entries_count{thread=\"0\"} 6",
        "tidegate_log_scrub_faults_total 0",
        "# EOF",
    ] {
        assert!(body.lines().any(|found| found == line), "{line}\n{body}");
    }
}

#[test]
fn breakers_are_shown_and_set_by_name() {
    let address = running().address;
    let rows = |text: String| serde_json::from_str::<serde_json::Value>(&text).unwrap();
    let shown = rows(text(address, "GET /breakers").1);
    assert_eq!(shown[1]["name"], "shard-1");
    assert_eq!(
        (&shown[1]["state"], &shown[1]["forced"]),
        (&"closed".into(), &"auto".into())
    );
    let (status, body) = text(address, "POST /breakers/shard-1?state=open");
    assert_eq!(status, 200, "{body}");
    let shown = rows(text(address, "GET /breakers").1);
    assert_eq!(
        (&shown[1]["state"], &shown[1]["forced"]),
        (&"open".into(), &"open".into())
    );
    assert_eq!(shown[0]["forced"], "auto");
    assert_eq!(text(address, "POST /breakers/shard-1?state=auto").0, 200);
    assert_eq!(rows(text(address, "GET /breakers").1)[1]["forced"], "auto");
    for bad in ["/breakers/shard-1", "/breakers/shard-1?state=ajar"] {
        assert_eq!(text(address, &format!("POST {bad}")).0, 400, "{bad}");
    }
    let (status, body) = text(address, "POST /breakers/shard-7?state=open");
    assert_eq!(status, 404);
    assert!(body.contains("shard-0, shard-1"), "{body}");
}

/// Something for the sampler to see.
fn burn(until: Arc<AtomicBool>) -> std::thread::JoinHandle<u64> {
    std::thread::Builder::new()
        .name("burner".into())
        .spawn(move || {
            let mut x = 1_u64;
            while !until.load(Ordering::Relaxed) {
                for _ in 0..10_000 {
                    x = std::hint::black_box(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
                }
            }
            x
        })
        .unwrap()
}

#[test]
fn profiles_are_taken_one_at_a_time_while_health_is_answered() {
    let address = running().address;
    let stop = Arc::new(AtomicBool::new(false));
    let burner = burn(Arc::clone(&stop));
    let profile = std::thread::spawn(move || ask(address, "GET /debug/pprof/profile?seconds=1"));
    std::thread::sleep(Duration::from_millis(300));
    let asked = Instant::now();
    assert_eq!(text(address, "GET /livez").0, 200);
    assert!(
        asked.elapsed() < Duration::from_millis(500),
        "{:?}",
        asked.elapsed()
    );
    assert_eq!(text(address, "GET /debug/pprof/flamegraph?seconds=1").0, 409);
    let (status, body) = profile.join().unwrap();
    assert_eq!((status, &body[..2]), (200, &[0x1f, 0x8b][..]), "gzip");
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(body.as_slice())
        .read_to_end(&mut plain)
        .unwrap();
    let profile: pprof::protos::Profile = pprof::protos::Message::decode(plain.as_slice()).unwrap();
    assert!(!profile.sample.is_empty());

    let (status, body) = text(address, "GET /debug/pprof/flamegraph?seconds=1");
    stop.store(true, Ordering::Relaxed);
    burner.join().unwrap();
    assert_eq!(status, 200, "{body}");
    assert!(body.starts_with("<?xml") && body.contains("burner"));
    for bad in ["0", "121", "x"] {
        assert_eq!(
            text(address, &format!("GET /debug/pprof/profile?seconds={bad}")).0,
            400
        );
    }
}
