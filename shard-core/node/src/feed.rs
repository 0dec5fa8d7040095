//! The feed: every durable entry, verbatim and in each shard's order, for a store that follows the log.
//!
//! The log is the outbox. A [`Feed`] has a cursor per shard, an op and the chain hash of its record, and hands out what
//! follows from the segments' files; it runs on its follower's thread, never on a shard's. The follower gives marks back:
//! "I have this shard up to this op, whose hash is this". A mark is believed only if the feed handed out exactly that.
//!
//! There are two: *applied*, the store has it durably, which alone lets the log free anything; and *published*, the bus has it, which lets
//! out what waits for the bus ([`Durability::Replicated`](crate::Durability)) and frees nothing but hashes here. A store that is slow
//! holds up no bus: of what is published and not yet applied the feed remembers marks, not records.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;

use tidegate_log::{
    Chains, Fault, LogId, Manifest, Planted, Position, Record, SegmentFile, SegmentNumber, SegmentSource,
    ShardMark, WalkError, walk_from,
};

use crate::files::Files;
use crate::limits;
use crate::segments::LogFiles;

mod cursor;
mod parted;

use cursor::Cursor;
pub use parted::Parted;

/// Why a read of the feed ended.
#[derive(Debug)]
pub enum FeedError<V> {
    /// One shard's follower cannot go on.
    Parted(Parted),
    /// The log has a fault.
    Fault(Fault),
    /// The disk failed.
    Io(io::Error),
    /// The visitor stopped it; what it refused is handed out again.
    Visitor(V),
}

/// How far a call of [`Feed::read`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fed {
    /// There may be more: call again.
    More,
    /// Everything that is durable was handed out.
    All,
    /// Too much was handed out that no mark of either kind has come back for: call again after one.
    Full,
}

/// One follower of one data directory.
#[derive(Debug)]
pub struct Feed {
    /// Oldest layout first, as the chains run.
    logs: Vec<Followed>,
    cursors: Vec<Cursor>,
    /// Hashes that the cursors remember, and how many they may.
    unmarked: usize,
    unmarked_max: usize,
    /// Marks of the bus that were found right, for the nodes.
    published: VecDeque<ShardMark>,
    /// Shards that have parted and of which nobody was told yet: one walk may find several.
    parted: VecDeque<Parted>,
}

#[derive(Debug)]
struct Followed {
    log: LogId,
    /// The thread that writes it, in the current layout.
    thread: Option<usize>,
    /// What was read of it.
    at: Position,
    /// Segments below this one are read to their end.
    next: SegmentNumber,
    done: bool,
}

impl Feed {
    /// A feed for a follower that has each shard up to its mark; shards without one from their first op on.
    pub fn new(manifest: &Manifest, marks: &[ShardMark]) -> Feed {
        let current = manifest.current().generation;
        let mut logs = Vec::new();
        for layout in &manifest.layouts {
            for (thread, log) in layout.logs.iter().enumerate() {
                logs.push(Followed {
                    log: log.log,
                    thread: (layout.generation == current).then_some(thread),
                    at: Position::START,
                    next: SegmentNumber::NONE,
                    done: false,
                });
            }
        }
        let cursor = |shard| {
            let known = marks.iter().find(|mark| mark.shard == shard).copied();
            Cursor::new(known.unwrap_or(ShardMark {
                shard,
                op: 0,
                chain: 0,
            }))
        };
        Feed {
            logs,
            cursors: (0..manifest.shards).map(cursor).collect(),
            unmarked: 0,
            unmarked_max: limits::FEED_UNMARKED_MAX,
            published: VecDeque::new(),
            parted: VecDeque::new(),
        }
    }

    /// The same feed that remembers fewer hashes: for simulations.
    pub fn remembering(self, hashes: usize) -> Feed {
        Feed {
            unmarked_max: hashes,
            ..self
        }
    }

    /// Whether the log was seen to go through the mark that the feed began with: what lies before it is of the same history then.
    pub fn saw(&self, shard: u16) -> bool {
        self.cursors.get(usize::from(shard)).is_some_and(Cursor::is_seen)
    }

