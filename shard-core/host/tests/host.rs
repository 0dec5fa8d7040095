//! The host as a gateway sees it: start, order, stop, start again.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate_host::clock::monotonic_ns;
use tidegate_host::{Answer, Event, Host, HostConfig, NetPort, Request, StartError, Unavailable};
use tidegate_shard_core::{
    BodyHash, Buyer, Caller, Command, KeyHash, Line, Lines, OrderId, OrderStatus, Outcome, Place, PutSku,
    SkuName, body_hash, home_shard,
};

fn config(dir: &Path, threads: usize) -> HostConfig {
    HostConfig {
        shards: 16,
        threads,
        segment_bytes: 1 << 20,
        ..HostConfig::new(dir)
    }
}

fn start(config: HostConfig) -> (Host, NetPort) {
    let (host, mut ports) = Host::start(config, 1, &mut |_| {}).unwrap_or_else(|error| panic!("{error}"));
    (host, ports.remove(0))
}

fn sku(n: usize) -> SkuName {
    SkuName::parse(format!("SKU-{n}").as_bytes()).unwrap()
}

fn put(n: usize, stock: u64) -> Command {
    Command::PutSku(Box::new(PutSku {
        price: Some(1000),
        currency: Some(*b"CNY"),
        stock: Some(stock),
        ..PutSku::new(sku(n))
    }))
}

fn place(number: u64, skus: &[usize]) -> Command {
    let mut lines: Lines = skus.iter().map(|n| Line { sku: sku(*n), qty: 1 }).collect();
    lines.sort_by_key(|line| line.sku);
    let mut key = [0; 16];
    key[..8].copy_from_slice(&number.to_le_bytes());
    let body: BodyHash = body_hash(&lines);
    Command::Place(Place {
        buyer: Buyer(key),
        subject: Arc::from("ann"),
        key: KeyHash(key),
        body,
        lines,
    })
}

fn buyer(number: u64) -> Caller {
    let mut buyer = [0; 16];
    buyer[..8].copy_from_slice(&number.to_le_bytes());
    Caller::Buyer(Buyer(buyer))
}

/// Sends all commands and waits for all answers, in the order of the commands.
fn ask(port: &mut NetPort, commands: Vec<Command>) -> Vec<Answer> {
    let count = commands.len();
    let mut answers: HashMap<u64, Answer> = HashMap::new();
    let mut commands = commands.into_iter().enumerate().peekable();
    let begin = Instant::now();
    while answers.len() < count {
        while let Some((ticket, command)) = commands.next_if(|_| port.in_flight() < 500) {
            let shard = home_shard(&command, port.shards());
            let request = Request {
                ticket: ticket as u64,
                at_ns: monotonic_ns(),
                shard,
                command,
            };
            port.try_send(request)
                .unwrap_or_else(|_| panic!("there are credits"));
        }
        port.ring_bells();
        while let Some(event) = port.try_recv() {
            if let Event::Reply { ticket, answer, .. } = event {
                assert!(answers.insert(ticket, answer).is_none(), "one answer each");
            }
        }
        port.wait(Duration::from_millis(10));
        assert!(begin.elapsed() < Duration::from_secs(30), "answers come");
    }
    (0..count as u64)
        .map(|ticket| answers.remove(&ticket).unwrap())
        .collect()
}

fn order(answer: &Answer) -> (OrderId, OrderStatus) {
    match answer {
        Answer::Decided(Outcome::Order(view)) => (view.id, view.status),
        other => panic!("not an order: {other:?}"),
    }
}

#[test]
fn orders_survive_a_stop_and_another_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    let (host, mut port) = start(config(dir.path(), 3));
    assert_eq!(port.shards(), 16);
    ask(&mut port, (0..40).map(|n| put(n, 1000)).collect());
    let commands = (0..600).map(|n| {
        let a = n as usize % 40;
        if n % 3 == 0 {
            place(n, &[a, (a + 7) % 40, (a + 13) % 40])
        } else {
            place(n, &[a])
        }
    });
    let placed: Vec<OrderId> = ask(&mut port, commands.collect())
        .iter()
        .map(|answer| order(answer).0)
        .collect();
    let moved = host
        .stats()
        .iter()
        .all(|stats| stats.batches.get() > 0 && stats.ops.get() > 0);
    assert!(moved, "every thread wrote its log");
    host.stop().unwrap();
    assert!(!port.is_serving());

    for threads in [2, 2, 4] {
        let (host, mut port) = start(config(dir.path(), threads));
        let reads = placed.iter().enumerate();
        let reads = reads.map(|(n, id)| Command::ReadOrder {
            order: *id,
            caller: buyer(n as u64),
        });
        for (answer, id) in ask(&mut port, reads.collect()).iter().zip(&placed) {
            assert_eq!(order(answer), (*id, OrderStatus::Pending));
        }
        // The same key gives the same order.
        let again = ask(&mut port, vec![place(1, &[1])]);
        assert_eq!(order(&again[0]).0, placed[1]);
        host.stop().unwrap();
    }
}

#[test]
fn a_second_instance_is_refused_and_a_later_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let (host, _port) = start(config(dir.path(), 1));
    let second = Host::start(config(dir.path(), 1), 1, &mut |_| {});
    assert!(matches!(second, Err(StartError::Locked { .. })));
    drop(host);
    let (host, _port) = start(config(dir.path(), 1));
    host.stop().unwrap();
}

