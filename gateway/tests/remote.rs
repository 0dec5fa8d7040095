//! A real gateway before a backoffice in another process: a small one in memory, in the test's own.

mod common;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use common::{Gateway, run, text, until};
use futures_util::Stream;
use tidegate_api::pb::backoffice_server::{Backoffice, BackofficeServer};
use tidegate_api::pb::{self, answer_part, desk_answer, from_edge, request_part, to_edge};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tonic::{Request, Response, Status, Streaming};

const OFF: [&str; 3] = [
    "backoffice.mode=remote",
    "limits.user.rate=off",
    "limits.address.rate=off",
];

/// What a store would keep, over the lives of the small backoffice.
#[derive(Debug, Default)]
struct Kept {
    /// The last record of each shard.
    marks: BTreeMap<u32, pb::Mark>,
    records: u64,
    /// What must not happen.
    wrong: Vec<String>,
    hellos: Vec<pb::Hello>,
    /// Nothing is published: records are taken, and no mark goes back.
    silent: bool,
}

impl Kept {
    /// Takes a record as a store does: known ones change nothing, a gap or another history is wrong.
    fn take(&mut self, record: &pb::Record) {
        let nothing = pb::Mark {
            shard: record.shard,
            op: 0,
            chain: 0,
        };
        let have = self.marks.get(&record.shard).copied().unwrap_or(nothing);
        if record.op <= have.op {
            return;
        }
        if record.op != have.op + 1 || record.previous != have.chain {
            self.wrong.push(format!("{have:?} and then op {}", record.op));
        }
        let mark = pb::Mark {
            shard: record.shard,
            op: record.op,
            chain: record.chain,
        };
        self.marks.insert(record.shard, mark);
        self.records += 1;
    }
}

/// A backoffice that keeps everything in memory, and asks the shards what the test gives it.
#[derive(Clone)]
struct Small {
    name: &'static str,
    token: Option<&'static str>,
    kept: Arc<Mutex<Kept>>,
    asks: Arc<Mutex<Option<mpsc::Sender<pb::DeskCommand>>>>,
    answers: mpsc::Sender<pb::DeskAnswer>,
}

type Out<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn stream<T: Send + 'static>(mut queue: mpsc::Receiver<T>) -> Out<T> {
    Box::pin(futures_util::stream::poll_fn(move |context| {
        queue.poll_recv(context).map(|item| item.map(Ok))
    }))
}

impl Small {
    fn check<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let shown = request.metadata().get("authorization");
        match (self.token, shown.and_then(|value| value.to_str().ok())) {
            (None, None) => Ok(()),
            (Some(token), Some(shown)) if shown == format!("Bearer {token}") => Ok(()),
            _ => Err(Status::unauthenticated("no token, or another")),
        }
    }

    fn welcome(&self) -> pb::ToEdge {
        let applied = self.kept.lock().unwrap().marks.values().copied().collect();
        pb::ToEdge {
            message: Some(to_edge::Message::Welcome(pb::Welcome {
                store: self.name.to_owned(),
                applied,
                window_bytes: 1 << 20,
                published: Vec::new(),
            })),
        }
    }
}

#[tonic::async_trait]
impl Backoffice for Small {
    type FollowStream = Out<pb::ToEdge>;
    type DeskStream = Out<pb::DeskCommand>;
    type ExchangeStream = Out<pb::AnswerPart>;

