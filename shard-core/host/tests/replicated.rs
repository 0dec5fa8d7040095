//! A running host whose answers wait for a bus.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tidegate_host::clock::monotonic_ns;
use tidegate_host::{Answer, Durability, Event, Host, HostConfig, HostFeed, NetPort, Request};
use tidegate_log::ShardMark;
use tidegate_node::Fed;
use tidegate_shard_core::{
    Buyer, Command, Effect, Entry, KeyHash, Line, Lines, OrderId, Outcome, Place, PutSku, SkuName, body_hash,
    home_shard,
};

const PATIENCE: Duration = Duration::from_secs(20);

fn start(dir: &Path) -> (Host, NetPort) {
    let config = HostConfig {
        shards: 4,
        threads: 2,
        segment_bytes: 128 * 1024,
        durability: Durability::Replicated,
        ..HostConfig::new(dir)
    };
    let (host, mut ports) = Host::start(config, 1, &mut |_| {}).unwrap_or_else(|error| panic!("{error}"));
    (host, ports.remove(0))
}

/// Entries by shard, each with the hash after it; those of a transaction are seen before its mark is told.
#[derive(Default)]
struct Topic {
    entries: HashMap<u16, Vec<(Vec<u8>, u64)>>,
}

impl Topic {
    fn mark(&self, shard: u16) -> ShardMark {
        let entries = self.entries.get(&shard).map_or(&[][..], Vec::as_slice);
        ShardMark {
            shard,
            op: entries.len() as u64,
            chain: entries.last().map_or(0, |(_, chain)| *chain),
        }
    }

    /// The effects of all shards.
    fn effects(&self) -> Vec<Effect> {
        let entries = self.entries.values().flatten();
        entries
            .map(|(payload, _)| Entry::decode(payload).unwrap().effect)
            .collect()
    }

    /// Whether the entry that acknowledges an order is here, with what it needs of other shards.
    fn has(&self, order: OrderId, lines: usize) -> bool {
        let effects = self.effects();
        let placed = |effect: &Effect| matches!(effect, Effect::Placed(placed) if placed.order == order);
        let committed =
            |effect: &Effect| matches!(effect, Effect::Committed { order: of, .. } if *of == order);
        let holds = |effect: &&Effect| matches!(effect, Effect::Hold(hold) if hold.order == order);
        let whole = effects.iter().filter(holds).count() + 1 >= lines;
        effects.iter().any(placed) || (effects.iter().any(committed) && whole)
    }
}

