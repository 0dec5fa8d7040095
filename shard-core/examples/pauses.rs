//! The longest pause of a shard while it grows: each decision and its entry's application, timed one by one.
//! `cargo run --release -p tidegate-shard-core --example pauses [ORDERS]`

use std::time::Instant;

use tidegate_shard_core::ids::EPOCH;
use tidegate_shard_core::{
    Buyer, Command, Input, KeyHash, Line, Lines, Millis, Place, PutSku, Shard, ShardConfig, ShardId, body_hash,
};

/// The longest pauses that are printed.
const SHOWN: usize = 8;

fn main() {
    let orders = std::env::args().nth(1).and_then(|n| n.parse().ok());
    let orders: u64 = orders.unwrap_or(1_000_000);
    let start = Millis(EPOCH.0 + 1_000_000_000);
    let mut shard = Shard::new(ShardConfig::new(ShardId(0), 1));
    for entry in shard.start(start, 1) {
        shard.apply(&entry);
    }
    let mut put = PutSku::new("HOT".parse().expect("a name"));
    (put.price, put.currency, put.stock) = (Some(100), Some(*b"CNY"), Some(orders));
    put.buyer_limit = Some(Some(2));
    let put = shard.decide(start, Input::Command(&Command::PutSku(put.into())));
    shard.apply(&put.entry.expect("an entry"));
    shard.note_durable(shard.op());
    let mut pauses: Vec<(u128, u64, u128)> = Vec::new();
    let begun = Instant::now();
    for number in 0..orders {
        let command = order(number);
        let (wall, cpu) = (Instant::now(), cpu_ns());
        let entry = shard.decide(start, Input::Command(&command)).entry;
        shard.apply(&entry.expect("an entry"));
        let wall = wall.elapsed().as_nanos();
        let cpu = u128::from(cpu_ns() - cpu);
        pauses.push((cpu, number, wall));
        if pauses.len() > 100_000 {
            keep_longest(&mut pauses);
        }
    }
    keep_longest(&mut pauses);
    println!("{orders} orders in {:.1?}; the longest pauses:", begun.elapsed());
    for (cpu, number, wall) in pauses {
        println!("order {number}: {} us of CPU, {} us", cpu / 1000, wall / 1000);
    }
}

fn keep_longest(pauses: &mut Vec<(u128, u64, u128)>) {
    pauses.sort_unstable_by(|a, b| b.cmp(a));
    pauses.truncate(SHOWN);
}

/// Time this thread ran, in ns: what others do on the machine is not counted.
fn cpu_ns() -> u64 {
    let time = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let first = time.split_whitespace().next();
    first.and_then(|word| word.parse().ok()).expect("nanoseconds")
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
