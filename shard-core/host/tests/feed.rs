//! A store that follows a running host.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate_host::clock::monotonic_ns;
use tidegate_host::{Answer, Event, Host, HostConfig, HostFeed, NetPort, Request, StartError, Unavailable};
use tidegate_log::ShardMark;
use tidegate_node::{Fed, FeedError, OpenError};
use tidegate_shard_core::{
    Buyer, Command, KeyHash, Line, Lines, Outcome, Place, PutSku, SkuName, body_hash, home_shard,
};

const PATIENCE: Duration = Duration::from_secs(20);

fn start(dir: &Path, marks: &[ShardMark]) -> Result<(Host, NetPort), StartError> {
    start_with(2, dir, marks)
}

fn start_with(threads: usize, dir: &Path, marks: &[ShardMark]) -> Result<(Host, NetPort), StartError> {
    let config = HostConfig {
        shards: 4,
        threads,
        segment_bytes: 128 * 1024,
        marks: marks.to_vec(),
        ..HostConfig::new(dir)
    };
    let (host, mut ports) = Host::start(config, 1, &mut |_| {})?;
    Ok((host, ports.remove(0)))
}

fn sku(n: u64) -> SkuName {
    SkuName::parse(format!("SKU-{n}").as_bytes()).unwrap()
}

fn place(number: u64) -> Command {
    let lines: Lines = [Line {
        sku: sku(number % 10),
        qty: 1,
    }]
    .into_iter()
    .collect();
    Command::Place(Place {
        buyer: Buyer(u128::from(number).to_le_bytes()),
        subject: Arc::from("ann"),
        key: KeyHash(u128::from(number).to_le_bytes()),
        body: body_hash(&lines),
        lines,
    })
}

fn ask(port: &mut NetPort, command: Command) -> Answer {
    let shard = home_shard(&command, port.shards());
    let at_ns = monotonic_ns();
    let request = Request {
        ticket: 0,
        at_ns,
        shard,
        command,
    };
    port.try_send(request)
        .unwrap_or_else(|_| panic!("there are credits"));
    port.ring_bells();
    let begin = Instant::now();
    loop {
        if let Some(Event::Reply { answer, .. }) = port.try_recv() {
            return answer;
        }
        port.wait(Duration::from_millis(1));
        assert!(begin.elapsed() < PATIENCE, "an answer comes");
    }
}

fn fill(port: &mut NetPort, from: u64) {
    for n in 0..10 {
        let put = PutSku {
            price: Some(5),
            currency: Some(*b"EUR"),
            stock: Some(1_000_000),
            ..PutSku::new(sku(n))
        };
        ask(port, Command::PutSku(Box::new(put)));
    }
    for number in from..from + 200 {
        let answer = ask(port, place(number));
        assert!(matches!(answer, Answer::Decided(Outcome::Order(_))), "{answer:?}");
    }
}

/// Reads all that is durable; the marks of it.
fn follow(feed: &mut HostFeed, marks: &mut [ShardMark]) {
    loop {
        let fed = feed.read(|record| {
            let mark = &mut marks[usize::from(record.shard)];
            assert_eq!((record.op, record.previous), (mark.op + 1, mark.chain));
            (mark.op, mark.chain) = (record.op, record.chain);
            Ok::<(), ()>(())
        });
        match fed.expect("the log is sound") {
            Fed::More => {}
            Fed::All => return,
            Fed::Full => panic!("so few"),
        }
    }
}

fn nothing() -> Vec<ShardMark> {
    let mark = |shard| ShardMark {
        shard,
        op: 0,
        chain: 0,
    };
    (0..4).map(mark).collect()
}

