//! A process without a free file descriptor. Alone in its file: the limit is the process's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tidegate_host::clock::monotonic_ns;
use tidegate_host::{Answer, Event, Host, HostConfig, NetPort, Request, Unavailable};
use tidegate_shard_core::{
    Buyer, Command, KeyHash, Line, Lines, Outcome, Place, PutSku, SkuName, body_hash, home_shard,
};

fn sku() -> SkuName {
    SkuName::parse(b"SKU").unwrap()
}

fn place(number: u64) -> Command {
    let lines: Lines = std::iter::once(Line { sku: sku(), qty: 1 }).collect();
    let mut key = [0; 16];
    key[..8].copy_from_slice(&number.to_le_bytes());
    Command::Place(Place {
        buyer: Buyer(key),
        subject: Arc::from("ann"),
        key: KeyHash(key),
        body: body_hash(&lines),
        lines,
    })
}

fn ask(port: &mut NetPort, ticket: u64, command: Command) -> Answer {
    let shard = home_shard(&command, port.shards());
    port.try_send(Request {
        ticket,
        at_ns: monotonic_ns(),
        shard,
        command,
    })
    .unwrap();
    port.ring_bells();
    let begin = Instant::now();
    loop {
        match port.try_recv() {
            Some(Event::Reply { answer, .. }) => return answer,
            Some(Event::Stock(_)) => {}
            None => port.wait(Duration::from_millis(10)),
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "an answer comes");
    }
}

#[test]
fn without_a_descriptor_orders_are_refused_until_there_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let config = HostConfig {
        shards: 4,
        threads: 1,
        segment_bytes: 128 * 1024,
        window_us_max: 0,
        ..HostConfig::new(dir.path())
    };
    let (host, mut ports) = Host::start(config, 1, &mut |_| {}).unwrap();
    let mut port = ports.remove(0);
    let put = PutSku {
        price: Some(1000),
        currency: Some(*b"CNY"),
        stock: Some(1_000_000),
        ..PutSku::new(sku())
    };
    ask(&mut port, 0, Command::PutSku(Box::new(put)));
    // The next segment is prepared meanwhile.
    std::thread::sleep(Duration::from_millis(500));

    let before = getrlimit(Resource::Nofile);
    let none = Rlimit {
        current: Some(0),
        ..before
    };
    setrlimit(Resource::Nofile, none).unwrap();
    let mut number = 1;
    loop {
        // The log goes over to the prepared segment, and only the one after it is missing.
        match ask(&mut port, number, place(number)) {
            Answer::Decided(Outcome::Order(_)) => {}
            Answer::Unavailable(Unavailable::LogFull) => break,
            other => panic!("{other:?}"),
        }
        number += 1;
        assert!(number < 10_000, "two segments of 128 KiB fill up");
    }
    assert!(host.failure().is_none());
    assert!(number > 10, "orders went on to the end of the segment");
    setrlimit(Resource::Nofile, before).unwrap();

    let begin = Instant::now();
    while !matches!(
        ask(&mut port, number, place(number)),
        Answer::Decided(Outcome::Order(_))
    ) {
        assert!(
            begin.elapsed() < Duration::from_secs(20),
            "orders are taken again"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    for more in 1..300 {
        let answer = ask(&mut port, number + more, place(number + more));
        assert!(matches!(
            answer,
            Answer::Decided(Outcome::Order(_)) | Answer::Unavailable(_)
        ));
    }
    host.stop().unwrap();
}
