//! The writing end of a log: records in, batches of whole blocks out.

use crate::aligned::AlignedBuf;
use crate::batch::{self, Identity};
use crate::chains::Chains;
use crate::limits::{
    BATCH_BYTES_MAX, BLOCK, PAYLOAD_BYTES_MAX, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN, SHARDS_MAX,
};
use crate::position::{Lsn, Position, SegmentNumber, ShardOp};
use crate::record::{self, Fields};
use crate::segment::SegmentHeader;

mod next;
mod parts;
mod seal;

pub use next::NewSegment;
use next::NextSegment;
pub use parts::{AppenderConfig, Batch, Synced};

/// Collects records into the batch that fills while the batch before is written.
///
/// The loop: `append…`, `seal` → write and sync the batch → `synced`. One batch is out at a time, so each batch follows
/// a durable one, and what a crash can cut short is the last batch only.
pub struct Appender {
    config: AppenderConfig,
    shards: Vec<ShardTail>,
    /// A batch header's room, then records.
    fill: AlignedBuf,
    fill_records: u32,
    spare: Option<AlignedBuf>,
    spare_ops: Vec<ShardOp>,
    open: Option<OpenSegment>,
    next: NextSegment,
    out: Option<Out>,
    last: Lsn,
    sealed: Lsn,
    durable: Lsn,
    durable_upto: Position,
    /// The last sealed batch had records, so that a mark would tell something new.
    unmarked: bool,
    /// Planted (a durable block is rewritten): what stands in the last batch's last block.
    tail: Vec<u8>,
}

#[derive(Clone, Copy, Default)]
struct ShardTail {
    op: u64,
    chain: u64,
    /// Where the shard stands in the `ops` of the batch with this last record.
    in_batch: Lsn,
    slot: u32,
}

struct OpenSegment {
    number: SegmentNumber,
    identity: Identity,
    /// Where the next batch begins.
    offset: u32,
}

struct Out {
    segment: SegmentNumber,
    offset: u32,
    last: Lsn,
    end: Position,
}

impl Appender {
    /// An appender that continues `chains` (as recovery left them; [`Chains::strict`] of nothing for a new log).
    ///
    /// # Panics
    /// If the sizes are not within the limits.
    pub fn new(config: AppenderConfig, chains: &Chains) -> Appender {
        assert!((SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&config.segment_bytes));
        assert!((config.segment_bytes as usize).is_multiple_of(BLOCK));
        assert!((BLOCK..=BATCH_BYTES_MAX).contains(&config.batch_bytes_max));
        let mut appender = Appender {
            shards: Vec::new(),
            fill: new_fill(config.batch_bytes_max),
            fill_records: 0,
            spare: None,
            spare_ops: Vec::new(),
            open: None,
            next: NextSegment::new(config.next_segment),
            out: None,
            last: Lsn(0),
            sealed: Lsn(0),
            durable: Lsn(0),
            durable_upto: config.durable_upto,
            unmarked: false,
            tail: Vec::new(),
            config,
        };
        for mark in chains.marks() {
            let tail = appender.tail_mut(mark.shard);
            (tail.op, tail.chain) = (mark.op, mark.chain);
        }
        appender
    }

    /// Adds a record to the batch that fills and returns its number; the record is durable once
    /// [`Appender::durable`] reaches it. `time` is the shard's, in unix milliseconds.
    ///
    /// # Panics
    /// If `op` is not the shard's last op + 1, or the payload is longer than [`Appender::payload_bytes_max`].
    pub fn append(&mut self, shard: u16, op: u64, time: u64, payload: &[u8]) -> Lsn {
        assert!(
            payload.len() <= self.payload_bytes_max(),
            "a payload of {} bytes",
            payload.len()
        );
        let tail = self.tail_mut(shard);
        assert_eq!(op, tail.op + 1, "shard {shard}'s ops follow each other");
        let fields = Fields {
            payload: payload.len(),
            op,
            time,
            previous: tail.chain,
            shard,
        };
        let at = self.fill.len();
        self.fill.extend(&fields.header());
        self.fill.extend(payload);
        self.fill.resize(at + record::size(payload.len()));
        let chain = record::chain(&self.fill[at..]);
        let tail = self.tail_mut(shard);
        (tail.op, tail.chain) = (op, chain);
        self.fill_records += 1;
        self.last.0 += 1;
        self.last
    }

    /// The longest payload that [`Appender::append`] takes: small segments take less than the limit.
    pub fn payload_bytes_max(&self) -> usize {
        PAYLOAD_BYTES_MAX.min(self.config.segment_bytes as usize - 2 * BLOCK)
    }