    async fn follow(
        &self,
        request: Request<Streaming<pb::FromEdge>>,
    ) -> Result<Response<Self::FollowStream>, Status> {
        self.check(&request)?;
        let (small, mut incoming) = (self.clone(), request.into_inner());
        let (out, queue) = mpsc::channel(16);
        tokio::spawn(async move {
            while let Ok(Some(message)) = incoming.message().await {
                let reply = match message.message {
                    Some(from_edge::Message::Hello(hello)) => {
                        small.kept.lock().unwrap().hellos.push(hello);
                        small.welcome()
                    }
                    Some(from_edge::Message::Records(records)) => {
                        let mut kept = small.kept.lock().unwrap();
                        records.records.iter().for_each(|record| kept.take(record));
                        if kept.silent {
                            continue;
                        }
                        let published = kept.marks.values().copied().collect();
                        pb::ToEdge {
                            message: Some(to_edge::Message::Marks(pb::Marks {
                                // What the store has was published.
                                published: Vec::new(),
                                applied: published,
                            })),
                        }
                    }
                    None => continue,
                };
                if out.send(reply).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(stream(queue)))
    }

    async fn desk(
        &self,
        request: Request<Streaming<pb::DeskAnswer>>,
    ) -> Result<Response<Self::DeskStream>, Status> {
        self.check(&request)?;
        let (small, mut incoming) = (self.clone(), request.into_inner());
        let (ask, queue) = mpsc::channel(16);
        *self.asks.lock().unwrap() = Some(ask);
        tokio::spawn(async move {
            while let Ok(Some(answer)) = incoming.message().await {
                _ = small.answers.send(answer).await;
            }
        });
        Ok(Response::new(stream(queue)))
    }

    async fn exchange(
        &self,
        request: Request<Streaming<pb::RequestPart>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        self.check(&request)?;
        let mut incoming = request.into_inner();
        let Some(request_part::Part::Head(head)) = incoming.message().await?.and_then(|part| part.part)
        else {
            return Err(Status::invalid_argument("no head"));
        };
        let mut body = Vec::new();
        while let Some(part) = incoming.message().await? {
            if let Some(request_part::Part::Data(data)) = part.part {
                body.extend_from_slice(&data);
            }
        }
        let caller = head.caller.map(|caller| caller.subject).unwrap_or_default();
        let said = format!(
            "{} {} by {caller:?}: {}",
            head.method,
            head.target,
            String::from_utf8_lossy(&body)
        );
        let (out, queue) = mpsc::channel(16);
        let head = pb::AnswerHead {
            status: 200,
            headers: vec![pb::Header {
                name: "content-type".into(),
                value: "text/plain".into(),
            }],
            length: None,
        };
        tokio::spawn(async move {
            _ = out
                .send(pb::AnswerPart {
                    part: Some(answer_part::Part::Head(head)),
                })
                .await;
            for piece in said.into_bytes().chunks(7) {
                let data = answer_part::Part::Data(piece.to_vec().into());
                _ = out.send(pb::AnswerPart { part: Some(data) }).await;
            }
        });
        Ok(Response::new(stream(queue)))
    }
}

/// The small backoffice, served. Dropped, its connections break.
struct Served {
    runtime: Option<Runtime>,
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Small {
    fn new(name: &'static str) -> (Small, mpsc::Receiver<pb::DeskAnswer>) {
        let (answers, said) = mpsc::channel(16);
        let small = Small {
            name,
            token: None,
            kept: Arc::default(),
            asks: Arc::default(),
            answers,
        };
        (small, said)
    }

    fn serve(&self, address: SocketAddr) -> Served {
        let runtime = Runtime::new().unwrap();
        let mut listener = None;
        until("the port is free", || {
            listener = TcpListener::bind(address).ok();
            listener.is_some()
        });
        let listener = listener.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let service = BackofficeServer::new(self.clone());
        listener.set_nonblocking(true).unwrap();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let incoming = futures_util::stream::unfold(listener, |listener| async {
                let accepted = listener.accept().await.map(|(socket, _)| socket);
                Some((accepted, listener))
            });
            tonic::transport::Server::builder()
                .add_service(service)
                .serve_with_incoming_shutdown(incoming, async { _ = stopped.await })
                .await
                .unwrap();
        });
        Served {
            runtime: Some(runtime),
            address,
            _stop: stop,
        }
    }
}

fn anywhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn start(folder: &std::path::Path, served: &Served, more: &[&str]) -> Gateway {
    let address = format!("backoffice.address=http://{}", served.address);
    let settings: Vec<&str> = OFF.iter().chain(more).copied().chain([&*address]).collect();
    Gateway::start(folder, &settings)
}

#[test]
fn entries_arrive_once_and_in_order_over_deaths_of_either_side() {
    let folder = tempfile::tempdir().unwrap();
    let (small, _said) = Small::new("here");
    let mut served = Some(small.serve(anywhere()));
    let address = served.as_ref().unwrap().address;
    let settings = format!("backoffice.address=http://{address}");
    let start = || Gateway::start(folder.path(), &[OFF[0], OFF[1], OFF[2], &settings]);
    let mut gateway = start();
    let mut orders = 0;
    for round in 0..3 {
        let token = gateway.token("alice", None);
        let mut client = gateway.connect();
        for n in 0..20 {
            assert_eq!(
                client.place(&token, &format!("{round}-{n}"), "SKU-1", 1).status,
                201
            );
            orders += 1;
            if n == 10 && round == 1 {
                // Orders go on while nobody follows.
                served = None;
            }
        }
        served.get_or_insert_with(|| small.serve(address));
        let kept = || small.kept.lock().unwrap().records;
        until("all entries are there", || kept() >= orders);
        until("the edge knows that", || {
            gateway.figure("tidegate_feed_behind_seconds") == 0
        });
        gateway = if round == 0 {
            gateway.kill();
            start()
        } else {
            gateway
        };
    }
    let kept = small.kept.lock().unwrap();
    assert_eq!(kept.wrong, [""; 0]);
    let hellos = &kept.hellos;
    assert!(hellos.len() >= 4, "{hellos:?}");
    assert_eq!(hellos[0].store, "", "the directory has fed no store yet");
    assert!(
        hellos[1..]
            .iter()
            .all(|hello| hello.store == "here" && hello.shards == 64),
        "{hellos:?}"
    );
}

#[test]
fn requests_of_the_slow_lane_go_over_the_wire_and_are_answered_503_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let (mut small, _said) = Small::new("here");
    small.token = Some("secret");
    let served = small.serve(anywhere());
    let file = folder.path().join("token");
    std::fs::write(&file, "secret\n").unwrap();
    let data = folder.path().join("data");
    let token_file = format!("backoffice.token_file={}", file.display());
    let gateway = start(&data, &served, &[&token_file]);
    let token = gateway.token("alice", None);
    let mut client = gateway.connect();
    let listed = client.request("GET", "/v1/orders?limit=3", &token, &[], "");
    assert_eq!(listed.status, 200, "{listed:?}");
    assert_eq!(listed.body, "GET /v1/orders?limit=3 by \"alice\": ");
    let paid = client.request("POST", "/v1/orders/5/pay", &token, &[], "{\"a\":1}");
    assert_eq!(paid.body, "POST /v1/orders/5/pay by \"alice\": {\"a\":1}");
    drop(served);
    until("it is known to be away", || {
        // Neither was done, and a payment's caller is told so too.
        let listed = client.request("GET", "/v1/orders", &token, &[], "");
        let paid = client.request("POST", "/v1/orders/5/pay", &token, &[], "{}");
        [listed, paid]
            .iter()
            .all(|answer| answer.status == 503 && answer.body.contains("backoffice_unavailable"))
    });
    assert_eq!(client.place(&token, "k", "SKU-1", 1).status, 201);
}

