//! What the node adds to an order beyond core and log. `cargo test -p tidegate-node --release -- --ignored --nocapture cost`.

use std::time::Instant;

use crate::common::*;
use tidegate_log::{Appender, AppenderConfig, Chains, LogId, StartNumber};
use tidegate_node::Ticket;
use tidegate_shard_core::{Command, Input, Millis, Op, Shard, ShardConfig, ShardId};

const ORDERS: u64 = 100_000;
const BATCH: u64 = 40;

/// One shard with a SKU that lasts, and orders for it.
fn orders() -> Vec<Command> {
    (0..ORDERS).map(|key| place(key + 10, &["SKU"])).collect()
}

fn core_and_log(orders: &[Command]) -> f64 {
    let mut shard = Shard::new(ShardConfig::new(ShardId(0), 1));
    let config = AppenderConfig::new(LogId(1), StartNumber(1));
    let mut appender = Appender::new(config, &Chains::strict([]));
    let mut bytes = Vec::new();
    let mut apply = |shard: &mut Shard, appender: &mut Appender, entry: &tidegate_shard_core::Entry| {
        shard.apply(entry);
        bytes.clear();
        entry.encode(&mut bytes);
        appender.append(0, shard.op().0, entry.at.0, &bytes);
    };
    for entry in shard.start(NOW, 1) {
        apply(&mut shard, &mut appender, &entry);
    }
    let put = put("SKU", 1 << 40);
    let entry = shard.decide(NOW, Input::Command(&put)).entry.expect("an entry");
    apply(&mut shard, &mut appender, &entry);
    shard.note_durable(shard.op());
    let begun = Instant::now();
    for (nth, order) in orders.iter().enumerate() {
        let decision = shard.decide(NOW, Input::Command(order));
        apply(
            &mut shard,
            &mut appender,
            decision.entry.as_ref().expect("an order"),
        );
        std::hint::black_box(&decision);
        if (nth as u64).is_multiple_of(BATCH) {
            while let Some(segment) = appender.need_segment() {
                appender.segment_ready(segment.number);
            }
            if let Some(batch) = appender.seal() {
                appender.synced(batch);
            }
            shard.note_durable(shard.op());
        }
    }
    begun.elapsed().as_nanos() as f64 / ORDERS as f64
}

fn node(orders: Vec<Command>) -> f64 {
    let mut files = Memory::default();
    let mut config = config(1, 1);
    config.segment_bytes = tidegate_log::limits::SEGMENT_BYTES_DEFAULT;
    let mut opened = start(&mut files, &config);
    send(&mut opened, 1, NOW, put("SKU", 1 << 40));
    send(&mut opened, 2, NOW, place(1, &["SKU"]));
    settle(&mut files, &mut opened, NOW);
    let node = &mut opened.nodes[0];
    answers(node);
    let mut answered = 0u64;
    let begun = Instant::now();
    for (nth, order) in orders.into_iter().enumerate() {
        node.command(NOW, Ticket(nth as u64), ShardId(0), order);
        if (nth as u64).is_multiple_of(BATCH) {
            node.turn(Millis(NOW.0 + nth as u64 / 1000));
            while let Some(segment) = node.need_segment() {
                node.segment_ready(segment.number);
            }
            if let Some(batch) = node.seal() {
                node.synced(batch);
            }
            while let Some(output) = node.pop_output() {
                answered += 1;
                std::hint::black_box(&output);
            }
        }
    }
    assert!(answered > ORDERS - 2 * BATCH);
    assert!(node.shard(ShardId(0)).expect("here").op() > Op(ORDERS));
    begun.elapsed().as_nanos() as f64 / ORDERS as f64
}

#[test]
#[ignore = "a measurement: release build, quiet machine"]
fn the_cost_of_an_order() {
    for _ in 0..3 {
        let without = core_and_log(&orders());
        let with = node(orders());
        println!(
            "core and log {without:.0} ns, with the node {with:.0} ns: {:.0} ns more",
            with - without
        );
    }
}
