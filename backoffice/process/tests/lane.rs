//! Exchanges and the desk, over the gRPC server with a router of the test's own. No database and no broker.

#[path = "support/server.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Extension, Request};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use server::{Served, client, serve, until};
use tidegate_api::convert::{command, outcome};
use tidegate_api::pb::{self, answer_part, desk_answer, request_part};
use tidegate_backoffice::shards::{NotDecided, Shards as _};
use tidegate_lane::{Caller, RequestId};
use tidegate_shard_core::{Command, Outcome, Refusal};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

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
async fn before_there_is_a_shop_a_request_is_answered_503_with_the_published_code() {
    let served = serve(&[], None).await;
    let answer = client(&served)
        .await
        .exchange(tokio_stream::iter([head("GET", "/v1/skus")]))
        .await
        .unwrap();
    let (head, body) = whole(answer.into_inner()).await.unwrap();
    assert_eq!(head.status, 503);
    assert!(String::from_utf8_lossy(&body).contains("\"store_unavailable\""));
    assert!(head.headers.iter().any(|header| header.name == "retry-after"));
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
