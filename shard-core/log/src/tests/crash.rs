//! Lives of a log: start, append, seal, free, crash anywhere, start again.

use super::disk::{Disk, Random};
use crate::{
    Appender, Batch, Chains, LogId, Lsn, NewSegment, Planted, Recovered, RecoveryOptions, Retention,
    SegmentNumber, ShardMark, StartNumber, WalkError, recover,
};
use proptest::prelude::*;
use std::convert::Infallible;

pub const LOG: LogId = LogId(0x7d1d_e6a7_e000_0001);
const SHARDS: usize = 5;

/// A record as it was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub shard: u16,
    pub op: u64,
    pub time: u64,
    pub payload: Vec<u8>,
}

/// What must be in the log: all of `acknowledged` records from the front, then maybe more of `entries`.
pub struct World {
    pub disk: Disk,
    random: Random,
    planted: Planted,
    start: u64,
    pub entries: Vec<Entry>,
    pub acknowledged: usize,
    /// Where each shard stood when the oldest entry that is kept was yet to come.
    base: Vec<ShardMark>,
    /// The manifest's.
    next_segment: SegmentNumber,
}

/// One start's running parts.
struct Life {
    appender: Appender,
    retention: Retention,
    ops: Vec<u64>,
    out: Option<Batch>,
    /// `entries` index of the record with Lsn 0 of this life.
    first: usize,
    prepared: Option<NewSegment>,
}

type Outcome<T> = Result<T, String>;

impl World {
    pub fn new(seed: u64, planted: Planted) -> World {
        let base = (0..SHARDS as u16)
            .map(|shard| ShardMark {
                shard,
                op: 0,
                chain: 0,
            })
            .collect();
        let (disk, random) = (Disk::default(), Random(seed));
        World {
            disk,
            random,
            planted,
            start: 0,
            entries: Vec::new(),
            acknowledged: 0,
            base,
            next_segment: SegmentNumber(1),
        }
    }

    fn recover(&mut self, entries: &mut Vec<Entry>) -> Outcome<(Recovered, Chains)> {
        let mut chains = Chains::strict(self.base.iter().copied());
        let options = RecoveryOptions {
            covered: crate::Position::START,
            planted: self.planted,
            next_segment_min: self.next_segment,
        };
        let base = &self.base;
        let result = recover(&mut self.disk, LOG, &mut chains, options, |r| {
            if r.op > base[usize::from(r.shard)].op {
                let payload = r.payload.to_vec();
                entries.push(Entry {
                    shard: r.shard,
                    op: r.op,
                    time: r.time,
                    payload,
                });
            }
            Ok::<(), Infallible>(())
        });
        let recovered = result.map_err(|error| match error {
            WalkError::Fault(fault) => fault.to_string(),
            WalkError::Read { .. } | WalkError::Stopped(_) => unreachable!(),
        })?;
        Ok((recovered, chains))
    }

    /// Reads the log back; every acknowledged entry must be there, then a prefix of the others.
    pub fn check(&mut self) -> Outcome<(Recovered, Chains)> {
        let mut found = Vec::new();
        let (recovered, chains) = self.recover(&mut found)?;
        if found.len() < self.acknowledged {
            return Err(format!(
                "{} of {} acknowledged entries",
                found.len(),
                self.acknowledged
            ));
        }
        if found.len() > self.entries.len() || found[..] != self.entries[..found.len()] {
            return Err("entries that were never appended, or in another order".into());
        }
        self.entries = found;
        Ok((recovered, chains))
    }

    /// A start, with crashes among its repairs.
    fn begin(&mut self) -> Outcome<Life> {
        let (mut recovered, mut chains) = self.check()?;
        self.next_segment = recovered.next_segment;
        while self.random.one_in(4) {
            let some = self.random.below(recovered.actions.len() + 1);
            for &action in &recovered.actions[..some] {
                self.disk.perform(action, &mut self.random);
            }
            let before = self.entries.len();
            (recovered, chains) = self.check()?;
            if self.entries.len() != before {
                return Err("a repair lost entries that had been read".into());
            }
        }
        for &action in &recovered.actions {
            self.disk.perform(action, &mut self.random);
        }
        self.acknowledged = self.entries.len();
        self.start += 1;
        let mut config = recovered.appender_config(LOG, StartNumber(self.start));
        (config.segment_bytes, config.batch_bytes_max, config.planted) = (16384, 4096, self.planted);
        let ops = (0..SHARDS as u16).map(|shard| chains.mark(shard).op).collect();
        Ok(Life {
            appender: Appender::new(config, &chains),
            retention: Retention::new(&recovered.walked.segments, self.planted),
            ops,
            out: None,
            first: self.entries.len(),
            prepared: None,
        })
    }

    fn append(&mut self, life: &mut Life) {
        let shard = self.random.below(SHARDS) as u16;
        let len = if self.random.one_in(20) {
            self.random.below(8000)
        } else {
            self.random.below(300)
        };
        let payload = vec![self.random.next() as u8; len];
        life.ops[usize::from(shard)] += 1;
        let (op, time) = (life.ops[usize::from(shard)], self.random.next() >> 22);
        let lsn = life.appender.append(shard, op, time, &payload);
        self.entries.push(Entry {
            shard,
            op,
            time,
            payload,
        });
        assert_eq!(lsn, Lsn((self.entries.len() - life.first) as u64));
    }

