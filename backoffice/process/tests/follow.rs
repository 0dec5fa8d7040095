//! The real binary between an edge and real servers: entries in, marks back, and rows that each entry changed once, whatever dies meanwhile.

#[path = "../../mysql/tests/support/database.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod database;
#[path = "support/edge.rs"]
mod edge;
#[path = "support/keys.rs"]
mod keys;
#[path = "support/process.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod process;
#[path = "../../mysql/tests/support/shop.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod shop;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use database::{Scratch, block_on};
use edge::{Edge, last_marks, message};
use keys::{PASSWORD, SHARDS, a_day, on_database, on_topic, undisturbed};
use mysql_async::prelude::Queryable;
use process::Process;
use tidegate_api::pb::to_edge;
use tidegate_follow::Record;
use tonic::Code;

/// An edge follows while the process is killed at each of these parts of the way, and begun again. Gives how many streams it took.
fn killed_on_the_way(process: &mut Process, log: &[Record], kills: &[f64]) -> usize {
    let all: u64 = last_marks(log).values().map(|mark| mark.op).sum();
    let mut edge = Edge::new(log.to_vec(), SHARDS);
    let (port, applied) = (process.grpc, Arc::clone(&edge.applied));
    std::thread::scope(|threads| {
        let followed = threads.spawn(move || block_on(edge.follow(port)));
        for part in kills {
            let point = (all as f64 * part) as u64;
            while applied.load(Ordering::SeqCst) < point {
                assert!(!followed.is_finished(), "the kill comes on the way");
                std::thread::sleep(Duration::from_millis(1));
            }
            process.kill();
            process.begin();
        }
        followed.join().expect("all is applied")
    })
}

#[test]
fn without_a_bus_a_process_that_is_killed_thrice_leaves_the_rows_of_an_undisturbed_one() {
    let Some(scratch) = Scratch::make() else { return };
    let log = a_day(8000, 31);
    let (set, password) = on_database(&scratch);
    let mut process = Process::start(&set, &[(PASSWORD, &password)]);
    let streams = killed_on_the_way(&mut process, &log, &[0.1, 0.4, 0.7]);
    assert!(streams >= 4, "each kill broke a stream: {streams}");
    assert_eq!(scratch.dump(), undisturbed(&log));
}

#[test]
fn through_kafka_a_process_that_is_killed_thrice_leaves_the_rows_of_an_undisturbed_one() {
    let Some(scratch) = Scratch::make() else { return };
    let (mut set, password) = on_database(&scratch);
    let Some(()) = on_topic(&mut set) else { return };
    let log = a_day(8000, 32);
    let mut process = Process::start(&set, &[(PASSWORD, &password)]);
    let streams = killed_on_the_way(&mut process, &log, &[0.1, 0.4, 0.7]);
    assert!(streams >= 4, "each kill broke a stream: {streams}");
    assert_eq!(scratch.dump(), undisturbed(&log));
}

#[test]
fn feed_and_store_may_be_two_processes() {
    let Some(scratch) = Scratch::make() else { return };
    let (mut set, password) = on_database(&scratch);
    let Some(()) = on_topic(&mut set) else { return };
    let log = a_day(1500, 33);
    let with_role = |role: &str| {
        let mut set = set.clone();
        set.push(format!("process.roles=[\"{role}\"]"));
        Process::start(&set, &[(PASSWORD, &password)])
    };
    let (feed, _store) = (with_role("feed"), with_role("store"));
    let mut edge = Edge::new(log.clone(), SHARDS);
    block_on(edge.follow(feed.grpc));
    assert_eq!(scratch.dump(), undisturbed(&log));
    let metrics = feed.ask("/metrics");
    let published = format!("tidegate_backoffice_feed_records_published_total {}", log.len());
    assert!(metrics.contains(&published), "{metrics}");
}

