//! The log: records appended and batches sealed; a log of a million orders read back, decoded and applied (bar: 1 M entries/s).

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tidegate_benches::shop::{NOW, made, place, sku};
use tidegate_log::{
    Appender, AppenderConfig, Chains, LogId, RecoveryOptions, SegmentFile, SegmentNumber, SegmentSource,
    StartNumber, recover,
};
use tidegate_shard_core::{Entry, Input, Shard, ShardConfig, ShardId, SkuName};

/// What a batch holds at 64 connections on HTTP/1.1 (DESIGN.md: 40 orders a commit).
const RECORDS_A_BATCH: u64 = 40;
/// Entries that are replayed; enough that the tables are no longer in the caches.
const ENTRIES: u64 = 1_000_000;
const SKUS: u64 = 1000;

/// Segments in memory: only the log's own work is measured.
#[derive(Default)]
struct Memory(BTreeMap<SegmentNumber, Vec<u8>>);

impl SegmentSource for Memory {
    type Error = Infallible;

    fn segments(&mut self) -> Result<Vec<SegmentFile>, Infallible> {
        Ok(self
            .0
            .iter()
            .map(|(&number, bytes)| SegmentFile {
                number,
                bytes: bytes.len() as u64,
            })
            .collect())
    }

    fn read(&mut self, segment: SegmentNumber, offset: u64, out: &mut [u8]) -> Result<(), Infallible> {
        let offset = offset as usize;
        out.copy_from_slice(&self.0[&segment][offset..offset + out.len()]);
        Ok(())
    }
}

/// A writer of a log in memory.
struct Log {
    appender: Appender,
    /// Kept only for a log that is to be read back.
    disk: Option<Memory>,
    op: u64,
}

impl Log {
    fn new(keep: bool) -> Log {
        let appender = Appender::new(AppenderConfig::new(LogId(1), StartNumber(1)), &Chains::strict([]));
        Log {
            appender,
            disk: keep.then(Memory::default),
            op: 0,
        }
    }

    fn append(&mut self, payload: &[u8]) {
        if let Some(new) = self.appender.need_segment() {
            if let Some(disk) = &mut self.disk {
                let mut bytes = vec![0; new.bytes as usize];
                bytes[..new.header.len()].copy_from_slice(&new.header[..]);
                disk.0.insert(new.number, bytes);
            }
            self.appender.segment_ready(new.number);
        }
        self.op += 1;
        self.appender.append(0, self.op, NOW.0, payload);
    }

    fn commit(&mut self) {
        if let Some(batch) = self.appender.seal() {
            if let Some(disk) = &mut self.disk {
                let file = disk.0.get_mut(&batch.segment).expect("it was prepared");
                file[batch.offset as usize..][..batch.bytes.len()].copy_from_slice(&batch.bytes);
            }
            self.appender.synced(batch);
        }
    }
}

fn append(c: &mut Criterion) {
    let (shard, _) = made(1, 1, None);
    let order = place(1, sku(0), Arc::from("user-12345678"));
    let mut payload = Vec::new();
    shard
        .decide(NOW, Input::Command(&order))
        .entry
        .expect("there is stock")
        .encode(&mut payload);
    let mut group = c.benchmark_group("log");
    group.throughput(Throughput::Elements(RECORDS_A_BATCH));
    let mut log = Log::new(false);
    group.bench_function("append 40 orders and seal", |b| {
        b.iter(|| {
            for _ in 0..RECORDS_A_BATCH {
                log.append(black_box(&payload));
            }
            log.commit();
        });
    });
    group.finish();
}

fn replay(c: &mut Criterion) {
    let (mut disk, entries) = log_of_orders();
    let mut group = c.benchmark_group("recovery");
    group.throughput(Throughput::Elements(entries)).sample_size(10);
    group.bench_function("read", |b| b.iter(|| read_back(&mut disk, |_| {})));
    group.bench_function("read and decode", |b| {
        b.iter(|| {
            read_back(&mut disk, |payload| {
                black_box(Entry::decode(payload).expect("we wrote it"));
            });
        });
    });
    group.bench_function("read, decode and apply", |b| {
        b.iter(|| {
            let mut shard = Shard::new(ShardConfig::new(ShardId(0), 1));
            read_back(&mut disk, |payload| {
                shard.apply(&Entry::decode(payload).expect("we wrote it"))
            });
            assert_eq!(shard.op().0, entries);
        });
    });
    group.finish();
}

fn read_back(disk: &mut Memory, mut each: impl FnMut(&[u8])) {
    let mut chains = Chains::strict([]);
    recover(
        disk,
        LogId(1),
        &mut chains,
        RecoveryOptions::default(),
        |record| {
            each(record.payload);
            Ok::<(), ()>(())
        },
    )
    .expect("the log is sound");
}

/// A million orders of different buyers over a thousand SKUs of one shard.
fn log_of_orders() -> (Memory, u64) {
    let (mut shard, first) = made(SKUS, 1 << 40, Some(2));
    let names: Vec<SkuName> = (0..SKUS).map(sku).collect();
    let subject: Arc<str> = Arc::from("user-12345678");
    let mut log = Log::new(true);
    let mut payload = Vec::new();
    let mut write = |entry: &Entry, is_last: bool| {
        payload.clear();
        entry.encode(&mut payload);
        log.append(&payload);
        if is_last || log.op.is_multiple_of(RECORDS_A_BATCH) {
            log.commit();
        }
    };
    first.iter().for_each(|entry| write(entry, false));
    for number in 0..ENTRIES {
        let order = place(number, names[(number % SKUS) as usize], Arc::clone(&subject));
        let entry = shard
            .decide(NOW, Input::Command(&order))
            .entry
            .expect("there is stock");
        shard.apply(&entry);
        write(&entry, number + 1 == ENTRIES);
    }
    let entries = log.op;
    (log.disk.unwrap_or_default(), entries)
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = append, replay
}
criterion_main!(benches);
