//! The broker dies while batches are published. Alone in its file: it takes the broker from every other test.

use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tidegate_follow::{Bus as _, Record, Source as _, StoreError};
use tidegate_kafka::{KafkaBus, KafkaSource, Settings, decode};
use tidegate_shard_core::Millis;
use tidegate_shard_core::entry::{Effect, Entry};

const SHARDS: u16 = 10;
const OPS: u64 = 3000;
/// Ops of each shard in a batch.
const BATCH: u64 = 10;

/// Runs the script that keeps the broker; none when it fails.
fn services(arguments: &[&str]) -> Option<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/services");
    let output = Command::new(script).args(arguments).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(text)
}

/// The broker's address, if it is one that may be killed: the script has started it.
fn own_broker() -> Result<String, &'static str> {
    let brokers = std::env::var("TIDEGATE_TEST_KAFKA").map_err(|_| "TIDEGATE_TEST_KAFKA names no broker")?;
    let env = services(&["env"]).unwrap_or_default();
    let status = services(&["status", "kafka"]).unwrap_or_default();
    let ours = env
        .lines()
        .any(|line| line == format!("export TIDEGATE_TEST_KAFKA={brokers}"));
    if ours && status.contains("runs (process") {
        Ok(brokers)
    } else {
        Err("scripts/services has not started the broker, so it must not be killed")
    }
}

fn record(shard: u16, op: u64) -> Record {
    let chain = |op: u64| (op << 16 | u64::from(shard)) * u64::from(op > 0);
    let mut payload = Vec::new();
    Entry::new(Millis(op), Effect::Digest { digest: op }).encode(&mut payload);
    Record {
        shard,
        op,
        previous: chain(op - 1),
        chain: chain(op),
        payload: payload.into(),
    }
}

/// Publishes everything, each batch until it is taken, and opens a new bus when one is over. Gives the calls that failed.
fn publish(settings: &Settings, done: &AtomicU64) -> Vec<String> {
    let until = Instant::now() + Duration::from_secs(120);
    let (mut failed, mut bus) = (Vec::new(), None);
    for first in (1..=OPS).step_by(BATCH as usize) {
        let batch: Vec<Record> = (first..first + BATCH)
            .flat_map(|op| (0..SHARDS).map(move |shard| record(shard, op)))
            .collect();
        loop {
            assert!(Instant::now() < until, "it does not end: {failed:?}");
            let open = match bus.take() {
                Some(open) => Ok(open),
                None => KafkaBus::open(settings.clone(), 0..SHARDS),
            };
            let outcome = open.map_err(StoreError::Failed).and_then(|mut open| {
                let outcome = open.publish(&batch);
                bus = Some(open);
                outcome
            });
            match outcome {
                Ok(()) => break,
                Err(StoreError::Failed(fault)) => {
                    if fault.stops() {
                        bus = None;
                    }
                    failed.push(fault.to_string());
                }
                Err(parted) => panic!("{parted}"),
            }
        }
        done.store(first + BATCH - 1, Ordering::Release);
    }
    failed
}

/// Reads everything while it is published, as a store's source does. Gives each shard's ops.
fn follow(settings: &Settings) -> Vec<Vec<u64>> {
    let until = Instant::now() + Duration::from_secs(150);
    let in_time = || assert!(Instant::now() < until, "it does not end");
    let mut source = loop {
        in_time();
        match KafkaSource::open(settings.clone(), 0..SHARDS, &[]) {
            Ok(source) => break source,
            Err(fault) => assert!(!fault.stops(), "{fault}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let mut ops = vec![Vec::new(); usize::from(SHARDS)];
    while ops.iter().any(|ops| (ops.len() as u64) < OPS) {
        in_time();
        let mut marks = Vec::new();
        let read = source.read(&mut |record| {
            let record = record();
            ops[usize::from(record.shard)].push(record.op);
            marks.push(record.mark());
            true
        });
        if let Err(line) = read {
            println!("{line}");
            std::thread::sleep(Duration::from_millis(50));
        }
        for mark in marks {
            source.applied(mark).unwrap();
        }
    }
    ops
}

/// Every committed op, by partition, as any consumer reads them.
fn committed(settings: &Settings) -> Vec<Vec<u64>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &settings.brokers)
        .set("group.id", &settings.topic)
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..i32::from(SHARDS) {
        list.add_partition_offset(&settings.topic, partition, Offset::Beginning)
            .unwrap();
    }
    consumer.assign(&list).unwrap();
    let mut ops = vec![Vec::new(); usize::from(SHARDS)];
    let (mut ends, until) = (0, Instant::now() + Duration::from_secs(30));
    while ends < SHARDS {
        assert!(Instant::now() < until, "the topic cannot be read");
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                let read = decode(message.partition(), message.payload()).unwrap();
                assert_eq!(read, record(read.shard, read.op));
                ops[usize::from(read.shard)].push(read.op);
            }
            Some(Err(KafkaError::PartitionEOF(_))) => ends += 1,
            Some(Err(error)) => println!("{error}"),
            None => {}
        }
    }
    ops
}

#[test]
fn every_op_is_there_once_and_in_order_after_the_broker_was_killed_twice() {
    let brokers = match own_broker() {
        Ok(brokers) => brokers,
        Err(why) => return println!("SKIPPED: a killed broker: {why}"),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let name = format!("tidegate-test-killed-{now}");
    let settings = Settings {
        brokers,
        topic: name.clone(),
        transactional_id: name,
        shards: SHARDS,
        replication: 1,
        min_insync_replicas: 1,
        // Calls fail while the broker is away, and are made again.
        call_timeout: Duration::from_secs(1),
        ..Settings::default()
    };
    let done = AtomicU64::new(0);
    let (failed, followed) = std::thread::scope(|scope| {
        let publisher = scope.spawn(|| publish(&settings, &done));
        let follower = scope.spawn(|| follow(&settings));
        for part in [OPS / 5, OPS / 2] {
            while done.load(Ordering::Acquire) < part && !publisher.is_finished() {
                std::thread::sleep(Duration::from_millis(1));
            }
            services(&["kill", "kafka"]).expect("the broker is killed");
            let at = done.load(Ordering::Acquire);
            std::thread::sleep(Duration::from_millis(2500));
            services(&["up", "kafka"]).expect("the broker comes back");
            assert!(at < OPS, "everything was published before the broker was killed");
            println!("killed after op {at}");
        }
        (publisher.join().unwrap(), follower.join().unwrap())
    });
    println!("{} calls failed: {failed:#?}", failed.len());
    assert!(!failed.is_empty(), "nothing failed, so nothing was shown");
    for (shard, ops) in committed(&settings).into_iter().chain(followed).enumerate() {
        let shard = shard % usize::from(SHARDS);
        assert!(ops.iter().copied().eq(1..=OPS), "shard {shard}: {ops:?}");
    }
}
