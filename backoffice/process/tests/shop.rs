//! The real binary as the shop: what an edge fed is listed, and a payment goes to the edge's shards.

#[path = "../../mysql/tests/support/database.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod database;
#[path = "support/edge.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod edge;
#[path = "support/keys.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod keys;
#[path = "support/process.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod process;
#[path = "../../mysql/tests/support/shop.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod shop;

use std::time::{Duration, Instant};

use database::{Scratch, block_on};
use edge::{Edge, dial};
use keys::{PASSWORD, SHARDS, a_day, on_database};
use process::Process;
use tidegate_api::pb::{self, answer_part, desk_answer, desk_command, request_part};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Asks as a buyer of the test's shop; gives status and body.
async fn ask(port: u16, method: &str, target: &str) -> (u32, String) {
    let head = pb::RequestHead {
        method: method.into(),
        target: target.into(),
        headers: Vec::new(),
        caller: Some(pb::Caller {
            buyer: vec![2; 16].into(),
            subject: "käufer-2-🦀".into(),
            operator: false,
        }),
        request_id: "req-1".into(),
        length: None,
    };
    let head = pb::RequestPart {
        part: Some(request_part::Part::Head(head)),
    };
    let answer = dial(port)
        .await
        .unwrap()
        .exchange(tokio_stream::iter([head]))
        .await;
    let mut answer = answer.unwrap().into_inner();
    let (mut status, mut body) = (0, Vec::new());
    while let Some(part) = answer.message().await.unwrap() {
        match part.part {
            Some(answer_part::Part::Head(head)) => status = head.status,
            Some(answer_part::Part::Data(data)) => body.extend_from_slice(&data),
            None => panic!("a part without anything"),
        }
    }
    (status, String::from_utf8(body).unwrap())
}

#[test]
fn what_an_edge_fed_is_listed_and_a_payment_is_asked_of_its_shards() {
    let Some(scratch) = Scratch::make() else { return };
    let (mut set, password) = on_database(&scratch);
    set.push("process.roles=[\"feed\", \"api\", \"jobs\"]".into());
    let process = Process::start(&set, &[(PASSWORD, &password)]);
    let port = process.grpc;
    block_on(async {
        Edge::new(a_day(500, 51), SHARDS).follow(port).await;
        let begun = Instant::now();
        let (status, body) = loop {
            let (status, body) = ask(port, "GET", "/v1/orders").await;
            // The shop may be on its way to the database still.
            if status != 503 || begun.elapsed() > Duration::from_secs(10) {
                break (status, body);
            }
        };
        assert_eq!(status, 200, "{body}");
        let id = body
            .split("\"order_id\":\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        let id = id.unwrap_or_else(|| panic!("no order in {body}")).to_owned();
        let (status, history) = ask(port, "GET", &format!("/v1/orders/{id}/history")).await;
        assert_eq!(status, 200, "{history}");
        let (status, body) = ask(port, "POST", &format!("/v1/orders/{id}/pay")).await;
        assert_eq!(status, 503, "nobody has the desk: {body}");
        let (answers, stream) = mpsc::channel(8);
        let desk = dial(port).await.unwrap().desk(ReceiverStream::new(stream)).await;
        let mut commands = desk.unwrap().into_inner();
        let shards = async {
            let asked = commands.message().await.unwrap().unwrap();
            let refusal = pb::Refusal {
                kind: pb::refusal::Kind::UnknownOrder.into(),
                ..pb::Refusal::default()
            };
            let answer = Some(desk_answer::Answer::Refusal(refusal));
            let ticket = asked.ticket;
            answers.send(pb::DeskAnswer { ticket, answer }).await.unwrap();
            asked.command
        };
        let target = format!("/v1/orders/{id}/pay");
        let (command, (status, _)) = tokio::join!(shards, ask(port, "POST", &target));
        let order: u64 = id.parse().unwrap();
        let asked = match command {
            Some(desk_command::Command::ReadOrder(asked)) => asked.order,
            Some(desk_command::Command::StartPayment(asked)) => asked.order,
            other => panic!("not about the order: {other:?}"),
        };
        assert_eq!((asked, status / 100), (order, 4));
    });
    assert!(process.ask("/readyz").starts_with("HTTP/1.1 200"));
}