    /// The number of the last record appended.
    pub fn last(&self) -> Lsn {
        self.last
    }

    /// All records up to this one are durable.
    pub fn durable(&self) -> Lsn {
        self.durable
    }

    /// The log's bytes are durable up to here.
    pub fn durable_upto(&self) -> Position {
        self.durable_upto
    }

    /// The chain hash of the shard's last record; 0 before op 1.
    pub fn chain(&self, shard: u16) -> u64 {
        self.shards.get(usize::from(shard)).map_or(0, |tail| tail.chain)
    }

    /// Bytes that wait to be sealed.
    pub fn pending_bytes(&self) -> usize {
        self.fill.len() - batch::HEADER
    }

    /// Records that wait to be sealed.
    pub fn pending_records(&self) -> u32 {
        self.fill_records
    }

    /// A batch is out.
    pub fn in_flight(&self) -> bool {
        self.out.is_some()
    }

    /// The engine should decide nothing more until a batch was sealed. Appending goes on to work: an entry that was
    /// applied must be logged.
    pub fn is_full(&self) -> bool {
        self.fill.len() >= self.config.batch_bytes_max
    }

    /// A segment to prepare, once each. Ask after every seal, and at the start.
    pub fn need_segment(&mut self) -> Option<NewSegment> {
        let number = self.next.ask()?;
        let header = SegmentHeader {
            log: self.config.log,
            start: self.config.start,
            segment: number,
            durable_upto: self.durable_upto,
            bytes: self.config.segment_bytes,
        };
        let mut block = Box::new([0; BLOCK]);
        header.encode(&mut block);
        Some(NewSegment {
            number,
            bytes: header.bytes,
            header: block,
        })
    }

    /// The segment was prepared: file, header and directory are synced.
    ///
    /// # Panics
    /// If it is not the one asked for.
    pub fn segment_ready(&mut self, number: SegmentNumber) {
        self.next.ready(number);
    }

    /// Something pends that only waits for a segment to be ready.
    pub fn waits_for_segment(&self) -> bool {
        let padded = self.padded(self.fill.len());
        let fits = self.room().is_some_and(|room| padded <= room);
        self.out.is_none() && self.fill_records > 0 && !fits && !self.next.is_ready()
    }

    /// Closes the batch that fills. `None` when nothing pends, a batch is out, or it needs a segment that is not ready.
    pub fn seal(&mut self) -> Option<Batch> {
        if self.fill_records == 0 {
            None
        } else {
            self.seal_fill()
        }
    }

    /// A batch of no records that only carries how far the log is durable, for an idle log and a clean stop: without it
    /// damage to the last batch cannot be told from a write that a crash cut short. `None` when something pends, a
    /// batch is out, or nothing was written since the last mark.
    pub fn seal_mark(&mut self) -> Option<Batch> {
        if self.fill_records > 0 || !self.unmarked {
            None
        } else {
            self.seal_fill()
        }
    }

    /// The batch is written and synced.
    ///
    /// # Panics
    /// If it is not the one that is out.
    pub fn synced(&mut self, batch: Batch) -> Synced {
        let out = self.out.take().expect("a batch is out");
        assert_eq!(
            (out.segment, out.offset, out.last),
            (batch.segment, batch.offset, batch.last)
        );
        assert!(out.last >= self.durable && out.end > self.durable_upto);
        (self.durable, self.durable_upto) = (out.last, out.end);
        self.spare = Some(batch.bytes);
        self.spare_ops = batch.ops;
        Synced {
            durable: self.durable,
            position: self.durable_upto,
        }
    }

    /// Where the next batch begins in the segment that is written now; the log's recovered end before the first.
    pub fn position(&self) -> Position {
        self.open.as_ref().map_or(self.config.durable_upto, |open| {
            Position::new(open.number, open.offset)
        })
    }

    fn tail_mut(&mut self, shard: u16) -> &mut ShardTail {
        assert!(shard < SHARDS_MAX);
        let shard = usize::from(shard);
        if shard >= self.shards.len() {
            self.shards.resize(shard + 1, ShardTail::default());
        }
        &mut self.shards[shard]
    }
}

fn new_fill(batch_bytes_max: usize) -> AlignedBuf {
    // A quarter more than the soft bound, for the records of the decision that passed it.
    let mut fill = AlignedBuf::with_capacity(batch_bytes_max + batch_bytes_max / 4);
    fill.resize(batch::HEADER);
    fill
}
