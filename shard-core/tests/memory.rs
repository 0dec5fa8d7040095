//! What orders cost in memory, counted by the allocator.

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, Stats, StatsAlloc};
use std::alloc::System;
use std::sync::{Arc, Mutex};
use tidegate_shard_core::ids::EPOCH;
use tidegate_shard_core::{
    Buyer, Command, Input, KeyHash, Line, Lines, Millis, Outcome, Place, PutSku, Shard, ShardConfig, ShardId,
    body_hash,
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The allocator counts all threads: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

const START: Millis = Millis(EPOCH.0 + 1_000_000_000);

fn shard_with_one_sku() -> Shard {
    let mut shard = Shard::new(ShardConfig::new(ShardId(0), 1));
    for entry in shard.start(START, 1) {
        shard.apply(&entry);
    }
    let mut put = PutSku::new("HOT".parse().unwrap());
    (put.price, put.currency, put.stock) = (Some(100), Some(*b"CNY"), Some(1 << 40));
    put.buyer_limit = Some(Some(2));
    let entry = shard
        .decide(START, Input::Command(&Command::PutSku(put.into())))
        .entry
        .unwrap();
    shard.apply(&entry);
    shard.note_durable(shard.op());
    shard
}

/// Every order has a buyer and a key of its own.
fn order(number: u64, subject: &Arc<str>) -> Command {
    let lines: Lines = [Line {
        sku: "HOT".parse().unwrap(),
        qty: 1,
    }]
    .into_iter()
    .collect();
    let spread = |salt: u64| {
        let word = (number + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&(word ^ word >> 29).to_le_bytes());
        bytes[8..].copy_from_slice(&number.to_le_bytes());
        bytes
    };
    Command::Place(Place {
        buyer: Buyer(spread(1)),
        subject: subject.clone(),
        key: KeyHash(spread(2)),
        body: body_hash(&lines),
        lines,
    })
}

fn place(shard: &mut Shard, command: &Command) {
    let decision = shard.decide(START, Input::Command(command));
    assert!(matches!(
        decision.reply,
        tidegate_shard_core::Reply::Now(Outcome::Order(_))
    ));
    shard.apply(&decision.entry.unwrap());
}

fn grown(stats: &Stats) -> isize {
    stats.bytes_allocated as isize - stats.bytes_deallocated as isize
}

#[test]
fn a_million_open_orders_of_a_million_buyers_take_at_most_250_mb() {
    let _alone = ALONE.lock().unwrap();
    let subject: Arc<str> = "user".into();
    let region = Region::new(ALLOCATOR);
    let mut shard = shard_with_one_sku();
    for number in 0..1_000_000 {
        place(&mut shard, &order(number, &subject));
    }
    let bytes = grown(&region.change());
    println!("{} bytes an order", bytes / 1_000_000);
    assert_eq!(shard.open_orders(), 1_000_000);
    assert!(bytes <= 250_000_000, "{bytes} bytes");
}

#[test]
fn an_order_allocates_nothing_but_the_growth_of_tables() {
    let _alone = ALONE.lock().unwrap();
    let subject: Arc<str> = "user".into();
    let mut shard = shard_with_one_sku();
    for number in 0..100_000 {
        place(&mut shard, &order(number, &subject));
    }
    let commands: Vec<Command> = (100_000..110_000).map(|number| order(number, &subject)).collect();
    let region = Region::new(ALLOCATOR);
    for command in &commands {
        place(&mut shard, command);
    }
    let stats = region.change();
    let allocations = stats.allocations + stats.reallocations;
    // A chunk of rows for every 256 orders, and perhaps one doubling of each table.
    assert!(allocations <= 10_000 / 256 + 10, "{allocations} allocations");
}

#[test]
fn hostile_bytes_reserve_no_more_than_a_small_multiple_of_their_length() {
    let _alone = ALONE.lock().unwrap();
    // Version 1, shard 0 of 1, zeros up to some count, and there the largest number.
    for zeros in 0..64 {
        let mut bytes = vec![1, 0, 1];
        bytes.extend(std::iter::repeat_n(0, zeros));
        bytes.extend([0xff, 0xff, 0xff, 0xff, 0x0f]);
        bytes.extend([0x41; 200]);
        let region = Region::new(ALLOCATOR);
        assert!(Shard::restore(ShardConfig::new(ShardId(0), 1), &bytes).is_err());
        let _ = tidegate_shard_core::Entry::decode(&bytes);
        let allocated = region.change().bytes_allocated;
        assert!(allocated < 64 * 1024, "{allocated} bytes");
    }
}
