//! The gRPC server with a router of the test's own: exchanges, the desk, who is let in, health. No database and no broker.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Extension, Request};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use tidegate_api::convert::{command, outcome};
use tidegate_api::pb::backoffice_client::BackofficeClient;
use tidegate_api::pb::{self, answer_part, desk_answer, request_part};
use tidegate_backoffice::shards::{NotDecided, Shards as _};
use tidegate_lane::{Caller, RequestId};
use tidegate_process::config::{Config, Sources};
use tidegate_process::desk::Desk;
use tidegate_process::exchange::Exchanges;
use tidegate_process::health::{Health, Severity};
use tidegate_process::metrics::Metrics;
use tidegate_process::server;
use tidegate_process::service::Service;
use tidegate_shard_core::{Command, Outcome, Refusal};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// A running server.
struct Served {
    address: SocketAddr,
    desk: Arc<Desk>,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    stopping: CancellationToken,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}

fn config(set: &[String]) -> Config {
    let sources = Sources {
        set: set.to_vec(),
        ..Sources::default()
    };
    sources.load().expect("a configuration")
}

async fn serve(set: &[String], router: Router) -> Served {
    let config = config(set);
    let stopping = CancellationToken::new();
    let (metrics, health) = (Arc::new(Metrics::default()), Arc::new(Health::default()));
    let desk = Arc::new(Desk::new(Arc::clone(&metrics.api), stopping.clone()));
    let service = Service {
        desk: Some(Arc::clone(&desk)),
        exchanges: Some(Exchanges::new(router, Arc::clone(&metrics.api))),
        ..Service::default()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (watched, ends) = (Arc::clone(&health), stopping.clone());
    tokio::spawn(async move {
        server::serve(&config, listener, service, watched, ends)
            .await
            .expect("it serves");
    });
    Served {
        address,
        desk,
        health,
        metrics,
        stopping,
    }
}

async fn channel(served: &Served) -> Channel {
    let address = format!("http://{}", served.address);
    Channel::from_shared(address).unwrap().connect().await.unwrap()
}

async fn client(served: &Served) -> BackofficeClient<Channel> {
    BackofficeClient::new(channel(served).await)
}

fn head(method: &str, target: &str) -> pb::RequestPart {
    let head = pb::RequestHead {
        method: method.into(),
        target: target.into(),
        headers: Vec::new(),
        caller: Some(pb::Caller {
            buyer: vec![7; 16].into(),
            subject: "käufer".into(),
            operator: false,
        }),
        request_id: "req-1".into(),
        length: None,
    };
    pb::RequestPart {
        part: Some(request_part::Part::Head(head)),
    }
}

fn data(bytes: Vec<u8>) -> pb::RequestPart {
    pb::RequestPart {
        part: Some(request_part::Part::Data(bytes.into())),
    }
}

/// Head and body of an answer.
async fn whole(mut answer: tonic::Streaming<pb::AnswerPart>) -> Result<(pb::AnswerHead, Vec<u8>), Status> {
    let Some(answer_part::Part::Head(head)) = answer.message().await?.and_then(|part| part.part) else {
        panic!("an answer begins with its head");
    };
    let mut body = Vec::new();
    while let Some(part) = answer.message().await? {
        match part.part {
            Some(answer_part::Part::Data(data)) => body.extend_from_slice(&data),
            other => panic!("no data: {other:?}"),
        }
    }
    Ok((head, body))
}

async fn who(
    Extension(caller): Extension<Option<Caller>>,
    Extension(id): Extension<RequestId>,
) -> impl IntoResponse {
    let subject = caller.map_or("nobody".into(), |caller| caller.subject);
    (
        StatusCode::ACCEPTED,
        [("x-of", "who")],
        format!("{subject} {}", id.0),
    )
}

async fn echo(request: Request) -> impl IntoResponse {
    request.into_body()
}

#[tokio::test]
async fn a_request_comes_to_the_router_with_who_asks_and_its_answer_goes_back_with_status_and_headers() {
    let served = serve(&[], Router::new().route("/who", get(who))).await;
    let parts = tokio_stream::iter([head("GET", "/who?a=b")]);
    let answer = client(&served).await.exchange(parts).await.unwrap();
    let (head, body) = whole(answer.into_inner()).await.unwrap();
    assert_eq!(head.status, 202);
    assert_eq!(head.length, Some(body.len() as u64));
    assert!(
        head.headers
            .iter()
            .any(|header| header.name == "x-of" && header.value == "who")
    );
    assert_eq!(body, "käufer req-1".as_bytes());
}

#[tokio::test]
async fn a_body_and_an_answer_of_many_parts_are_streamed_whole() {
    let served = serve(&[], Router::new().route("/echo", post(echo))).await;
    let bytes: Vec<u8> = (0..5_000_000_u32).map(|at| (at / 7) as u8).collect();
    let mut parts = vec![head("POST", "/echo")];
    parts.extend(bytes.chunks(200_000).map(|chunk| data(chunk.to_vec())));
    let answer = client(&served)
        .await
        .exchange(tokio_stream::iter(parts))
        .await
        .unwrap();
    let (_, body) = whole(answer.into_inner()).await.unwrap();
    assert!(body == bytes, "{} of {} bytes", body.len(), bytes.len());
}

/// Counts when it is dropped.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_call_that_is_given_up_ends_what_works_on_it() {
    let (began, dropped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (seen, guard) = (Arc::clone(&began), Arc::clone(&dropped));
    let slow = move || {
        let guard = Dropped(Arc::clone(&guard));
        seen.fetch_add(1, Ordering::SeqCst);
        async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        }
    };
    let served = serve(&[], Router::new().route("/slow", get(slow))).await;
    let mut client = client(&served).await;
    let call = tokio::spawn(async move { client.exchange(tokio_stream::iter([head("GET", "/slow")])).await });
    until(|| began.load(Ordering::SeqCst) == 1).await;
    assert_eq!(served.metrics.api.under_way.get(), 1);
    call.abort();
    until(|| dropped.load(Ordering::SeqCst) == 1).await;
    until(|| served.metrics.api.under_way.get() == 0).await;
}