#[test]
fn another_store_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let of = |store: &str| HostConfig {
        store: store.to_owned(),
        ..config(dir.path(), 1)
    };
    let (host, _port) = start(of("one"));
    host.stop().unwrap();
    let refused = Host::start(of("other"), 1, &mut |_| {})
        .err()
        .map(|error| error.to_string());
    assert!(refused.is_some_and(|text| text.contains("other")));
}

#[test]
fn a_request_that_waited_too_long_is_shed_before_the_shard_sees_it() {
    let dir = tempfile::tempdir().unwrap();
    let (host, mut port) = start(config(dir.path(), 1));
    ask(&mut port, vec![put(1, 10)]);
    let command = place(1, &[1]);
    let shard = home_shard(&command, port.shards());
    let at_ns = monotonic_ns() - 60_000_000;
    port.try_send(Request {
        ticket: 7,
        at_ns,
        shard,
        command,
    })
    .unwrap();
    port.ring_bells();
    let answer = loop {
        match port.try_recv() {
            Some(Event::Reply {
                ticket: 7,
                answer,
                times,
            }) => {
                assert!(times.queued_ns >= 60_000_000);
                break answer;
            }
            Some(_) => {}
            None => port.wait(Duration::from_millis(10)),
        }
    };
    assert!(matches!(answer, Answer::Shed));
    assert_eq!(host.stats()[0].shed.get(), 1);
    let stock = ask(&mut port, vec![Command::ReadStock { sku: sku(1) }]);
    assert!(matches!(&stock[0], Answer::Decided(Outcome::Stock(view)) if view.available == 10));
    host.stop().unwrap();
}

#[test]
fn shedding_and_the_backlogs_bound_change_while_it_runs() {
    let dir = tempfile::tempdir().unwrap();
    let (host, mut port) = start(config(dir.path(), 2));
    ask(&mut port, vec![put(1, 10)]);
    let late = |port: &mut NetPort, number| {
        let command = place(number, &[1]);
        let shard = home_shard(&command, port.shards());
        let at_ns = monotonic_ns() - 60_000_000;
        port.try_send(Request {
            ticket: 7,
            at_ns,
            shard,
            command,
        })
        .unwrap();
        port.ring_bells();
        loop {
            match port.try_recv() {
                Some(Event::Reply { answer, .. }) => break answer,
                Some(Event::Stock(_)) => {}
                None => port.wait(Duration::from_millis(10)),
            }
        }
    };
    assert!(matches!(late(&mut port, 1), Answer::Shed));
    host.knobs().set_shed_after_ms(60_000);
    order(&late(&mut port, 2));
    host.knobs().set_backlog_bytes_max(1);
    let refused = late(&mut port, 3);
    assert!(
        matches!(refused, Answer::Unavailable(Unavailable::Backlog)),
        "{refused:?}"
    );
    host.knobs().set_backlog_bytes_max(1 << 40);
    order(&late(&mut port, 3));
    host.stop().unwrap();
}

#[test]
fn stock_rows_come_without_being_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let (host, mut port) = start(HostConfig {
        stock_every_ms: 1,
        ..config(dir.path(), 2)
    });
    for command in [put(1, 10), place(1, &[1])] {
        let shard = home_shard(&command, port.shards());
        port.try_send(Request {
            ticket: 0,
            at_ns: monotonic_ns(),
            shard,
            command,
        })
        .unwrap();
        port.ring_bells();
        std::thread::sleep(Duration::from_millis(20));
    }
    let begin = Instant::now();
    let mut last = None;
    while last != Some((9, 1)) {
        match port.try_recv() {
            Some(Event::Stock(row)) => last = Some((row.available, row.held)),
            Some(_) => {}
            None => port.wait(Duration::from_millis(10)),
        }
        assert!(begin.elapsed() < Duration::from_secs(10), "last row {last:?}");
    }
    host.stop().unwrap();
}

#[test]
fn segments_are_made_ahead_while_the_log_grows() {
    let dir = tempfile::tempdir().unwrap();
    let small = HostConfig {
        segment_bytes: 128 * 1024,
        checkpoint_bytes: 256 * 1024,
        window_us_max: 0,
        ..config(dir.path(), 1)
    };
    let (host, mut port) = start(small.clone());
    ask(&mut port, vec![put(1, 1_000_000)]);
    for round in 0..20 {
        ask(
            &mut port,
            (0..200).map(|n| place(round * 200 + n, &[1])).collect(),
        );
    }
    host.stop().unwrap();
    let logs = std::fs::read_dir(dir.path().join("logs"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    assert!(std::fs::read_dir(logs).unwrap().count() > 4);
    // The newest checkpoint, and the one before it if there was time for two.
    let mut checkpoints = std::fs::read_dir(dir.path().join("checkpoints")).unwrap();
    let newest = |name: &std::ffi::OsStr| name.to_string_lossy().ends_with(".ckpt");
    assert!(checkpoints.any(|entry| newest(&entry.unwrap().file_name())));
    let (host, mut port) = start(small);
    let stock = ask(&mut port, vec![Command::ReadStock { sku: sku(1) }]);
    assert!(matches!(&stock[0], Answer::Decided(Outcome::Stock(view)) if view.held == 4000));
    host.stop().unwrap();
}