#[test]
fn an_edge_of_another_store_or_with_other_shards_is_refused_and_the_one_that_is_served_goes_on() {
    let Some(scratch) = Scratch::make() else { return };
    let (set, password) = on_database(&scratch);
    let process = Process::start(&set, &[(PASSWORD, &password)]);
    let log = a_day(100, 34);
    block_on(async {
        let edge = Edge::new(log.clone(), SHARDS);
        let mut stream = edge.open(process.grpc).await.unwrap();
        let mut of_another = Edge::new(Vec::new(), SHARDS);
        of_another.store = "mysql-of-another-shop".into();
        let refused = of_another.open(process.grpc).await.err().expect("a refusal");
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert!(refused.message().contains("mysql-of-another-shop"), "{refused}");
        let refused = Edge::new(Vec::new(), 64).open(process.grpc).await;
        let refused = refused.err().expect("a refusal");
        assert!(refused.message().contains("process.shards"), "{refused}");
        stream.out.send(message(&log)).await.unwrap();
        let first = stream.inbound.message().await.unwrap().unwrap();
        assert!(matches!(first.message, Some(to_edge::Message::Marks(_))));
    });
}

#[test]
fn the_newest_stream_is_served_and_the_one_before_is_told_so() {
    let Some(scratch) = Scratch::make() else { return };
    let (set, password) = on_database(&scratch);
    let process = Process::start(&set, &[(PASSWORD, &password)]);
    let log = a_day(100, 35);
    block_on(async {
        let edge = Edge::new(log.clone(), SHARDS);
        let mut old = edge.open(process.grpc).await.unwrap();
        let new = edge.open(process.grpc).await.unwrap();
        let ended = old.inbound.message().await.expect_err("it ended");
        assert!(ended.message().contains("newer stream"), "{ended}");
        drop(new);
    });
}

#[test]
fn a_gap_stops_its_shard_and_the_others_go_on() {
    let Some(scratch) = Scratch::make() else { return };
    let (set, password) = on_database(&scratch);
    let process = Process::start(&set, &[(PASSWORD, &password)]);
    let log = a_day(300, 36);
    let gone = log.iter().position(|record| record.shard == 3 && record.op == 3);
    let mut torn = log.clone();
    torn.remove(gone.expect("shard 3 logs"));
    block_on(async {
        let mut stream = Edge::new(log.clone(), SHARDS).open(process.grpc).await.unwrap();
        stream.out.send(message(&torn)).await.unwrap();
        let mut stopped = None;
        let mut last = last_marks(&log);
        last.remove(&3);
        while stopped.is_none() || !last.is_empty() {
            match stream.inbound.message().await.unwrap().unwrap().message {
                Some(to_edge::Message::Stop(stop)) => stopped = Some(stop),
                Some(to_edge::Message::Marks(marks)) => {
                    last.retain(|shard, mark| {
                        let told = marks.applied.iter().find(|told| told.shard == u32::from(*shard));
                        told.is_none_or(|told| told.op < mark.op)
                    });
                }
                other => panic!("neither: {other:?}"),
            }
        }
        assert_eq!(stopped.unwrap().shard, 3);
    });
    let ready = process.ask("/readyz");
    assert!(
        ready.starts_with("HTTP/1.1 200") && ready.contains("feed: degraded"),
        "{ready}"
    );
}

/// A counter as the metrics have it.
fn counted(process: &Process, name: &str) -> u64 {
    let text = process.ask("/metrics");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(&format!("tidegate_backoffice_{name} ")));
    line.unwrap_or_else(|| panic!("no {name} in {text}"))
        .parse()
        .expect("a number")
}

