//! A recycled segment's old records never count, wherever they stand.

use super::crash::LOG;
use super::disk::Disk;
use crate::{
    Appender, AppenderConfig, BLOCK, Batch, Chains, LogId, Position, RecoveryOptions, SegmentNumber,
    StartNumber, recover,
};
use std::convert::Infallible;

/// The blocks of the first three batches of a log's first segment, one record each.
fn batches(log: LogId, start: StartNumber, next_segment: SegmentNumber) -> (Disk, Vec<Batch>) {
    let mut disk = Disk::default();
    let config = AppenderConfig {
        segment_bytes: 16384,
        next_segment,
        ..AppenderConfig::new(log, start)
    };
    let mut appender = Appender::new(config, &Chains::strict([]));
    let new = appender.need_segment().unwrap();
    disk.prepare(&new);
    appender.segment_ready(new.number);
    let mut batches = Vec::new();
    for op in 1..=3 {
        appender.append(0, op, 0, b"entry");
        let batch = appender.seal().unwrap();
        let mut kept = crate::AlignedBuf::with_capacity(batch.bytes.len());
        kept.extend(&batch.bytes);
        let (segment, offset, last, closed) = (batch.segment, batch.offset, batch.last, batch.closed);
        appender.synced(batch);
        batches.push(Batch {
            segment,
            offset,
            bytes: kept,
            last,
            records: 1,
            ops: Vec::new(),
            closed,
        });
    }
    (disk, batches)
}

#[test]
fn records_of_another_log_start_or_segment_end_the_log_where_they_stand() {
    let (start, segment) = (StartNumber(5), SegmentNumber(9));
    let strangers = [
        batches(LogId(LOG.0 + 1), start, segment),
        batches(LOG, StartNumber(4), segment),
        batches(LOG, start, SegmentNumber(8)),
    ];
    for (_, old) in strangers {
        for own_batches in 0..3 {
            let (mut disk, own) = batches(LOG, start, segment);
            for (index, (own, old)) in own.iter().zip(&old).enumerate() {
                // The very blocks that would continue the log, but for whom they were written.
                disk.write(
                    segment,
                    own.offset,
                    if index < own_batches {
                        &own.bytes
                    } else {
                        &old.bytes
                    },
                );
            }
            let mut records = 0;
            let visit = |_: crate::Record<'_>| {
                records += 1;
                Ok::<(), Infallible>(())
            };
            let options = RecoveryOptions::default();
            let recovered = recover(&mut disk, LOG, &mut Chains::strict([]), options, visit);
            let Ok(recovered) = recovered else {
                panic!("the log is sound")
            };
            assert_eq!(records, own_batches);
            if own_batches > 0 {
                let end = ((1 + own_batches) * BLOCK) as u32;
                assert_eq!(recovered.end(), Position::new(segment, end));
                assert!(recovered.walked.torn);
            }
        }
    }
}

#[test]
fn a_record_that_was_moved_within_its_segment_does_not_count() {
    let (mut disk, own) = batches(LOG, StartNumber(1), SegmentNumber(1));
    disk.write(SegmentNumber(1), own[0].offset, &own[0].bytes);
    disk.write(SegmentNumber(1), own[2].offset, &own[1].bytes);
    let walked = crate::verify(&mut disk, LOG, &mut Chains::strict([])).unwrap();
    assert_eq!((walked.records, walked.end.offset), (1, 2 * BLOCK as u32));
}
