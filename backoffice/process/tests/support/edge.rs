//! An edge as its backoffice sees it: a log, a stream of its entries, and the marks that come back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tidegate_api::pb::backoffice_client::BackofficeClient;
use tidegate_api::pb::{self, from_edge, to_edge};
use tidegate_follow::{Mark, Record};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

/// A log and how much of it came back as marks.
pub struct Edge {
    /// What is durable here.
    pub log: Vec<Record>,
    /// Shards of the data directory.
    pub shards: u16,
    /// The store that it feeds.
    pub store: String,
    /// Ops of the shards that are applied, all together.
    pub applied: Arc<AtomicU64>,
}

/// An open stream.
pub struct Stream {
    /// To the backoffice.
    pub out: mpsc::Sender<pb::FromEdge>,
    /// From it.
    pub inbound: Streaming<pb::ToEdge>,
    /// What it said first.
    pub welcome: pb::Welcome,
}

/// A connection.
pub async fn dial(port: u16) -> Result<BackofficeClient<Channel>, Status> {
    let address = format!("http://127.0.0.1:{port}");
    let channel = Channel::from_shared(address).expect("an address").connect().await;
    channel
        .map(BackofficeClient::new)
        .map_err(|error| Status::unavailable(error.to_string()))
}

/// Records as a message.
pub fn message(records: &[Record]) -> pb::FromEdge {
    let records = records.iter().cloned().map(Into::into).collect();
    pb::FromEdge {
        message: Some(from_edge::Message::Records(pb::Records { records })),
    }
}

impl Edge {
    /// That fed no store yet.
    pub fn new(log: Vec<Record>, shards: u16) -> Edge {
        Edge {
            log,
            shards,
            store: String::new(),
            applied: Arc::default(),
        }
    }

    /// Says hello and hears the welcome.
    pub async fn open(&self, port: u16) -> Result<Stream, Status> {
        let (out, messages) = mpsc::channel(4);
        let hello = pb::Hello {
            version: 1,
            shards: self.shards.into(),
            store: self.store.clone(),
            program: "a test".into(),
        };
        let hello = pb::FromEdge {
            message: Some(from_edge::Message::Hello(hello)),
        };
        out.send(hello).await.expect("room");
        let answer = dial(port).await?.follow(ReceiverStream::new(messages)).await?;
        let mut inbound = answer.into_inner();
        match inbound.message().await?.and_then(|message| message.message) {
            Some(to_edge::Message::Welcome(welcome)) => Ok(Stream {
                out,
                inbound,
                welcome,
            }),
            other => panic!("no welcome: {other:?}"),
        }
    }

    /// Follows until all is applied, however often the stream breaks; gives how many streams it took.
    pub async fn follow(&mut self, port: u16) -> usize {
        let begun = Instant::now();
        for streams in 1.. {
            assert!(
                begun.elapsed() < Duration::from_secs(300),
                "all is applied within five minutes"
            );
            match self.one_stream(port).await {
                Ok(()) => return streams,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        unreachable!("it goes on until all is applied")
    }

    async fn one_stream(&mut self, port: u16) -> Result<(), Status> {
        let mut stream = self.open(port).await?;
        assert!(self.store.is_empty() || self.store == stream.welcome.store);
        self.store.clone_from(&stream.welcome.store);
        let last = last_marks(&self.log);
        let mut applied = self.known(&stream.welcome.applied);
        let mut published = self.known(&stream.welcome.published);
        if published.is_empty() {
            // Without a bus what is applied is published.
            published.clone_from(&applied);
        }
        self.count(&applied);
        let rest: Vec<Record> = self
            .log
            .iter()
            .filter(|record| applied.get(&record.shard).is_none_or(|mark| mark.op < record.op))
            .cloned()
            .collect();
        let sending = async move {
            for part in rest.chunks(40) {
                if stream.out.send(message(part)).await.is_err() {
                    break;
                }
            }
            // The stream stays open until all is applied.
            std::future::pending::<()>().await;
        };
        let hearing = async {
            while applied != last {
                let message = stream.inbound.message().await?;
                match message.and_then(|message| message.message) {
                    Some(to_edge::Message::Marks(marks)) => {
                        published.extend(self.known(&marks.published));
                        applied.extend(self.known(&marks.applied));
                        self.count(&applied);
                        for mark in applied.values() {
                            let known = published.get(&mark.shard);
                            assert!(
                                known.is_some_and(|known| known.op >= mark.op),
                                "what is applied was published"
                            );
                        }
                    }
                    other => panic!("no marks: {other:?}"),
                }
            }
            Ok(())
        };
        tokio::select! {
            () = sending => unreachable!("it waits"),
            heard = hearing => heard,
        }
    }

    /// Marks of this log: a mark of another history would be taken for the truth by an edge.
    fn known(&self, marks: &[pb::Mark]) -> BTreeMap<u16, Mark> {
        let mark = |mark: &pb::Mark| Mark::try_from(*mark).expect("a mark");
        let marks = marks.iter().map(|one| (one.shard as u16, mark(one)));
        marks
            .inspect(|(_, mark)| {
                let has = self.log.iter().any(|record| record.mark() == *mark);
                assert!(has, "{mark:?} is of no record");
            })
            .collect()
    }

    fn count(&self, applied: &BTreeMap<u16, Mark>) {
        let ops = applied.values().map(|mark| mark.op).sum();
        self.applied.fetch_max(ops, Ordering::SeqCst);
    }
}

/// The last mark of each shard.
pub fn last_marks(log: &[Record]) -> BTreeMap<u16, Mark> {
    log.iter().map(|record| (record.shard, record.mark())).collect()
}