#[test]
fn a_store_that_stands_still_holds_the_edge_back_within_the_window_and_gets_all_of_it_later() {
    const WINDOW: usize = 65_536;
    let Some(scratch) = Scratch::make() else { return };
    let (mut set, password) = on_database(&scratch);
    set.push(format!("grpc.window_bytes={WINDOW}"));
    let process = Process::start(&set, &[(PASSWORD, &password)]);
    let log = a_day(4000, 38);
    let size = |records: &[Record]| records.iter().map(|record| record.payload.len()).sum::<usize>();
    let largest = log.chunks(40).map(size).max().unwrap();
    assert!(size(&log) > 3 * WINDOW, "{}", size(&log));
    let mut edge = Edge::new(log.clone(), SHARDS);
    block_on(async {
        let opts = mysql_async::Opts::from_url(&scratch.url).unwrap();
        let mut holder = mysql_async::Conn::new(opts).await.unwrap();
        // The tables are made when the first edge comes.
        drop(Edge::new(Vec::new(), SHARDS).open(process.grpc).await.unwrap());
        holder
            .query_drop("LOCK TABLES marks WRITE, store WRITE")
            .await
            .unwrap();
        holder.query_drop("UNLOCK TABLES").await.unwrap();
        let held = async {
            // The stream is welcomed first.
            while counted(&process, "feed_records_received_total") == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            holder.query_drop("LOCK TABLES marks WRITE").await.unwrap();
            let before = counted(&process, "feed_records_published_total");
            tokio::time::sleep(Duration::from_millis(300)).await;
            let held = counted(&process, "feed_records_published_total");
            let (came, bytes) = (
                counted(&process, "feed_records_received_total"),
                counted(&process, "feed_bytes_received_total"),
            );
            holder.query_drop("UNLOCK TABLES").await.unwrap();
            (before, held, came, bytes)
        };
        let (streams, (_, held, came, bytes)) = tokio::join!(edge.follow(process.grpc), held);
        assert_eq!(streams, 1, "it is held back, not broken");
        assert!((came as usize) < log.len(), "some of it was not taken meanwhile");
        let published = size(&log[..held as usize]);
        assert!(
            bytes as usize - published <= WINDOW + largest,
            "{bytes} bytes came, {published} are published"
        );
    });
    assert_eq!(scratch.dump(), undisturbed(&log));
}

#[test]
fn sigterm_ends_in_order_with_the_stream_told_why() {
    let Some(scratch) = Scratch::make() else { return };
    let (mut set, password) = on_database(&scratch);
    let Some(()) = on_topic(&mut set) else { return };
    let log = a_day(2000, 37);
    let mut process = Process::start(&set, &[(PASSWORD, &password)]);
    let (ended, (status, took)) = block_on(async {
        let mut stream = Edge::new(log.clone(), SHARDS).open(process.grpc).await.unwrap();
        stream.out.send(message(&log[..1000])).await.unwrap();
        let told = tokio::task::spawn_blocking(move || process.terminate());
        let ended = loop {
            if let Err(ended) = stream.inbound.message().await {
                break ended;
            }
        };
        (ended, told.await.unwrap())
    });
    assert_eq!(ended.code(), Code::Unavailable, "{ended}");
    assert_eq!(status, Some(0));
    assert!(took < Duration::from_secs(9), "{took:?}");
}

#[test]
fn a_store_that_is_away_is_told_to_the_edge_and_to_who_watches() {
    let dead = process::free_port();
    let set = [
        format!("mysql.url=mysql://nobody@127.0.0.1:{dead}/tidegate"),
        format!("process.shards={SHARDS}"),
        "process.roles=[\"feed\"]".into(),
    ];
    let process = Process::start(&set, &[]);
    assert!(process.ask("/readyz").starts_with("HTTP/1.1 200"));
    let refused = block_on(Edge::new(Vec::new(), SHARDS).open(process.grpc));
    assert_eq!(refused.err().expect("a refusal").code(), Code::Unavailable);
    let ready = process.ask("/readyz");
    assert!(
        ready.starts_with("HTTP/1.1 503") && ready.contains("feed: down"),
        "{ready}"
    );
    assert!(process.ask("/livez").starts_with("HTTP/1.1 200"));
}
