//! How fast one shard takes orders that are all for one SKU: decide, encode and apply on one core.
//! `cargo run --release -p tidegate-shard-core --example hot_sku`

use std::time::Instant;
use tidegate_shard_core::ids::EPOCH;
use tidegate_shard_core::{
    Buyer, Command, Entry, Input, KeyHash, Line, Lines, Millis, Place, PutSku, Shard, ShardConfig, ShardId,
    body_hash,
};

const ORDERS: u64 = 1_000_000;

fn main() {
    let start = Millis(EPOCH.0 + 1_000_000_000);
    let mut shard = Shard::new(ShardConfig::new(ShardId(0), 1));
    for entry in shard.start(start, 1) {
        shard.apply(&entry);
    }
    let mut put = PutSku::new("HOT".parse().expect("a name"));
    (put.price, put.currency, put.stock) = (Some(100), Some(*b"CNY"), Some(ORDERS));
    if std::env::args().nth(1).is_none() {
        put.buyer_limit = Some(Some(2));
    }
    let put = shard.decide(start, Input::Command(&Command::PutSku(put.into())));
    let mut first = Vec::new();
    let put = put.entry.expect("an entry");
    shard.apply(&put);
    put.encode(&mut first);
    shard.note_durable(shard.op());

    let commands: Vec<Command> = (0..ORDERS).map(order).collect();
    let mut log = Vec::with_capacity(ORDERS as usize * 128);
    let mut ends = Vec::with_capacity(ORDERS as usize);
    let clock = Instant::now();
    for command in &commands {
        let entry = shard
            .decide(start, Input::Command(command))
            .entry
            .expect("an entry");
        shard.apply(&entry);
        entry.encode(&mut log);
        ends.push(log.len());
    }
    report("decide + apply + encode", clock);
    println!("{} bytes an entry", log.len() as u64 / ORDERS);

    let clock = Instant::now();
    for command in &commands {
        assert!(shard.decide(start, Input::Command(command)).entry.is_none());
    }
    report("the same again (repeats)", clock);
    let late = order(ORDERS + 1);
    let clock = Instant::now();
    for _ in 0..ORDERS {
        assert!(shard.decide(start, Input::Command(&late)).entry.is_none());
    }
    report("sold out", clock);

    let mut replayed = Shard::new(ShardConfig::new(ShardId(0), 1));
    for entry in replayed.start(start, 1) {
        replayed.apply(&entry);
    }
    replayed.apply(&Entry::decode(&first).expect("an entry"));
    let clock = Instant::now();
    let mut from = 0;
    for &end in &ends {
        replayed.apply(&Entry::decode(&log[from..end]).expect("an entry"));
        from = end;
    }
    report("decode + apply (recovery)", clock);
    assert_eq!(replayed.digest(), shard.digest());
    let clock = Instant::now();
    let mut snapshot = Vec::new();
    shard.snapshot(&mut snapshot);
    report("snapshot", clock);
    println!("{} bytes an order in a snapshot", snapshot.len() as u64 / ORDERS);
    let clock = Instant::now();
    Shard::restore(ShardConfig::new(ShardId(0), 1), &snapshot).expect("a snapshot");
    report("restore", clock);
}

fn report(what: &str, clock: Instant) {
    let seconds = clock.elapsed().as_secs_f64();
    println!(
        "{what}: {:.2} M/s, {:.0} ns",
        ORDERS as f64 / seconds / 1e6,
        seconds * 1e9 / ORDERS as f64
    );
}

fn order(number: u64) -> Command {
    let lines: Lines = [Line {
        sku: "HOT".parse().expect("a name"),
        qty: 1,
    }]
    .into_iter()
    .collect();
    let spread = |salt: u64| {
        let word = (number + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (u128::from(word ^ word >> 29) << 64 | u128::from(number)).to_le_bytes()
    };
    Command::Place(Place {
        buyer: Buyer(spread(1)),
        subject: "user-12345678".into(),
        key: KeyHash(spread(2)),
        body: body_hash(&lines),
        lines,
    })
}