/// Publishes what a host feeds, on a thread of its own.
struct Bus {
    topic: Arc<Mutex<Topic>>,
    down: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Bus {
    fn start(host: &Host, topic: &Arc<Mutex<Topic>>) -> Bus {
        let marks: Vec<_> = (0..4).map(|shard| topic.lock().unwrap().mark(shard)).collect();
        let mut feed = host.feed_of_bus(&marks, &[]).unwrap();
        let topic = Arc::clone(topic);
        let (down, over): (Arc<AtomicBool>, Arc<AtomicBool>) = Default::default();
        let (is_down, is_over, into) = (Arc::clone(&down), Arc::clone(&over), Arc::clone(&topic));
        let thread = std::thread::spawn(move || {
            while !is_over.load(Ordering::Acquire) {
                if !is_down.load(Ordering::Acquire) {
                    publish(&mut feed, &into);
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        Bus {
            topic,
            down,
            over,
            thread,
        }
    }

    fn end(self) {
        self.over.store(true, Ordering::Release);
        self.thread.join().unwrap();
    }
}

/// A transaction: everything that is durable, and then the marks.
fn publish(feed: &mut HostFeed, topic: &Mutex<Topic>) {
    let mut shards = Vec::new();
    let fed = feed.read(|record| {
        let mut topic = topic.lock().unwrap();
        let entries = topic.entries.entry(record.shard).or_default();
        assert_eq!(record.op, entries.len() as u64 + 1, "no gap and no repeat");
        entries.push((record.payload.to_vec(), record.chain));
        shards.push(record.shard);
        Ok::<(), ()>(())
    });
    assert!(matches!(fed.unwrap(), Fed::All | Fed::More));
    shards.sort_unstable();
    shards.dedup();
    for shard in shards {
        let mark = topic.lock().unwrap().mark(shard);
        feed.published(mark).unwrap();
    }
}

fn sku(n: u64) -> SkuName {
    SkuName::parse(format!("SKU-{n}").as_bytes()).unwrap()
}

fn put(n: u64) -> Command {
    Command::PutSku(Box::new(PutSku {
        price: Some(5),
        currency: Some(*b"EUR"),
        stock: Some(1_000_000),
        ..PutSku::new(sku(n))
    }))
}

fn place(number: u64, lines: u64) -> Command {
    let mut lines: Lines = (0..lines)
        .map(|nth| Line {
            sku: sku((number + nth * 3) % 10),
            qty: 1,
        })
        .collect();
    lines.sort_by_key(|line| line.sku);
    Command::Place(Place {
        buyer: Buyer(u128::from(number).to_le_bytes()),
        subject: Arc::from("ann"),
        key: KeyHash(u128::from(number).to_le_bytes()),
        body: body_hash(&lines),
        lines,
    })
}

fn send(port: &mut NetPort, ticket: u64, command: Command) {
    let shard = home_shard(&command, port.shards());
    let request = Request {
        ticket,
        at_ns: monotonic_ns(),
        shard,
        command,
    };
    port.try_send(request)
        .unwrap_or_else(|_| panic!("there are credits"));
    port.ring_bells();
}

fn answer(port: &mut NetPort, patience: Duration) -> Option<(u64, Answer)> {
    let begin = Instant::now();
    while begin.elapsed() < patience {
        if let Some(Event::Reply { ticket, answer, .. }) = port.try_recv() {
            return Some((ticket, answer));
        }
        port.wait(Duration::from_millis(1));
    }
    None
}

fn ask(port: &mut NetPort, command: Command) -> Answer {
    send(port, 0, command);
    answer(port, PATIENCE).expect("an answer comes").1
}

fn order(answer: &Answer) -> OrderId {
    match answer {
        Answer::Decided(Outcome::Order(view)) => view.id,
        other => panic!("not an order: {other:?}"),
    }
}

fn fill_catalogue(port: &mut NetPort) {
    (0..10).for_each(|n| assert!(matches!(ask(port, put(n)), Answer::Decided(_))));
}

#[test]
fn every_order_is_on_the_bus_when_it_is_answered_and_so_are_its_holds_on_other_shards() {
    let dir = tempfile::tempdir().unwrap();
    let (host, mut port) = start(dir.path());
    let topic = Arc::default();
    let bus = Bus::start(&host, &topic);
    fill_catalogue(&mut port);
    for number in 0..60 {
        let lines = 1 + number % 3;
        let placed = order(&ask(&mut port, place(number, lines)));
        let shards: std::collections::BTreeSet<_> = (0..lines)
            .map(|nth| tidegate_shard_core::shard_of(&sku((number + nth * 3) % 10), 4))
            .collect();
        assert!(bus.topic.lock().unwrap().has(placed, shards.len()), "{placed}");
    }
    assert!(host.stats().iter().all(|stats| stats.progress.get() > 0));
    bus.end();
    drop(port);
    host.stop().unwrap();
}

#[test]
fn while_the_bus_is_down_nothing_is_answered_the_breaker_sees_it_and_it_recovers_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let (host, mut port) = start(dir.path());
    let topic = Arc::default();
    let bus = Bus::start(&host, &topic);
    fill_catalogue(&mut port);
    bus.down.store(true, Ordering::Release);
    std::thread::sleep(Duration::from_millis(20));
    (1..=20).for_each(|number| send(&mut port, number, place(number, 1)));
    assert!(answer(&mut port, Duration::from_millis(300)).is_none());
    let stats = host.stats();
    let waits = |stats: &tidegate_host::ThreadStats| stats.oldest_unsynced_ns.get();
    let since = stats.iter().map(|stats| waits(stats)).max().unwrap();
    assert!(since > 0 && monotonic_ns() - since >= 200_000_000);
    assert!(stats.iter().map(|stats| stats.unpublished_ops.get()).sum::<u64>() >= 20);
    bus.down.store(false, Ordering::Release);
    for _ in 0..20 {
        let (_, answer) = answer(&mut port, PATIENCE).expect("the bus is back");
        order(&answer);
    }
    let begin = Instant::now();
    while stats
        .iter()
        .any(|stats| waits(stats) != 0 || stats.unpublished_ops.get() != 0)
    {
        assert!(begin.elapsed() < PATIENCE, "nothing is owed any more");
        std::thread::sleep(Duration::from_millis(5));
    }
    bus.end();
    drop(port);
    host.stop().unwrap();
}

#[test]
fn after_a_restart_a_repeat_waits_until_the_bus_has_what_the_log_had() {
    let dir = tempfile::tempdir().unwrap();
    let topic = Arc::default();
    let (host, mut port) = start(dir.path());
    let bus = Bus::start(&host, &topic);
    fill_catalogue(&mut port);
    bus.down.store(true, Ordering::Release);
    std::thread::sleep(Duration::from_millis(20));
    send(&mut port, 1, place(1, 1));
    assert!(answer(&mut port, Duration::from_millis(100)).is_none());
    bus.end();
    drop(port);
    // Nobody publishes what waits: the stop gives up after its time, as a killed process would at once.
    host.stop().unwrap();

    let (host, mut port) = start(dir.path());
    send(&mut port, 2, place(1, 1));
    assert!(answer(&mut port, Duration::from_millis(200)).is_none());
    let bus = Bus::start(&host, &topic);
    let (_, answer) = answer(&mut port, PATIENCE).expect("the bus has it now");
    let placed = order(&answer);
    assert!(matches!(answer, Answer::Decided(Outcome::Order(view)) if view.repeated));
    assert!(topic.lock().unwrap().has(placed, 1));
    bus.end();
    drop(port);
    host.stop().unwrap();
}
