//! Closing a batch: its place, its CRCs, its header.

use super::{Appender, Batch, OpenSegment, Out, ShardTail, new_fill};
use crate::aligned::AlignedBuf;
use crate::batch::{self, BatchHeader, Identity};
use crate::limits::{BATCH_BYTES_MAX, BLOCK};
use crate::position::{Lsn, Position, SegmentNumber, ShardOp, blocks_up};
use crate::record;
use crate::segment::{u16_at, u32_at, u64_at};

impl Appender {
    /// Bytes left in the open segment.
    pub(super) fn room(&self) -> Option<usize> {
        self.open
            .as_ref()
            .map(|open| (self.config.segment_bytes - open.offset) as usize)
    }

    /// What a batch of `bytes` takes up.
    pub(super) fn padded(&self, bytes: usize) -> usize {
        if self.config.planted.durable_block_rewritten() {
            bytes
        } else {
            blocks_up(bytes)
        }
    }

    pub(super) fn seal_fill(&mut self) -> Option<Batch> {
        if self.out.is_some() {
            return None;
        }
        let padded = self.padded(self.fill.len());
        let mut closed = None;
        if self.room().is_none_or(|room| padded > room) {
            let number = self.next.take()?;
            closed = self.begin_segment(number);
        }
        let offset = self
            .open
            .as_ref()
            .map(|open| open.offset)
            .expect("a segment is open");
        let limit = self.room().expect("a segment is open").min(BATCH_BYTES_MAX);
        let bytes = self.close(limit, offset);
        Some(self.hand_out(bytes, offset, closed))
    }

    fn begin_segment(&mut self, number: SegmentNumber) -> Option<SegmentNumber> {
        let identity = Identity {
            log: self.config.log,
            start: Some(self.config.start),
            segment: number,
            unbound: self.config.planted.stale_record_accepted(),
        };
        self.tail.clear();
        let before = self.open.replace(OpenSegment {
            number,
            identity,
            offset: BLOCK as u32,
        });
        before.map(|open| open.number)
    }

    /// Binds the pending records, or as many as `limit` bytes take, to their place, and leaves them alone in `fill`.
    /// Returns the records of the rest. Their chains were known when they were appended, their CRCs only now.
    fn close(&mut self, limit: usize, offset: u32) -> AlignedBuf {
        let identity = self.open.as_ref().expect("a segment is open").identity;
        let seed = identity.seed(self.config.start);
        self.spare_ops.clear();
        let (mut at, mut records) = (batch::HEADER, 0);
        while at < self.fill.len() {
            let record = &self.fill[at..];
            let size = record::size(u32_at(record, 4) as usize);
            if at + size > limit {
                break;
            }
            let (shard, op) = (u16_at(record, 32), u64_at(record, 8));
            let crc = seed.crc(offset + at as u32, &record[4..size]);
            self.fill[at..at + 4].copy_from_slice(&crc.to_le_bytes());
            note_op(
                &mut self.shards[usize::from(shard)],
                &mut self.spare_ops,
                shard,
                op,
                self.sealed,
            );
            records += 1;
            at += size;
        }
        assert!(
            records > 0 || self.fill_records == 0,
            "the longest record fits an empty segment"
        );
        let rest = self.take_rest(at);
        let header = BatchHeader {
            start: self.config.start,
            segment: identity.segment,
            records,
            bytes: at as u32,
            durable_upto: self.durable_upto,
        };
        header.write(seed, offset, &mut self.fill);
        self.fill_records -= records;
        self.sealed.0 += u64::from(records);
        rest
    }

    fn take_rest(&mut self, at: usize) -> AlignedBuf {
        let mut rest = match self.spare.take() {
            Some(mut spare) => {
                spare.clear();
                spare.resize(batch::HEADER);
                spare
            }
            None => new_fill(self.config.batch_bytes_max),
        };
        rest.extend(&self.fill[at..]);
        self.fill.resize(at);
        rest
    }

    fn hand_out(&mut self, rest: AlignedBuf, offset: u32, closed: Option<SegmentNumber>) -> Batch {
        let mut bytes = std::mem::replace(&mut self.fill, rest);
        let records = u32_at(&bytes, 20);
        let end = offset + self.padded(bytes.len()) as u32;
        let mut at = offset;
        if self.config.planted.durable_block_rewritten() {
            (bytes, at) = self.rewrite_durable_block(&bytes, offset);
        }
        bytes.resize(blocks_up(bytes.len()));
        let open = self.open.as_mut().expect("a segment is open");
        open.offset = end;
        self.unmarked = records > 0;
        let segment = open.number;
        self.out = Some(Out {
            segment,
            offset: at,
            last: self.sealed,
            end: Position::new(segment, end),
        });
        let ops = std::mem::take(&mut self.spare_ops);
        assert!(bytes.len().is_multiple_of(BLOCK) && (at as usize).is_multiple_of(BLOCK));
        Batch {
            segment,
            offset: at,
            bytes,
            last: self.sealed,
            records,
            ops,
            closed,
        }
    }

    /// Planted: puts what already stands in the batch's first block before it.
    fn rewrite_durable_block(&mut self, batch: &[u8], offset: u32) -> (AlignedBuf, u32) {
        let mut bytes = AlignedBuf::with_capacity(self.tail.len() + batch.len());
        bytes.extend(&self.tail);
        bytes.extend(batch);
        let at = offset - self.tail.len() as u32;
        self.tail = bytes[bytes.len() / BLOCK * BLOCK..].to_vec();
        (bytes, at)
    }
}

/// Notes the op of a record in the list of the batch's last ops. `batch` tells batches apart: the record before it.
fn note_op(tail: &mut ShardTail, ops: &mut Vec<ShardOp>, shard: u16, op: u64, batch: Lsn) {
    // Lsn + 1, so that the first batch differs from "never".
    let batch = Lsn(batch.0 + 1);
    if tail.in_batch == batch {
        ops[tail.slot as usize].op = op;
        return;
    }
    (tail.in_batch, tail.slot) = (batch, ops.len() as u32);
    ops.push(ShardOp { shard, op });
}