#[test]
fn a_store_follows_a_host_through_a_restart_and_a_wrong_mark_stops_one_shard() {
    let dir = tempfile::tempdir().unwrap();
    let mut marks = nothing();
    for round in 0..2 {
        let (host, mut port) = start(dir.path(), &marks).unwrap();
        let mut feed = host.feed(&marks).unwrap();
        fill(&mut port, round * 1000);
        follow(&mut feed, &mut marks);
        assert!(marks.iter().map(|mark| mark.op).sum::<u64>() > 200);
        marks.iter().for_each(|mark| feed.applied(*mark).unwrap());
        drop((feed, port));
        host.stop().unwrap();
    }
    let (host, mut port) = start(dir.path(), &marks).unwrap();
    let mut feed = host.feed(&marks).unwrap();
    follow(&mut feed, &mut marks);
    let shard = home_shard(&place(5000), 4);
    let wrong = ShardMark {
        chain: 1,
        ..marks[usize::from(shard.0)]
    };
    assert!(feed.applied(wrong).is_err());
    let stopped = || {
        host.stats()
            .iter()
            .map(|stats| stats.stopped_shards.get())
            .sum::<u64>()
    };
    let begin = Instant::now();
    while stopped() == 0 {
        assert!(begin.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(2));
    }
    for number in 5000..5030 {
        let here = home_shard(&place(number), 4) == shard;
        match ask(&mut port, place(number)) {
            Answer::Unavailable(Unavailable::Stopped) => assert!(here),
            answer => assert!(!here && matches!(answer, Answer::Decided(_)), "{answer:?}"),
        }
    }
    drop((feed, port));
    host.stop().unwrap();
}

#[test]
fn a_start_whose_log_does_not_have_what_the_store_has_names_shard_and_op() {
    let dir = tempfile::tempdir().unwrap();
    let (host, mut port) = start(dir.path(), &[]).unwrap();
    let mut feed = host.feed(&nothing()).unwrap();
    let mut marks = nothing();
    fill(&mut port, 0);
    follow(&mut feed, &mut marks);
    drop((feed, port));
    host.stop().unwrap();
    let beyond = ShardMark {
        op: marks[3].op + 100_000,
        ..marks[3]
    };
    let refused = start(dir.path(), &[beyond]).map(drop).expect_err("it is refused");
    let text = refused.to_string();
    assert!(
        text.contains("shard 3") && text.contains(&beyond.op.to_string()),
        "{text}"
    );
    assert!(matches!(
        refused,
        StartError::Open {
            error: OpenError::MarkNotReached { .. },
            ..
        }
    ));
    assert!(start(dir.path(), &marks).is_ok());
}

#[test]
fn what_a_store_had_before_the_start_is_told_to_the_log_without_another_record() {
    let dir = tempfile::tempdir().unwrap();
    let mut marks = nothing();
    let (host, mut port) = start(dir.path(), &marks).unwrap();
    let mut feed = host.feed(&marks).unwrap();
    fill(&mut port, 0);
    follow(&mut feed, &mut marks);
    // The store has committed, and dies before it says so.
    drop((feed, port));
    host.stop().unwrap();
    let logs = || std::fs::read_dir(dir.path().join("logs")).unwrap().count();
    let (host, port) = start_with(3, dir.path(), &marks).unwrap();
    assert_eq!(logs(), 2 + 3);
    let mut feed = host.feed(&marks).unwrap();
    follow(&mut feed, &mut marks);
    let begin = Instant::now();
    while logs() > 3 {
        assert!(begin.elapsed() < PATIENCE, "the old logs go");
        std::thread::sleep(Duration::from_millis(2));
    }
    drop((feed, port));
    host.stop().unwrap();
}

#[test]
fn marks_of_another_history_free_nothing_also_where_the_start_did_not_know_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut marks = nothing();
    let (host, mut port) = start(dir.path(), &[]).unwrap();
    let mut feed = host.feed(&marks).unwrap();
    fill(&mut port, 0);
    follow(&mut feed, &mut marks);
    drop((feed, port));
    host.stop().unwrap();
    let logs = || std::fs::read_dir(dir.path().join("logs")).unwrap().count();
    let (host, port) = start_with(3, dir.path(), &[]).unwrap();
    assert_eq!(logs(), 2 + 3);
    // The store has as much as this log, of a disk that is no more.
    for mark in &mut marks {
        mark.chain ^= 1;
    }
    let mut feed = host.feed(&marks).unwrap();
    let mut parted = 0;
    loop {
        match feed.read(|_| Ok::<(), ()>(())) {
            Ok(Fed::All) => break,
            Ok(_) => {}
            Err(error) => {
                assert!(matches!(error, FeedError::Parted(_)), "{error:?}");
                parted += 1;
            }
        }
    }
    assert_eq!(parted, 4, "each shard is stopped, once");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(logs(), 2 + 3, "what the store does not have stays");
    drop((feed, port));
    host.stop().unwrap();
}