async fn until(true_: impl Fn() -> bool) {
    let begun = Instant::now();
    while !true_() {
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "it becomes true within 5 s"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_is_no_exchange_is_refused_and_the_server_goes_on() {
    let served = serve(&[], Router::new().route("/who", get(who))).await;
    let mut client = client(&served).await;
    for parts in [
        vec![],
        vec![data(vec![1])],
        vec![head("NO METHOD", "/who")],
        vec![head("GET", "no target")],
    ] {
        let refused = client
            .exchange(tokio_stream::iter(parts))
            .await
            .expect_err("a refusal");
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    }
    let answer = client
        .exchange(tokio_stream::iter([head("GET", "/who")]))
        .await
        .unwrap();
    assert_eq!(whole(answer.into_inner()).await.unwrap().0.status, 202);
}

fn read_sku() -> Command {
    Command::ReadSku {
        sku: "A-1".parse().unwrap(),
    }
}

type Answers = mpsc::Sender<pb::DeskAnswer>;

/// An edge that has opened the desk.
async fn edge(served: &Served) -> (Answers, tonic::Streaming<pb::DeskCommand>) {
    let (answers, stream) = mpsc::channel(8);
    let commands = client(served)
        .await
        .desk(ReceiverStream::new(stream))
        .await
        .unwrap();
    (answers, commands.into_inner())
}

#[tokio::test]
async fn a_command_is_answered_by_the_edge_that_has_the_desk_and_without_one_it_is_not_done() {
    let served = serve(&[], Router::new()).await;
    assert_eq!(served.desk.ask(read_sku()).await, Err(NotDecided::NotDone));
    let (answers, mut commands) = edge(&served).await;
    let answering = async {
        for answer in [
            outcome::to_message(&Outcome::Refused(Refusal::UnknownSku {
                sku: "A-1".parse().unwrap(),
            })),
            Some(desk_answer::Answer::NotDone(pb::NotDone {})),
            Some(desk_answer::Answer::Unknown(pb::Unknown {})),
        ] {
            let asked = commands.message().await.unwrap().unwrap();
            let ticket = asked.ticket;
            let command = command::from_message(asked.command.unwrap()).unwrap();
            assert!(matches!(command, Command::ReadSku { .. }));
            // An answer that nobody asked for is let go.
            let stray = pb::DeskAnswer {
                ticket: ticket + 1000,
                answer: Some(desk_answer::Answer::NotDone(pb::NotDone {})),
            };
            answers.send(stray).await.unwrap();
            answers.send(pb::DeskAnswer { ticket, answer }).await.unwrap();
        }
    };
    let asking = async {
        let refused = served.desk.ask(read_sku()).await;
        assert!(
            matches!(refused, Ok(Outcome::Refused(Refusal::UnknownSku { .. }))),
            "{refused:?}"
        );
        assert_eq!(served.desk.ask(read_sku()).await, Err(NotDecided::NotDone));
        assert_eq!(served.desk.ask(read_sku()).await, Err(NotDecided::Unknown));
    };
    tokio::join!(answering, asking);
}

#[tokio::test]
async fn a_command_whose_edge_is_gone_is_unknown_at_once_and_one_without_an_answer_after_two_seconds() {
    let served = serve(&[], Router::new()).await;
    let (answers, mut commands) = edge(&served).await;
    let begun = Instant::now();
    let asking = served.desk.ask(read_sku());
    let breaking = async {
        commands.message().await.unwrap().unwrap();
        drop((answers, commands));
    };
    let (asked, ()) = tokio::join!(asking, breaking);
    assert_eq!(asked, Err(NotDecided::Unknown));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(served.desk.ask(read_sku()).await, Err(NotDecided::NotDone));
    let (_answers, _commands) = edge(&served).await;
    let begun = Instant::now();
    assert_eq!(served.desk.ask(read_sku()).await, Err(NotDecided::Unknown));
    assert!(begun.elapsed() >= Duration::from_secs(2));
}

#[tokio::test]
async fn the_edge_that_opens_the_desk_last_has_it() {
    let served = serve(&[], Router::new()).await;
    let (_first, mut old) = edge(&served).await;
    let (answers, mut commands) = edge(&served).await;
    let ended = old.message().await.expect_err("it ended");
    assert!(ended.message().contains("newer stream"), "{ended}");
    let answering = async {
        let asked = commands.message().await.unwrap().unwrap();
        let answer = Some(desk_answer::Answer::NotDone(pb::NotDone {}));
        let ticket = asked.ticket;
        answers.send(pb::DeskAnswer { ticket, answer }).await.unwrap();
    };
    let (asked, ()) = tokio::join!(served.desk.ask(read_sku()), answering);
    assert_eq!(asked, Err(NotDecided::NotDone));
    assert_eq!(served.metrics.api.desk_connected.get(), 1);
}

#[tokio::test]
async fn a_role_that_the_process_has_not_is_said_to_be_missing() {
    let served = serve(&[], Router::new()).await;
    let refused = client(&served).await.follow(tokio_stream::iter([])).await;
    let refused = refused.expect_err("a refusal");
    assert_eq!(refused.code(), Code::Unimplemented);
    assert!(refused.message().contains("process.roles"), "{refused}");
}

async fn health_of(served: &Served, service: &str) -> i32 {
    let mut client = HealthClient::new(channel(served).await);
    let request = HealthCheckRequest {
        service: service.into(),
    };
    client.check(request).await.unwrap().into_inner().status
}

#[tokio::test]
async fn health_is_told_by_role_and_needs_no_token() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "0123456789abcdef").unwrap();
    let served = serve(&[format!("grpc.token_file={}", token.display())], Router::new()).await;
    let (well, ill) = (ServingStatus::Serving as i32, ServingStatus::NotServing as i32);
    assert_eq!(health_of(&served, "tidegate.v1.Backoffice").await, well);
    served.health.set(
        tidegate_process::config::Role::Store,
        Severity::Degraded,
        "shard 3",
    );
    let begun = Instant::now();
    while health_of(&served, "store").await != ill {
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
    assert_eq!(
        health_of(&served, "tidegate.v1.Backoffice").await,
        well,
        "one shard is not all"
    );
    let refused = client(&served).await.desk(tokio_stream::iter([])).await;
    assert_eq!(refused.expect_err("no token").code(), Code::Unauthenticated);
    let right = |mut request: tonic::Request<()>| {
        let value = "Bearer 0123456789abcdef".parse().unwrap();
        request.metadata_mut().insert("authorization", value);
        Ok(request)
    };
    let mut client = BackofficeClient::with_interceptor(channel(&served).await, right);
    assert!(client.desk(ReceiverStream::new(mpsc::channel(1).1)).await.is_ok());
}

/// An authority's certificate and a pair that it signed, as PEM.
struct Pair {
    cert: String,
    key: String,
}

struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Authority {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Authority {
            issuer: rcgen::Issuer::new(params, key),
            pem,
        }
    }

    fn sign(&self, name: &str) -> Pair {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        Pair {
            cert: params.signed_by(&key, &self.issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }
}

fn write(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[tokio::test]
async fn with_an_authority_only_edges_with_its_certificates_are_let_in() {
    let folder = tempfile::tempdir().unwrap();
    let (servers, edges, others) = (Authority::new(), Authority::new(), Authority::new());
    let pair = servers.sign("localhost");
    let cert = write(&folder, "cert.pem", &pair.cert);
    let key = write(&folder, "key.pem", &pair.key);
    let ca = write(&folder, "ca.pem", &edges.pem);
    let set = [
        format!("grpc.cert={}", cert.display()),
        format!("grpc.key={}", key.display()),
        format!("grpc.client_ca={}", ca.display()),
    ];
    let served = serve(&set, Router::new()).await;
    let dial = async |pair: Option<Pair>| {
        let mut tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&servers.pem))
            .domain_name("localhost");
        if let Some(pair) = pair {
            tls = tls.identity(Identity::from_pem(pair.cert, pair.key));
        }
        let endpoint = Channel::from_shared(format!("https://{}", served.address)).unwrap();
        let channel = endpoint.tls_config(tls).unwrap().connect().await;
        let mut client = BackofficeClient::new(channel.map_err(|error| error.to_string())?);
        let desk = client.desk(ReceiverStream::new(mpsc::channel(1).1)).await;
        desk.map(|_| ()).map_err(|status| status.to_string())
    };
    dial(Some(edges.sign("edge-1"))).await.expect("an edge of ours");
    dial(Some(others.sign("edge-1")))
        .await
        .expect_err("of somebody else's");
    dial(None).await.expect_err("without a certificate");
}