    fn step(&mut self, life: &mut Life) {
        match self.random.below(12) {
            0..=5 => self.append(life),
            6 | 7 => self.seal(life),
            8 | 9 => self.complete(life),
            10 => self.prepare(life),
            _ => self.free(life),
        }
    }

    fn seal(&mut self, life: &mut Life) {
        let sealed = if self.random.one_in(5) {
            life.appender.seal_mark()
        } else {
            life.appender.seal()
        };
        if let Some(batch) = sealed {
            let end = batch.offset + batch.bytes.len() as u32;
            life.retention.note(batch.segment, end, &batch.ops);
            assert!(life.out.replace(batch).is_none());
        }
    }

    fn complete(&mut self, life: &mut Life) {
        if let Some(batch) = life.out.take() {
            self.disk.write(batch.segment, batch.offset, &batch.bytes);
            let synced = life.appender.synced(batch);
            self.acknowledged = life.first + synced.durable.0 as usize;
        }
    }

    fn prepare(&mut self, life: &mut Life) {
        if let Some(new) = life.prepared.take() {
            self.disk.prepare(&new);
            life.appender.segment_ready(new.number);
        }
        life.prepared = life.appender.need_segment();
    }

    /// Frees the oldest segments up to a mark somewhere among the acknowledged entries.
    fn free(&mut self, life: &mut Life) {
        let first = life.first.min(self.acknowledged);
        if first > 0 && life.retention.closed().count() > 2 {
            let upto = self.random.below(first) + 1;
            self.move_base(upto);
            life.first -= upto;
            let base = &self.base;
            while let Some(segment) = life.retention.pop_free(|shard| base[usize::from(shard)].op) {
                self.disk.free(segment);
            }
        }
    }

    /// The first `upto` entries are applied and in a checkpoint.
    fn move_base(&mut self, upto: usize) {
        for entry in self.entries.drain(..upto) {
            let mark = &mut self.base[usize::from(entry.shard)];
            mark.chain = crate::chain_hash(mark.chain, entry.shard, entry.op, entry.time, &entry.payload);
            mark.op = entry.op;
        }
        self.acknowledged -= upto;
    }

    fn crash(&mut self, mut life: Life) {
        if let Some(batch) = life.out.take() {
            self.disk
                .tear(batch.segment, batch.offset, &batch.bytes, &mut self.random);
        }
        if let Some(new) = life.prepared.take()
            && self.random.one_in(2)
        {
            self.disk.prepare_torn(&new, &mut self.random);
        }
    }

    /// Lives until a crash.
    pub fn live(&mut self, steps: usize) -> Outcome<()> {
        let mut life = self.begin()?;
        for _ in 0..self.random.below(steps) {
            self.step(&mut life);
        }
        self.crash(life);
        Ok(())
    }

    /// Lives, and stops in order: all acknowledged, and marked.
    pub fn live_and_stop(&mut self, steps: usize) -> Outcome<()> {
        let mut life = self.begin()?;
        for _ in 0..steps {
            self.step(&mut life);
        }
        self.complete(&mut life);
        while life.appender.pending_records() > 0 {
            self.prepare(&mut life);
            self.seal(&mut life);
            self.complete(&mut life);
        }
        while let Some(batch) = life.appender.seal_mark().or_else(|| {
            self.prepare(&mut life);
            None
        }) {
            life.out = Some(batch);
            self.complete(&mut life);
        }
        assert_eq!(self.acknowledged, self.entries.len());
        Ok(())
    }
}

/// A whole history; the error says what was found wrong.
pub fn history(seed: u64, planted: Planted) -> Outcome<()> {
    let mut world = World::new(seed, planted);
    for _ in 0..12 {
        world.live(120)?;
    }
    world.check().map(|_| ())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn every_synced_record_and_a_prefix_of_the_rest_survive_any_crash(seed: u64) {
        prop_assert_eq!(history(seed, Planted::None), Ok(()));
    }

    #[test]
    fn a_flipped_bit_in_acknowledged_data_is_reported_or_harmless(seed: u64) {
        let mut world = World::new(seed, Planted::None);
        for _ in 0..3 {
            prop_assert_eq!(world.live(120), Ok(()));
        }
        prop_assert_eq!(world.live_and_stop(150), Ok(()));
        let sound = world.disk.clone();
        let mut random = Random(!seed);
        let segments: Vec<_> = sound.files.keys().copied().collect();
        for _ in 0..40 {
            world.disk = sound.clone();
            let segment = segments[random.below(segments.len())];
            let bits = world.disk.files[&segment].len() * 8;
            if bits == 0 {
                continue;
            }
            world.disk.flip(segment, random.below(bits));
            let entries = world.entries.clone();
            if world.check().is_ok() {
                prop_assert_eq!(&entries, &world.entries, "nothing is dropped in silence");
            }
            world.entries = entries;
        }
    }
}
