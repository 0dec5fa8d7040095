//! How fast one shard takes orders that are all for one SKU: decide, encode and apply on one core.
//! `cargo run --release -p tidegate-shard-core --example hot_sku`

use tidegate_shard_core::ids::EPOCH;
use tidegate_shard_core::{
    Buyer, Command, Entry, Input, KeyHash, Line, Lines, Millis, Place, PutSku, Shard, ShardConfig, ShardId,
    body_hash,
};

const ORDERS: u64 = 1_000_000;
const BATCH: u64 = 1000;

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

    let mut entries = Vec::with_capacity(BATCH as usize);
    let (mut log, mut ends) = (Vec::new(), Vec::new());
    let mut spent = 0;
    for batch in 0..ORDERS / BATCH {
        let commands: Vec<Command> = (0..BATCH).map(|number| order(batch * BATCH + number)).collect();
        let clock = cpu_ns();
        for command in &commands {
            let entry = shard
                .decide(start, Input::Command(command))
                .entry
                .expect("an entry");
            shard.apply(&entry);
            entries.push(entry);
        }
        spent += cpu_ns() - clock;
        for entry in entries.drain(..) {
            entry.encode(&mut log);
            ends.push(log.len());
        }
        if (batch + 1) % (ORDERS / BATCH / 4) == 0 {
            report("decide + apply, a quarter of the orders", spent, ORDERS / 4);
            spent = 0;
        }
    }
    println!("{} bytes an entry", log.len() as u64 / ORDERS);

    let late = order(ORDERS + 1);
    let clock = cpu_ns();
    for _ in 0..ORDERS {
        assert!(shard.decide(start, Input::Command(&late)).entry.is_none());
    }
    report("sold out", cpu_ns() - clock, ORDERS);

    let mut replayed = Shard::new(ShardConfig::new(ShardId(0), 1));
    for entry in replayed.start(start, 1) {
        replayed.apply(&entry);
    }
    replayed.apply(&Entry::decode(&first).expect("an entry"));
    let clock = cpu_ns();
    let mut from = 0;
    for &end in &ends {
        replayed.apply(&Entry::decode(&log[from..end]).expect("an entry"));
        from = end;
    }
    report("decode + apply (recovery)", cpu_ns() - clock, ORDERS);
    assert_eq!(replayed.digest(), shard.digest());
    let clock = cpu_ns();
    let mut snapshot = Vec::new();
    shard.snapshot(&mut snapshot);
    report("snapshot", cpu_ns() - clock, ORDERS);
    println!("{} bytes an order in a snapshot", snapshot.len() as u64 / ORDERS);
    let clock = cpu_ns();
    Shard::restore(ShardConfig::new(ShardId(0), 1), &snapshot).expect("a snapshot");
    report("restore", cpu_ns() - clock, ORDERS);
}

fn report(what: &str, ns: u64, orders: u64) {
    println!(
        "{what}: {:.2} M/s, {} ns",
        orders as f64 * 1e3 / ns as f64,
        ns / orders
    );
}

/// Time this thread ran, in ns: what others do on the machine is not counted (their share of the cache is).
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    text.split_whitespace()
        .next()
        .and_then(|word| word.parse().ok())
        .expect("nanoseconds")
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
