//! Publishes 200,000 entries of 8 and of 16 shards and prints what it costs: entries a second, CPU an entry, and the time of a transaction
//! at several batch sizes. Needs a broker that `TIDEGATE_TEST_KAFKA` names (`scripts/services up kafka`), where it leaves a topic a run.
//!
//! `cargo run --release -p tidegate-kafka --example publish`
//!
//! On a machine with 2 cores, which the broker (3.9, one node) shared: 8 shards in batches of 2048 148,000 entries/s at 1.4 us of CPU an
//! entry, a transaction 7 ms; in batches of 64 8,000 entries/s at 14.5 us, a transaction 5 ms. With 16 shards 251,000 and 8,500 entries/s.
//! A transaction has a floor of about 5 ms, so a follower that takes what has come meanwhile makes its batches as large as they need be.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tidegate_follow::{Bus as _, Record};
use tidegate_kafka::{KafkaBus, Settings};
use tidegate_shard_core::entry::{Effect, Entry};
use tidegate_shard_core::{Millis, Op};

const ENTRIES: u64 = 200_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let brokers = std::env::var("TIDEGATE_TEST_KAFKA")
        .map_err(|_| "set TIDEGATE_TEST_KAFKA to a broker's host:port")?;
    println!("shards  batch  entries/s  CPU us/entry  transaction ms: median  p99  longest");
    for shards in [8, 16] {
        for batch in [64, 512, 2048, 8192] {
            run(&brokers, shards, batch)?;
        }
    }
    Ok(())
}

/// One topic, one line.
fn run(brokers: &str, shards: u16, batch: u64) -> Result<(), Box<dyn std::error::Error>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let name = format!("tidegate-example-{now}-{shards}-{batch}");
    let settings = Settings {
        brokers: brokers.into(),
        topic: name.clone(),
        transactional_id: name,
        shards,
        replication: 1,
        min_insync_replicas: 1,
        ..Settings::default()
    };
    let mut bus = KafkaBus::open(settings, 0..shards)?;
    // Small batches are tried with fewer entries: it is their time that is wanted.
    let entries = ENTRIES.min(batch * 400);
    let batches: Vec<Vec<Record>> = (0..entries / batch)
        .map(|number| {
            (number * batch..(number + 1) * batch)
                .map(|i| record(i, shards))
                .collect()
        })
        .collect();
    let (begun, cpu) = (Instant::now(), cpu());
    let mut times = Vec::new();
    for batch in &batches {
        let begun = Instant::now();
        bus.publish(batch).map_err(|error| error.to_string())?;
        times.push(begun.elapsed());
    }
    let (took, cpu) = (begun.elapsed(), self::cpu() - cpu);
    let count = (batches.len() as u64 * batch) as f64;
    times.sort_unstable();
    let ms = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
    println!(
        "{shards:>6} {batch:>6} {:>10.0} {:>13.2} {:>23.1} {:>4.1} {:>8.1}",
        count / took.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / count,
        ms(0.5),
        ms(0.99),
        ms(1.0)
    );
    Ok(())
}

/// The i-th record of a log whose shards take turns. Its entry is one of the shop's, 40 bytes or so.
fn record(i: u64, shards: u16) -> Record {
    let (shard, op) = ((i % u64::from(shards)) as u16, i / u64::from(shards) + 1);
    let chain = |op: u64| op.wrapping_mul(0x9e37_79b9_7f4a_7c15) * u64::from(op > 0);
    let mut payload = Vec::new();
    let effect = Effect::Applied {
        op: Op(op),
        chain: chain(op),
    };
    Entry::new(Millis(op), effect).encode(&mut payload);
    Record {
        shard,
        op,
        previous: chain(op - 1),
        chain: chain(op),
        payload: payload.into(),
    }
}

/// Processor time of this process, librdkafka's threads included.
fn cpu() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}
