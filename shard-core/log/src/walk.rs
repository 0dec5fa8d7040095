//! Reading a log from its first record to its last, and judging it.

use crate::batch::{self, BatchHeader, Identity};
use crate::chains::Chains;
use crate::fault::{Fault, WalkError};
use crate::limits::BLOCK;
use crate::planted::Planted;
use crate::position::{LogId, Position, SegmentNumber, ShardOp};
use crate::record::{self, Fields};
use crate::segment::{HeaderRead, SegmentHeader};
use crate::source::{SegmentFile, SegmentSource};

mod found;
mod search;
mod view;

pub use found::{Record, SegmentSummary, Walked};
use search::{search, sound_batch};
use view::SegmentView;

/// Visits every valid record of a log in order; checks CRCs, chains, and that nothing acknowledged is missing.
/// A batch is visited only when all of it is valid. Streams; allocates nothing per record.
pub fn walk<S: SegmentSource, V>(
    source: &mut S,
    log: LogId,
    chains: &mut Chains,
    planted: Planted,
    visit: impl FnMut(Record<'_>) -> Result<(), V>,
) -> Result<Walked, WalkError<S::Error, V>> {
    walk_from(source, log, Position::START, chains, planted, visit)
}

/// As [`walk`], from a batch's end on that an earlier walk found: what comes before `from` is not read, and believed to be
/// durable up to there. The segments it lies in are [`Walked::skipped`].
pub fn walk_from<S: SegmentSource, V>(
    source: &mut S,
    log: LogId,
    from: Position,
    chains: &mut Chains,
    planted: Planted,
    visit: impl FnMut(Record<'_>) -> Result<(), V>,
) -> Result<Walked, WalkError<S::Error, V>> {
    let read_failed = |error| WalkError::Read {
        at: Position::START,
        error,
    };
    let mut files = source.segments().map_err(read_failed)?;
    files.sort_unstable_by_key(|file| file.number);
    let mut view = SegmentView::new(source);
    let walked = Walked {
        end: from,
        durable_upto: from,
        ..Walked::default()
    };
    let mut walker = Walker {
        log,
        planted,
        from,
        files: &files,
        chains,
        visit,
        walked,
        shards: Vec::new(),
    };
    for &file in &files {
        walker.walked.largest = file.number;
        if file.number < from.segment {
            walker.walked.skipped.push(file);
        } else {
            walker.segment(&mut view, file)?;
        }
    }
    Ok(walker.walked)
}

/// Walks a log only to find its first fault.
pub fn verify<S: SegmentSource>(
    source: &mut S,
    log: LogId,
    chains: &mut Chains,
) -> Result<Walked, WalkError<S::Error, std::convert::Infallible>> {
    walk(source, log, chains, Planted::None, |_| Ok(()))
}

struct Walker<'a, F> {
    log: LogId,
    planted: Planted,
    from: Position,
    files: &'a [SegmentFile],
    chains: &'a mut Chains,
    visit: F,
    walked: Walked,
    /// Last op of each shard in the segment that is read; 0: none.
    shards: Vec<u64>,
}

impl<F> Walker<'_, F> {
    fn segment<S: SegmentSource, V>(
        &mut self,
        view: &mut SegmentView<'_, S>,
        file: SegmentFile,
    ) -> Result<(), WalkError<S::Error, V>>
    where
        F: FnMut(Record<'_>) -> Result<(), V>,
    {
        view.open(file);
        let header = view
            .bytes(0, BLOCK)?
            .map_or(HeaderRead::Damaged, SegmentHeader::decode);
        let mut identity = self.identity(file.number);
        match header {
            HeaderRead::Sound(header) if header.log != self.log || header.segment > file.number => {
                let (log, segment, found) = (self.log, file.number, header.log);
                Err(WalkError::Fault(Fault::ForeignSegment { log, segment, found }))
            }
            HeaderRead::UnknownVersion(version) => {
                let (log, segment) = (self.log, file.number);
                Err(WalkError::Fault(Fault::UnknownVersion {
                    log,
                    segment,
                    version,
                }))
            }
            HeaderRead::Sound(header) if header.segment == file.number => {
                self.claim(header.durable_upto, None)?;
                view.limit(header.bytes);
                identity.start = Some(header.start);
                self.batches(view, &identity, file)
            }
            // Damaged, or still that of the segment the file was recycled from: a crash came before the new header was
            // synced, so no batch was written. If one was, then the header was there and is lost.
            HeaderRead::Sound(_) | HeaderRead::Damaged => {
                if search(view, &identity, BLOCK as u32, |_| true)?.found.is_some() {
                    let (log, segment) = (self.log, file.number);
                    return Err(WalkError::Fault(Fault::DamagedHeader { log, segment }));
                }
                self.walked.unused.push(file.number);
                Ok(())
            }
        }
    }

    /// Reads batches until one is not valid; then makes sure that nothing acknowledged lies behind it.
    fn batches<S: SegmentSource, V>(
        &mut self,
        view: &mut SegmentView<'_, S>,
        identity: &Identity,
        file: SegmentFile,
    ) -> Result<(), WalkError<S::Error, V>>
    where
        F: FnMut(Record<'_>) -> Result<(), V>,
    {
        let resumes = file.number == self.from.segment;
        let mut summary = SegmentSummary {
            number: file.number,
            end: 0,
            file_bytes: file.bytes,
            records: 0,
            ops: Vec::new(),
        };
        let mut at = if resumes { self.from.offset } else { BLOCK as u32 };
        let bad = loop {
            let found = self.next_batch(view, identity, at)?;
            let (start, header) = match found {
                Ok(found) => found,
                Err(bad) => break bad,
            };
            if summary.end == 0 && !self.continues(header.durable_upto) {
                break start;
            }
            self.claim(header.durable_upto, None)?;
            let batch = view
                .bytes(start, header.bytes as usize)?
                .expect("it was just checked");
            self.visit_batch(batch, file.number, start)
                .map_err(|stop| stop.into_walk_error())?;
            summary.records += u64::from(header.records);
            summary.end = start + header.bytes;
            at = self.after(summary.end);
            self.walked.end = Position::new(file.number, at);
        };
        let nonzero = self.search_on(view, identity, at, bad)?;
        if summary.end == 0 {
            if resumes {
                self.walked.skipped.push(file);
            } else {
                self.walked.unused.push(file.number);
            }
            return Ok(());
        }
        self.walked.torn = nonzero;
        summary.end = self.walked.end.offset;
        summary.ops = take_ops(&mut self.shards);
        self.walked.records += summary.records;
        self.walked.segments.push(summary);
        Ok(())
    }

    /// The valid batch at `at` and where it begins, or the offset of what is wrong there.
    #[expect(clippy::type_complexity, reason = "a read error around found or bad")]
    fn next_batch<S: SegmentSource, V>(
        &self,
        view: &mut SegmentView<'_, S>,
        identity: &Identity,
        at: u32,
    ) -> Result<Result<(u32, BatchHeader), u32>, WalkError<S::Error, V>> {
        let found = sound_batch(view, identity, at)?;
        let aligned = at.next_multiple_of(BLOCK as u32);
        if found.is_err() && at != aligned {
            // Planted only: a batch may begin within a block, or at the next.
            return sound_batch(view, identity, aligned);
        }
        Ok(found)
    }

    /// Where the batch after one that ends at `end` begins.
    fn after(&self, end: u32) -> u32 {
        if self.planted.durable_block_rewritten() {
            end
        } else {
            end.next_multiple_of(BLOCK as u32)
        }
    }

    /// A segment is begun only when no batch is out: its first batch says that the log was durable up to exactly the
    /// end of the segment before. One that says less was never acknowledged, nor was what came between.
    fn continues(&self, durable_upto: Position) -> bool {
        self.walked.end == Position::START || durable_upto >= self.walked.end
    }

    /// A sound header says that the log was durable up to here. `at`: where the valid records end, if not where they
    /// are known to.
    fn claim<E, V>(&mut self, durable_upto: Position, at: Option<u32>) -> Result<(), WalkError<E, V>> {
        let end = self.walked.end;
        self.walked.durable_upto = self.walked.durable_upto.max(durable_upto.min(end));
        if durable_upto <= end {
            return Ok(());
        }
        let segment = durable_upto.segment;
        let there = self
            .files
            .binary_search_by_key(&segment, |file| file.number)
            .is_ok();
        let named_by = self.walked.largest;
        if !there && end == Position::START {
            // The oldest segments were freed.
            return Ok(());
        }
        if !there {
            return Err(WalkError::Fault(Fault::MissingSegment {
                log: self.log,
                segment,
                named_by,
            }));
        }
        let at = match at {
            Some(offset) => Position::new(named_by, offset),
            None if segment == end.segment => end,
            None => Position::new(segment, BLOCK as u32),
        };
        Err(WalkError::Fault(Fault::LostAcknowledged {
            log: self.log,
            at,
            durable_upto,
        }))
    }

    /// After a bad batch at `at` (bad since `bad`): searches the rest of the segment. Says whether more than
    /// zeros is there.
    fn search_on<S: SegmentSource, V>(
        &mut self,
        view: &mut SegmentView<'_, S>,
        identity: &Identity,
        at: u32,
        bad: u32,
    ) -> Result<bool, WalkError<S::Error, V>> {
        let here = Position::new(identity.segment, at);
        let behind = |header: &BatchHeader| header.durable_upto > here;
        let searched = search(view, identity, at, behind)?;
        if let Some(header) = searched.found {
            self.claim(header.durable_upto, Some(bad))?;
        }
        Ok(searched.nonzero)
    }

    fn identity(&self, segment: SegmentNumber) -> Identity {
        let unbound = self.planted.stale_record_accepted();
        Identity {
            log: self.log,
            start: None,
            segment,
            unbound,
        }
    }

    fn visit_batch<V>(&mut self, batch: &[u8], segment: SegmentNumber, offset: u32) -> Result<(), Stop<V>>
    where
        F: FnMut(Record<'_>) -> Result<(), V>,
    {
        let mut at = batch::HEADER;
        while at < batch.len() {
            let bytes = &batch[at..];
            let fields = Fields::read(bytes);
            let payload = &bytes[record::HEADER..record::HEADER + fields.payload];
            let Fields {
                op,
                time,
                previous,
                shard,
                ..
            } = fields;
            let (log, offset, chain) = (self.log, offset + at as u32, record::chain(bytes));
            let record = Record {
                log,
                segment,
                offset,
                shard,
                op,
                time,
                previous,
                chain,
                payload,
            };
            self.chains.follow(&record).map_err(Stop::Fault)?;
            self.note(shard, op);
            self.walked.last_time = self.walked.last_time.max(time);
            (self.visit)(record).map_err(Stop::Visitor)?;
            at += record::size(fields.payload);
        }
        Ok(())
    }

    fn note(&mut self, shard: u16, op: u64) {
        let shard = usize::from(shard);
        if shard >= self.shards.len() {
            self.shards.resize(shard + 1, 0);
        }
        self.shards[shard] = op;
    }
}

enum Stop<V> {
    Fault(Fault),
    Visitor(V),
}

impl<V> Stop<V> {
    fn into_walk_error<E>(self) -> WalkError<E, V> {
        match self {
            Stop::Fault(fault) => WalkError::Fault(fault),
            Stop::Visitor(reason) => WalkError::Stopped(reason),
        }
    }
}

fn take_ops(shards: &mut Vec<u64>) -> Vec<ShardOp> {
    let ops = shards.iter().enumerate().filter(|&(_, &op)| op > 0);
    let ops = ops
        .map(|(shard, &op)| ShardOp {
            shard: shard as u16,
            op,
        })
        .collect();
    shards.clear();
    ops
}