#[test]
fn commands_of_the_backoffice_reach_the_shards_and_come_back_answered() {
    let folder = tempfile::tempdir().unwrap();
    let (small, mut said) = Small::new("here");
    let served = small.serve(anywhere());
    let _gateway = start(folder.path(), &served, &[]);
    let mut asks = None;
    until("the desk is there", || {
        asks = small.asks.lock().unwrap().clone();
        asks.is_some()
    });
    let asks = asks.unwrap();
    let ask = |ticket, sku: &str| pb::DeskCommand {
        ticket,
        command: Some(pb::desk_command::Command::ReadSku(pb::ReadSku {
            sku: sku.into(),
        })),
        traceparent: String::new(),
    };
    for (ticket, sku) in [(1, "SKU-1"), (2, "NONE"), (3, "not a name")] {
        asks.blocking_send(ask(ticket, sku)).unwrap();
        let answer = said.blocking_recv().unwrap();
        assert_eq!(answer.ticket, ticket);
        match answer.answer {
            Some(desk_answer::Answer::Sku(view)) if ticket == 1 => assert_eq!(view.sku, "SKU-1"),
            Some(desk_answer::Answer::Refusal(refusal)) if ticket == 2 => {
                assert_eq!(refusal.kind(), pb::refusal::Kind::UnknownSku);
            }
            Some(desk_answer::Answer::NotDone(_)) if ticket == 3 => {}
            other => panic!("{ticket}: {other:?}"),
        }
    }
}

