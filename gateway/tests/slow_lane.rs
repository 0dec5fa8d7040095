//! A real gateway before a small backoffice: a router of a few routes on a runtime of its own, in the gateway's process.
//!
//! This binary is both ends: it starts itself again as the gateway.

mod common;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Path as Segment};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use common::Gateway;
use tidegate::cli::RunArgs;
use tidegate::config::Config;
use tidegate::serve::{self, Backoffice, EndBackoffice};
use tidegate::shards::NO_STORE;
use tidegate_lane::{Caller, LaneServer, RequestId};

/// Names the data directory of the gateway that [`the_gateway_before_a_backoffice`] is to be.
const DATA: &str = "SLOW_LANE_DATA";

/// Names further settings of it, with spaces between them.
const MORE: &str = "SLOW_LANE_SETTINGS";

/// Few places and short waits, so that a test meets the bounds in a moment.
const SETTINGS: [&str; 6] = [
    "limits.user.rate=off",
    "limits.address.rate=off",
    "slow_lane.exchanges=4",
    "slow_lane.running=2",
    "slow_lane.answer_ms=400",
    "slow_lane.slow_ms=200",
];

fn routes() -> Router {
    Router::new()
        .route("/v1/orders", get(list))
        .route("/v1/orders/{id}", get(read))
        .route("/v1/orders/{id}/pay", post(pay))
        .route("/v1/skus", get(async || StatusCode::INTERNAL_SERVER_ERROR))
        .route("/v1/catalogue/export", get(never))
        .route("/v1/orders/{id}/history", get(torn_or_not))
        .route("/pay/simulated/{charge}", get(async || "a page"))
}

async fn list(
    Extension(caller): Extension<Option<Caller>>,
    Extension(id): Extension<RequestId>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let caller = caller.expect("a user's route");
    let said = format!(
        "{} {} {} {uri} token:{}",
        caller.subject,
        caller.operator,
        id.0,
        headers.contains_key("authorization")
    );
    let headers = [
        ("content-type", "text/plain"),
        ("link", "</v1/orders?after=1>; rel=\"next\""),
        ("server", "backoffice"),
        ("date", "yesterday"),
    ];
    (StatusCode::OK, headers, said).into_response()
}

/// The one order that no shard remembers.
async fn read(Segment(id): Segment<u64>) -> Response {
    match id {
        77 => "an old order".into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn pay(Segment(id): Segment<u64>, body: String) -> Response {
    assert!(id != 13, "planted");
    if id == 14 {
        return never().await;
    }
    (StatusCode::CREATED, [("location", "/pay/simulated/ch_1")], body).into_response()
}

/// A body of a few pieces with a pause between them; the one of order 2 breaks.
async fn torn_or_not(Segment(id): Segment<String>) -> Response {
    let pieces = futures_util::stream::unfold(0, move |n| {
        let torn = id == "2" && n == 2;
        async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            match n {
                _ if torn => Some((Err("planted"), 9)),
                0..3 => Some((Ok(format!("line {n}\n")), n + 1)),
                _ => None,
            }
        }
    });
    Body::from_stream(pieces).into_response()
}

async fn never() -> Response {
    std::future::pending::<()>().await;
    Body::empty().into_response()
}

/// A backoffice without a store.
fn backoffice(_: &Config) -> Result<Backoffice, String> {
    Ok(Backoffice {
        store: NO_STORE.to_owned(),
        marks: Vec::new(),
        feed: None,
        start: Box::new(|behind| start(behind.lane)),
    })
}

fn start(server: LaneServer) -> Result<EndBackoffice, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    std::thread::spawn(move || runtime.block_on(server.serve(routes())));
    Ok(Box::new(|| {}))
}

