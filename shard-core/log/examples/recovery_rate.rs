//! How fast a log is read back: 2M records of 150 bytes from memory, so that only the log's own work is measured.
//! `cargo run --release -p tidegate-log --example recovery_rate`

use std::collections::BTreeMap;
use std::time::Instant;
use tidegate_log::{
    Appender, AppenderConfig, Chains, LogId, RecoveryOptions, SegmentFile, SegmentNumber, SegmentSource,
    StartNumber, recover,
};

const RECORDS: u64 = 2_000_000;
const RECORDS_A_BATCH: u64 = 40;
const SHARDS: u64 = 32;

struct Memory(BTreeMap<SegmentNumber, Vec<u8>>);

impl SegmentSource for Memory {
    type Error = std::convert::Infallible;

    fn segments(&mut self) -> Result<Vec<SegmentFile>, Self::Error> {
        Ok(self
            .0
            .iter()
            .map(|(&number, b)| SegmentFile {
                number,
                bytes: b.len() as u64,
            })
            .collect())
    }

    fn read(&mut self, segment: SegmentNumber, offset: u64, out: &mut [u8]) -> Result<(), Self::Error> {
        let offset = offset as usize;
        out.copy_from_slice(&self.0[&segment][offset..offset + out.len()]);
        Ok(())
    }
}

fn main() {
    let mut disk = Memory(BTreeMap::new());
    let mut appender = Appender::new(AppenderConfig::new(LogId(1), StartNumber(1)), &Chains::strict([]));
    let begun = Instant::now();
    for i in 0..RECORDS {
        if let Some(new) = appender.need_segment() {
            let mut bytes = vec![0; new.bytes as usize];
            bytes[..new.header.len()].copy_from_slice(&new.header[..]);
            disk.0.insert(new.number, bytes);
            appender.segment_ready(new.number);
        }
        appender.append(
            (i % SHARDS) as u16,
            i / SHARDS + 1,
            1_763_000_000_000,
            &[i as u8; 150],
        );
        if i % RECORDS_A_BATCH == RECORDS_A_BATCH - 1
            && let Some(batch) = appender.seal()
        {
            let file = disk.0.get_mut(&batch.segment).expect("it was prepared");
            file[batch.offset as usize..][..batch.bytes.len()].copy_from_slice(&batch.bytes);
            appender.synced(batch);
        }
    }
    println!(
        "append and copy: {:.0} ns a record",
        begun.elapsed().as_nanos() as f64 / RECORDS as f64
    );
    println!("append and seal: {:.0} ns a record", append_alone());
    let begun = Instant::now();
    let (mut chains, mut sum) = (Chains::strict([]), 0);
    let recovered = recover(
        &mut disk,
        LogId(1),
        &mut chains,
        RecoveryOptions::default(),
        |record| {
            sum += u64::from(record.payload[149]);
            Ok::<(), ()>(())
        },
    )
    .expect("the log is sound");
    let seconds = begun.elapsed().as_secs_f64();
    assert_eq!(recovered.walked.records, RECORDS);
    println!(
        "recover: {:.2} M records/s ({sum:x})",
        RECORDS as f64 / seconds / 1e6
    );
}

/// The appender's own work, its batches thrown away.
fn append_alone() -> f64 {
    let mut appender = Appender::new(AppenderConfig::new(LogId(2), StartNumber(1)), &Chains::strict([]));
    let begun = Instant::now();
    for i in 0..RECORDS {
        if let Some(new) = appender.need_segment() {
            appender.segment_ready(new.number);
        }
        appender.append(
            (i % SHARDS) as u16,
            i / SHARDS + 1,
            1_763_000_000_000,
            &[i as u8; 150],
        );
        if i % RECORDS_A_BATCH == RECORDS_A_BATCH - 1
            && let Some(batch) = appender.seal()
        {
            appender.synced(batch);
        }
    }
    begun.elapsed().as_nanos() as f64 / RECORDS as f64
}
