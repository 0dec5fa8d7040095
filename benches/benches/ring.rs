//! Rings between threads: what a push and a pop cost the two sides, item by item and in batches.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tidegate_link::ring;

/// A command with two lines is about this long.
type Item = [u64; 32];
/// Items of a busy turn.
const BATCH: u64 = 64;

fn one_thread(c: &mut Criterion) {
    let mut group = c.benchmark_group("ring");
    let (mut producer, mut consumer) = ring::<Item>(1024);
    let item = [7; 32];
    group.throughput(Throughput::Elements(1));
    group.bench_function("push, publish, pop", |b| {
        b.iter(|| {
            producer.push(black_box(item)).expect("there is room");
            producer.publish();
            black_box(consumer.pop())
        });
    });
    group.throughput(Throughput::Elements(BATCH));
    group.bench_function("64 pushed, one publish, drained", |b| {
        b.iter(|| {
            for _ in 0..BATCH {
                producer.push(black_box(item)).expect("there is room");
            }
            producer.publish();
            consumer.drain(BATCH as usize, |item| {
                black_box(item);
            })
        });
    });
    group.finish();
}

/// One way, both threads spinning: on a machine with two free cores.
fn two_threads(c: &mut Criterion) {
    const ITEMS: u64 = 100_000;
    let mut group = c.benchmark_group("ring");
    group.throughput(Throughput::Elements(ITEMS));
    group.bench_function("100,000 items to another thread", |b| {
        b.iter(|| {
            let (mut producer, mut consumer) = ring::<Item>(1024);
            std::thread::scope(|scope| {
                scope.spawn(move || {
                    for number in 0..ITEMS {
                        let mut item = [number; 32];
                        while let Err(back) = producer.push(item) {
                            item = back;
                            producer.publish();
                            std::hint::spin_loop();
                        }
                        if number % BATCH == BATCH - 1 {
                            producer.publish();
                        }
                    }
                });
                let mut seen = 0;
                while seen < ITEMS {
                    let count = consumer.drain(256, |item| {
                        black_box(item);
                    });
                    seen += count as u64;
                    if count == 0 {
                        std::thread::yield_now();
                    }
                }
            });
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = one_thread, two_threads
}
criterion_main!(benches);
