//! The longest pause of a shard while it grows: each decision and its entry's application, timed one by one, the
//! shorter of three runs each: what the machine does to a thread strikes elsewhere the next time.
//! `cargo run --release -p tidegate-shard-core --example pauses [ORDERS]`

use std::time::Instant;

use tidegate_shard_core::ids::EPOCH;
use tidegate_shard_core::{
    Buyer, Command, Input, KeyHash, Line, Lines, Millis, Place, PutSku, Shard, ShardConfig, ShardId,
    body_hash,
};

/// The longest pauses that are printed.
const SHOWN: usize = 8;

const RUNS: usize = 3;

/// The last orders come when the limited sale is over, and while the counts of its buyers are freed.
const CLOSING: u64 = 2_000;

const START: Millis = Millis(EPOCH.0 + 1_000_000_000);

fn main() {
    let orders = std::env::args().nth(1).and_then(|n| n.parse().ok());
    let orders: u64 = orders.unwrap_or(1_000_000);
    let mut shortest = vec![u32::MAX; orders as usize];
    for _ in 0..RUNS {
        let mut shard = shop(orders);
        for number in 0..orders {
            if number + CLOSING == orders {
                end_sale(&mut shard);
            }
            let command = order(number);
            let begun = Instant::now();
            let entry = shard.decide(START, Input::Command(&command)).entry;
            shard.apply(&entry.expect("an entry"));
            let took = u32::try_from(begun.elapsed().as_nanos()).unwrap_or(u32::MAX);
            let known = &mut shortest[number as usize];
            *known = took.min(*known);
        }
    }
    let mut pauses: Vec<(u32, usize)> = shortest.into_iter().zip(0..).collect();
    pauses.sort_unstable_by(|a, b| b.cmp(a));
    for (ns, number) in pauses.into_iter().take(SHOWN) {
        println!("order {number}: {} us", ns / 1000);
    }
}

/// The counts of all buyers go; the sale goes on under no limit, so that there are orders to time.
fn end_sale(shard: &mut Shard) {
    let mut put = PutSku::new("HOT".parse().expect("a name"));
    put.buyer_limit = Some(None);
    let put = shard.decide(START, Input::Command(&Command::PutSku(put.into())));
    let begun = Instant::now();
    shard.apply(&put.entry.expect("an entry"));
    println!(
        "the counts of all buyers go in {} us",
        begun.elapsed().as_micros()
    );
}

fn shop(orders: u64) -> Shard {
    let mut shard = Shard::new(ShardConfig::new(ShardId(0), 1));
    for entry in shard.start(START, 1) {
        shard.apply(&entry);
    }
    let mut put = PutSku::new("HOT".parse().expect("a name"));
    (put.price, put.currency, put.stock) = (Some(100), Some(*b"CNY"), Some(orders));
    put.buyer_limit = Some(Some(2));
    let put = shard.decide(START, Input::Command(&Command::PutSku(put.into())));
    shard.apply(&put.entry.expect("an entry"));
    shard.note_durable(shard.op());
    shard
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