#[test]
fn an_order_is_acknowledged_only_once_it_is_published_where_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (small, _said) = Small::new("here");
    let mut served = small.serve(anywhere());
    let gateway = start(folder.path(), &served, &["shards.durability=replicated"]);
    let (alice, operator) = (
        gateway.token("alice", None),
        gateway.token("root", Some("operator")),
    );
    let mut client = gateway.connect();
    let sku = r#"{"name":"A","price":5,"currency":"EUR","stock":9}"#;
    let made = client.request("PUT", "/v1/skus/A", &operator, &[], sku);
    assert!(made.status == 201 || made.status == 200, "{made:?}");
    assert_eq!(client.place(&alice, "published", "A", 1).status, 201);
    small.kept.lock().unwrap().silent = true;
    let unknown = client.place(&alice, "silent", "A", 1);
    assert_eq!(
        (unknown.status, unknown.member("code").as_str()),
        (504, "outcome_unknown")
    );
    // The next welcome says what there is after all.
    small.kept.lock().unwrap().silent = false;
    let address = served.address;
    drop(served);
    served = small.serve(address);
    let mut again = None;
    until("the bus is back", || {
        let answer = gateway.connect().place(&alice, "silent", "A", 1);
        again = (answer.status < 300).then_some(answer);
        again.is_some()
    });
    let stock = gateway.connect().request("GET", "/v1/stock/A", &alice, &[], "");
    assert!(stock.body.contains("\"held\":2"), "the same order: {stock:?}");
    drop(served);
}

#[test]
fn a_start_says_what_is_wrong_with_the_backoffice() {
    let folder = tempfile::tempdir().unwrap();
    let (small, _said) = Small::new("here");
    let served = small.serve(anywhere());
    let fails = |data: &str, served: &Served, more: &[&str]| {
        let mut command = run(&folder.path().join(data));
        let address = format!("backoffice.address=http://{}", served.address);
        for setting in OFF.iter().chain(more).copied().chain([&*address]) {
            command.args(["--set", setting]);
        }
        let output = command.output().unwrap();
        assert!(!output.status.success());
        text(&output.stderr)
    };
    start(&folder.path().join("a"), &served, &[]).kill();
    let (other, _said) = Small::new("elsewhere");
    let other = other.serve(anywhere());
    let line = fails("a", &other, &[]);
    assert!(
        line.contains("\"elsewhere\"") && line.contains("\"here\""),
        "{line}"
    );
    let (mut locked, _said) = Small::new("here");
    locked.token = Some("secret");
    let locked = locked.serve(anywhere());
    let line = fails("a", &locked, &[]);
    assert!(line.contains("backoffice.token_file"), "{line}");
    let gone = small.serve(anywhere());
    let address = gone.address;
    drop(gone);
    let gone = Served {
        runtime: None,
        address,
        _stop: oneshot::channel().0,
    };
    let line = fails("b", &gone, &["backoffice.start_wait_ms=300"]);
    assert!(line.contains("tidegate-backoffice"), "{line}");
    // A directory that fed a store goes on without an answer.
    let gateway = start(&folder.path().join("a"), &gone, &["backoffice.start_wait_ms=300"]);
    let token = gateway.token("alice", None);
    assert_eq!(gateway.connect().place(&token, "k", "SKU-1", 1).status, 201);
}