#[test]
#[ignore = "the other end of the tests below"]
fn the_gateway_before_a_backoffice() {
    let Some(data) = std::env::var_os(DATA).and_then(|data| data.into_string().ok()) else {
        return;
    };
    let more = std::env::var(MORE).unwrap_or_default();
    let args = RunArgs {
        data: Some(data),
        listen: Some("127.0.0.1:0".to_owned()),
        admin: Some("127.0.0.1:0".to_owned()),
        set: SETTINGS
            .into_iter()
            .chain(more.split_whitespace())
            .map(str::to_owned)
            .collect(),
        ..RunArgs::default()
    };
    let sources = args.sources();
    let config = sources.load().expect("a configuration");
    let status = serve::run_before(Some(Box::new(backoffice)), config, sources, None).expect("it serves");
    std::process::exit(status);
}

fn gateway(data: &Path) -> Gateway {
    gateway_with(data, "")
}

fn gateway_with(data: &Path, more: &str) -> Gateway {
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    command
        .args([
            "the_gateway_before_a_backoffice",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .env(DATA, data)
        .env(MORE, more);
    Gateway::launch(data, command)
}

#[test]
fn a_verified_request_reaches_the_backoffice_without_its_token_and_its_answer_comes_back_with_the_edges_headers()
 {
    let data = tempfile::tempdir().unwrap();
    let gateway = gateway(data.path());
    let mut client = gateway.connect();
    let alice = gateway.token("alice", None);
    let id = [("x-request-id", "mine")];
    let answer = client.request("GET", "/v1/orders?limit=2", &alice, &id, "");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.body, "alice false mine /v1/orders?limit=2 token:false");
    assert_eq!(answer.header("link"), Some("</v1/orders?after=1>; rel=\"next\""));
    assert_eq!(answer.header("x-request-id"), Some("mine"));
    assert_eq!(answer.header("server"), None);
    assert_ne!(answer.header("date"), Some("yesterday"));
    let paid = client.request("POST", "/v1/orders/5/pay", &alice, &[], "{\"a\":1}");
    assert_eq!((paid.status, paid.body.as_str()), (201, "{\"a\":1}"));
    assert_eq!(paid.header("location"), Some("/pay/simulated/ch_1"));
    let page = client.request("GET", "/pay/simulated/ch_1", "", &[], "");
    assert_eq!((page.status, page.body.as_str()), (200, "a page"));
    let stranger = client.request("GET", "/v1/orders", "", &[], "");
    assert_eq!(stranger.member("code"), "unauthorized");
    let export = client.request("GET", "/v1/catalogue/export", &alice, &[], "");
    assert_eq!(export.member("code"), "forbidden");
}

#[test]
fn an_order_that_its_shard_does_not_know_is_asked_of_the_backoffice_and_is_404_only_if_that_says_so() {
    let data = tempfile::tempdir().unwrap();
    let gateway = gateway(data.path());
    let mut client = gateway.connect();
    let alice = gateway.token("alice", None);
    let placed = client.place(&alice, "k1", "SKU-1", 1);
    let id = placed.member("order_id");
    let fresh = client.request("GET", &format!("/v1/orders/{id}"), &alice, &[], "");
    assert_eq!(fresh.member("status"), "pending", "the shard answers what it has");
    let old = client.request("GET", "/v1/orders/77", &alice, &[], "");
    assert_eq!((old.status, old.body.as_str()), (200, "an old order"));
    assert_eq!(
        client.request("GET", "/v1/orders/78", &alice, &[], "").status,
        404
    );
    let (status, _) = gateway.ask_admin("POST", "/breakers/backoffice?state=open");
    assert_eq!(status, 200);
    let unknown = client.request("GET", "/v1/orders/77", &alice, &[], "");
    assert_eq!(
        (unknown.status, unknown.member("code").as_str()),
        (503, "backoffice_unavailable")
    );
    assert!(unknown.header("retry-after").is_some());
    assert_eq!(client.place(&alice, "k2", "SKU-1", 1).status, 201, "orders go on");
}

#[test]
fn a_backoffice_that_breaks_is_503_for_what_changes_nothing_and_504_for_the_rest() {
    let data = tempfile::tempdir().unwrap();
    let gateway = gateway(data.path());
    let mut client = gateway.connect();
    let alice = gateway.token("alice", None);
    let broke = client.request("POST", "/v1/orders/13/pay", &alice, &[], "{}");
    assert_eq!(
        (broke.status, broke.member("code").as_str()),
        (504, "backoffice_no_answer")
    );
    let began = Instant::now();
    let late = client.request("POST", "/v1/orders/14/pay", &alice, &[], "{}");
    assert_eq!(late.member("code"), "backoffice_no_answer");
    assert!(began.elapsed() >= Duration::from_millis(400));
    assert_eq!(
        client.request("GET", "/v1/orders", &alice, &[], "").status,
        200,
        "it goes on"
    );
}

#[test]
fn a_short_answer_in_pieces_has_a_length_and_one_that_breaks_is_an_error_and_not_a_shorter_answer() {
    let data = tempfile::tempdir().unwrap();
    let gateway = gateway(data.path());
    let mut client = gateway.connect();
    let operator = gateway.token("op", Some("operator"));
    let whole = client.request("GET", "/v1/orders/1/history", &operator, &[], "");
    assert_eq!(whole.body, "line 0\nline 1\nline 2\n");
    let torn = client.request("GET", "/v1/orders/2/history", &operator, &[], "");
    assert_eq!(
        (torn.status, torn.member("code").as_str()),
        (503, "backoffice_unavailable")
    );
}

#[test]
fn more_than_the_lane_holds_is_refused_at_once_and_the_places_come_back() {
    let data = tempfile::tempdir().unwrap();
    let gateway = gateway(data.path());
    let operator = gateway.token("op", Some("operator"));
    let head = format!(
        "GET /v1/catalogue/export HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {operator}\r\n\r\n"
    );
    let mut waiting: Vec<_> = (0..4).map(|_| gateway.connect()).collect();
    waiting.iter_mut().for_each(|client| client.send(head.as_bytes()));
    gateway.wait_for("tidegate_slow_lane_exchanges", |count| count == 4);
    let mut client = gateway.connect();
    let busy = client.request("GET", "/v1/catalogue/export", &operator, &[], "");
    assert_eq!(
        (busy.status, busy.member("code").as_str()),
        (503, "backoffice_busy")
    );
    for client in &mut waiting {
        assert_eq!(client.response().member("code"), "backoffice_no_answer");
    }
    let listed = client.request("GET", "/v1/orders", &operator, &[], "");
    assert_eq!(listed.status, 200, "{listed:?}");
}

#[test]
fn lists_above_the_budget_are_refused_and_nobody_is_kept_from_paying() {
    let data = tempfile::tempdir().unwrap();
    let gateway = gateway_with(data.path(), "server.threads=1 slow_lane.reads_per_s=10");
    let alice = gateway.token("alice", None);
    let mut client = gateway.connect();
    let spend = |client: &mut common::Client| {
        (0..100)
            .map(|_| client.request("GET", "/v1/orders", &alice, &[], ""))
            .find(|answer| answer.status != 200)
            .expect("100 lists at once are more than the budget")
    };
    let refused = spend(&mut client);
    assert_eq!(
        (refused.status, refused.member("code").as_str()),
        (503, "backoffice_busy")
    );
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    let paid = client.request("POST", "/v1/orders/5/pay", &alice, &[], "{}");
    assert_eq!(paid.status, 201, "{paid:?}");
    // A token that was never seen is not verified for an answer that is 503 in any case. The budget has room again every 100 ms, so a slow
    // machine may need another try.
    let verified = || {
        std::thread::sleep(Duration::from_millis(250));
        gateway.figure("tidegate_tokens_total{result=\"verified\"}")
    };
    let refused_unseen = (0..10).any(|n| {
        let stranger = gateway.token(&format!("stranger {n}"), None);
        let before = verified();
        spend(&mut client);
        let answer = client.request("GET", "/v1/orders", &stranger, &[], "");
        answer.status == 503 && verified() == before
    });
    assert!(refused_unseen);
    std::thread::sleep(Duration::from_millis(250));
    assert_eq!(client.request("GET", "/v1/orders", &alice, &[], "").status, 200);
}

#[test]
fn refusals_of_a_flood_are_told_at_their_own_pace_and_nobody_else_waits_for_them() {
    let data = tempfile::tempdir().unwrap();
    let gateway = gateway_with(data.path(), "server.threads=1");
    let began = Instant::now();
    let head = b"GET /v1/orders HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut flood: Vec<_> = (0..60).map(|_| gateway.connect()).collect();
    let mut other = gateway.connect();
    let asked = Instant::now();
    for _ in 0..2 {
        flood.iter_mut().for_each(|client| client.send(head));
        assert_eq!(other.request("GET", "/v1/stock/none", "", &[], "").status, 404);
        for client in &mut flood {
            assert_eq!(client.response().member("code"), "unauthorized");
        }
    }
    // 120 of them: 16 at once, the others by 250 a second.
    assert!(
        asked.elapsed() >= Duration::from_millis(400),
        "{:?}",
        asked.elapsed()
    );
    // A client that goes away takes its refusal with it.
    flood.iter_mut().for_each(|client| client.send(head));
    drop(flood);
    gateway.wait_for("tidegate_connections", |count| count == 1);
    assert_eq!(other.request("GET", "/v1/stock/none", "", &[], "").status, 404);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn a_failing_backoffice_opens_its_breaker_which_operators_see_and_can_close() {
    let data = tempfile::tempdir().unwrap();
    let gateway = gateway(data.path());
    let mut client = gateway.connect();
    for n in 0..20 {
        let answer = client.request("GET", "/v1/skus", "", &[], "");
        assert_eq!(answer.status, 500, "call {n}");
    }
    let refused = client.request("GET", "/v1/skus", "", &[], "");
    assert_eq!(refused.member("code"), "backoffice_unavailable");
    common::until("the breaker is shown open", || {
        gateway.figure("tidegate_breaker_open{breaker=\"backoffice\"}") == 1
    });
    assert_eq!(
        gateway.figure("tidegate_breaker_refusals_total{breaker=\"backoffice\"}"),
        1
    );
    let (_, row) = gateway.ask_admin("POST", "/breakers/backoffice?state=closed");
    assert!(row.contains("\"closed\""), "{row}");
    assert_eq!(client.request("GET", "/v1/skus", "", &[], "").status, 500);
}

#[test]
fn the_portable_shell_is_woken_by_the_backoffice_as_well() {
    let data = tempfile::tempdir().unwrap();
    let gateway = gateway_with(data.path(), "server.io=epoll server.threads=2");
    let alice = gateway.token("alice", None);
    let mut clients: Vec<_> = (0..4).map(|_| gateway.connect()).collect();
    let began = Instant::now();
    for _ in 0..10 {
        for client in &mut clients {
            assert_eq!(client.request("GET", "/v1/orders", &alice, &[], "").status, 200);
        }
    }
    // A thread that only looks at its ticks would take 100 ms for each.
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[test]
fn a_client_that_goes_away_frees_its_place() {
    let data = tempfile::tempdir().unwrap();
    let gateway = gateway(data.path());
    let operator = gateway.token("op", Some("operator"));
    let head = format!(
        "GET /v1/catalogue/export HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {operator}\r\n\r\n"
    );
    for _ in 0..3 {
        let mut gone: Vec<_> = (0..4).map(|_| gateway.connect()).collect();
        gone.iter_mut().for_each(|client| client.send(head.as_bytes()));
        gateway.wait_for("tidegate_slow_lane_exchanges", |count| count > 0);
        drop(gone);
        gateway.wait_for("tidegate_slow_lane_exchanges", |count| count == 0);
    }
}

#[test]
fn a_gateway_without_a_backoffice_says_so() {
    let data = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(data.path(), &["backoffice.mode=none"]);
    let mut client = gateway.connect();
    let alice = gateway.token("alice", None);
    let refused = client.request("GET", "/v1/orders", &alice, &[], "");
    assert_eq!(
        (refused.status, refused.member("code").as_str()),
        (503, "backoffice_unavailable")
    );
    let unknown = client.request("GET", "/v1/orders/77", &alice, &[], "");
    assert_eq!(
        unknown.member("code"),
        "unknown_order",
        "the shard knows all there are"
    );
    let (_, breakers) = gateway.admin("/breakers");
    assert!(!breakers.contains("backoffice"), "{breakers}");
}