    /// What was handed out of a shard last.
    pub fn cursor(&self, shard: u16) -> Option<ShardMark> {
        self.cursors.get(usize::from(shard)).map(Cursor::last)
    }

    /// Hands out durable records after the cursors, at most a segment's a call. `durable` gives how far the log of a thread is
    /// durable: what lies beyond is not looked at. Records of one shard come in the order of their ops; those of
    /// different shards in no order that means anything.
    pub fn read<F: Files, V>(
        &mut self,
        files: &mut F,
        planted: Planted,
        durable: impl Fn(usize) -> Position,
        mut visit: impl FnMut(&Record<'_>) -> Result<(), V>,
    ) -> Result<Fed, FeedError<V>> {
        if let Some(parted) = self.parted.pop_front() {
            return Err(FeedError::Parted(parted));
        }
        let mut failed = None;
        for at in 0..self.logs.len() {
            if self.logs[at].done {
                continue;
            }
            if self.unmarked >= self.unmarked_max && !self.forget_published() {
                return Ok(Fed::Full);
            }
            // A shard's records of an earlier layout come before those of the current one.
            let earlier = self.logs[at].thread.is_none();
            match self.read_segment(files, planted, at, &durable, &mut visit) {
                Ok(false) if !earlier => {}
                Ok(_) => return Ok(Fed::More),
                // A fault of one thread's log is no reason to leave the others' unread.
                Err(error @ (FeedError::Fault(_) | FeedError::Io(_))) if !earlier => {
                    failed.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        match failed {
            Some(error) => Err(error),
            None => self.all_read().map_err(FeedError::Parted).map(|()| Fed::All),
        }
    }

    /// A shard's follower cannot go on. Its records are passed over from now on, and no mark of it is waited for.
    pub fn stop(&mut self, shard: u16) {
        if let Some(cursor) = self.cursors.get_mut(usize::from(shard)) {
            self.unmarked -= cursor.stop();
        }
    }

    /// Reads on in one log, to a segment's end at most. Says whether there may be more.
    fn read_segment<F: Files, V>(
        &mut self,
        files: &mut F,
        planted: Planted,
        at: usize,
        durable: &impl Fn(usize) -> Position,
        visit: &mut impl FnMut(&Record<'_>) -> Result<(), V>,
    ) -> Result<bool, FeedError<V>> {
        let Followed {
            log,
            thread,
            at: from,
            next,
            ..
        } = self.logs[at];
        let whole = Position::new(SegmentNumber(u32::MAX), 0);
        let upto = thread.map_or(whole, durable);
        let shared = RefCell::new(files);
        let mut all = LogFiles::new(&shared, log).segments().map_err(FeedError::Io)?;
        all.sort_unstable_by_key(|file| file.number);
        let first = all
            .iter()
            .find(|file| file.number >= next && file.number <= upto.segment);
        let Some(&file) = first else {
            self.logs[at].done = thread.is_none();
            return Ok(false);
        };
        let mut source = One {
            files: LogFiles::new(&shared, log),
            file: SegmentFile {
                number: file.number,
                bytes: match file.number == upto.segment {
                    true => file.bytes.min(u64::from(upto.offset)),
                    false => file.bytes,
                },
            },
        };
        // Segments between may have been freed, those that hold nothing but marks at once. What a shard lacks its cursor
        // knows.
        let from = if file.number == from.segment {
            from
        } else {
            Position::START
        };
        let (cursors, unmarked) = (&mut self.cursors, &mut self.unmarked);
        let (published, parted) = (&mut self.published, &mut self.parted);
        let walked = walk_from(
            &mut source,
            log,
            from,
            &mut Chains::lenient(),
            planted,
            |record| {
                let cursor = cursors.get_mut(usize::from(record.shard));
                let cursor = cursor.ok_or(FeedError::Io(io::ErrorKind::InvalidData.into()))?;
                if cursor.is_stopped() {
                    return Ok(());
                }
                let follows = match cursor.follows(&record) {
                    Ok(follows) => follows,
                    // The walk goes on: each shard is told of once, and the others are not held up by it.
                    Err(error) => {
                        *unmarked -= cursor.stop();
                        parted.push_back(error);
                        return Ok(());
                    }
                };
                if follows {
                    visit(&record).map_err(FeedError::Visitor)?;
                    cursor.hand_out(&record);
                    *unmarked += 1;
                }
                published.extend(cursor.claim_reached());
                Ok(())
            },
        );
        let walked = match walked {
            Ok(walked) => walked,
            Err(WalkError::Fault(fault)) => return Err(FeedError::Fault(fault)),
            // What the visitor refused comes again; that a shard has parted is said once.
            Err(WalkError::Stopped(error)) => {
                return Err(self.parted.pop_front().map_or(error, FeedError::Parted));
            }
            // It was freed since it was listed: the follower had said to have all of it.
            Err(WalkError::Read { error, .. }) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            Err(WalkError::Read { error, .. }) => return Err(FeedError::Io(error)),
        };
        let followed = &mut self.logs[at];
        followed.at = walked.end;
        let closed = file.number < upto.segment;
        if !closed && walked.end < upto {
            // Silence here would look like a log without news.
            let text = format!(
                "{} is durable up to offset {}, and can be read up to {}",
                crate::segments::path(log, file.number),
                upto.offset,
                walked.end.offset
            );
            return Err(FeedError::Io(io::Error::other(text)));
        }
        followed.next = if closed { file.number.next() } else { file.number };
        match self.parted.pop_front() {
            Some(parted) => Err(FeedError::Parted(parted)),
            None => Ok(closed),
        }
    }

    /// The follower has the shard durably up to the mark. Give it to the node then, which frees segments and memory by it.
    ///
    /// # Errors
    /// It is not what was handed out: the shard is to be stopped.
    pub fn applied(&mut self, mark: ShardMark) -> Result<(), Parted> {
        let Some(cursor) = self.cursors.get_mut(usize::from(mark.shard)) else {
            return Err(Parted::Gap { mark, given: 0 });
        };
        self.unmarked -= cursor.applied(mark)?;
        Ok(())
    }

    /// The bus has the shard up to the mark. What is believed of it comes out of [`pop_published`](Feed::pop_published): at once if the
    /// feed handed it out, and else when reading comes by. A bus may be ahead of a feed that has just begun, since another one fed it.
    ///
    /// # Errors
    /// It is not what was handed out: the shard is to be stopped.
    pub fn published(&mut self, mark: ShardMark) -> Result<(), Parted> {
        let Some(cursor) = self.cursors.get_mut(usize::from(mark.shard)) else {
            return Err(Parted::Gap { mark, given: 0 });
        };
        let believed = cursor.published(mark)?;
        self.published.extend(believed.then_some(mark));
        Ok(())
    }

    /// The next mark of the bus that was found right. Give it to the node, which lets out by it what waits for the bus.
    pub fn pop_published(&mut self) -> Option<ShardMark> {
        self.published.pop_front()
    }

    /// Makes room by the hashes of published records, so that the bus never finds the feed full because the store is slow. Says whether
    /// there is room then.
    fn forget_published(&mut self) -> bool {
        self.unmarked -= self
            .cursors
            .iter_mut()
            .map(Cursor::forget_published)
            .sum::<usize>();
        self.unmarked < self.unmarked_max
    }

    /// Everything durable was read: a mark of the bus that lies beyond is of a log that this one is not.
    fn all_read(&mut self) -> Result<(), Parted> {
        for cursor in &mut self.cursors {
            match cursor.all_read() {
                Ok(mark) => self.published.extend(mark),
                Err(parted) => {
                    self.unmarked -= cursor.stop();
                    return Err(parted);
                }
            }
        }
        Ok(())
    }
}

/// One segment of a log, as long as it is durable.
struct One<'a, F> {
    files: LogFiles<'a, F>,
    file: SegmentFile,
}

impl<F: Files> SegmentSource for One<'_, F> {
    type Error = io::Error;

    fn segments(&mut self) -> io::Result<Vec<SegmentFile>> {
        Ok(vec![self.file])
    }

    fn read(&mut self, segment: SegmentNumber, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.files.read(segment, offset, out)
    }
}
