//! The state machine: an order decided and applied, on one SKU and over a thousand; a sold-out answer; entries through the codec.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tidegate_benches::shop::{NOW, made, place, shard, sku};
use tidegate_shard_core::{Command, Entry, Input, SkuName};

/// Orders of one iteration: new ones each time, so that tables grow as they do in service.
const ORDERS: u64 = 1000;
/// After so many orders a shard is made anew, so that the sample count does not decide how much memory is used.
const ORDERS_MAX: u64 = 500_000;

fn place_orders(c: &mut Criterion) {
    let mut group = c.benchmark_group("place");
    group.throughput(Throughput::Elements(ORDERS));
    for (name, skus) in [("one hot SKU", 1), ("1000 SKUs", 1000)] {
        let names: Vec<SkuName> = (0..skus).map(sku).collect();
        let subject: Arc<str> = Arc::from("user-12345678");
        let (mut shop, mut next) = (shard(skus, Some(2)), 0);
        group.bench_function(name, |b| {
            b.iter_custom(|iterations| {
                let mut spent = Duration::ZERO;
                for _ in 0..iterations {
                    if next >= ORDERS_MAX {
                        (shop, next) = (shard(skus, Some(2)), 0);
                    }
                    let of =
                        |number: u64| place(number, names[(number % skus) as usize], Arc::clone(&subject));
                    let commands: Vec<Command> = (next..next + ORDERS).map(of).collect();
                    next += ORDERS;
                    let began = Instant::now();
                    for command in &commands {
                        let entry = shop
                            .decide(NOW, Input::Command(command))
                            .entry
                            .expect("there is stock");
                        shop.apply(&entry);
                    }
                    spent += began.elapsed();
                }
                spent
            });
        });
    }
    group.finish();
}

fn sold_out(c: &mut Criterion) {
    let (empty, _) = made(1, 0, Some(2));
    let order = place(1, sku(0), Arc::from("user-12345678"));
    c.bench_function("sold out", |b| {
        b.iter(|| black_box(&empty).decide(NOW, Input::Command(black_box(&order))))
    });
}

fn codec(c: &mut Criterion) {
    let shard = shard(1, Some(2));
    let order = place(1, sku(0), Arc::from("user-12345678"));
    let entry = shard
        .decide(NOW, Input::Command(&order))
        .entry
        .expect("there is stock");
    let mut bytes = Vec::new();
    entry.encode(&mut bytes);
    println!("a placed order is {} bytes in the log", bytes.len());
    let mut group = c.benchmark_group("entry");
    let mut out = Vec::with_capacity(4096);
    group.bench_function("encode", |b| {
        b.iter(|| {
            out.clear();
            black_box(&entry).encode(&mut out);
        });
    });
    group.bench_function("decode", |b| {
        b.iter(|| Entry::decode(black_box(&bytes)).expect("just encoded"))
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = place_orders, sold_out, codec
}
criterion_main!(benches);
