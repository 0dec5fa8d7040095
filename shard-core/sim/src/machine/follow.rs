//! The store's side: the production follower between the machine's feed and a simulated store.

use std::cell::Cell;
use std::rc::Rc;

use tidegate_follow::{Fed, Follower, Mark, Record, Source, Turn};
use tidegate_log::{Manifest, Planted, ShardMark};
use tidegate_node::{Fed as NodeFed, Feed, FeedError};

use super::Thread;
use crate::audit::Audit;
use crate::bus::Bus;
use crate::disk::Disk;
use crate::plan::{MS, Plan};
use crate::queue::Live;
use crate::store::{Store, Trouble, shard_mark};
use crate::world::{Broken, World};

/// Who follows the log in one life of the store's side. What it has under way dies with it.
pub struct Following {
    pub(super) feed: Feed,
    follower: Follower,
    /// What the log was told of each shard in this life of the machine; its keepers remove old logs by it.
    told: Vec<u64>,
    /// What is under way to the bus.
    pub(super) batch: Vec<Record>,
    /// How far the store's side has read each partition of the bus.
    read: Vec<Mark>,
}

impl Following {
    /// Made from what the store has, and the bus.
    pub(super) fn new(
        plan: &Plan,
        manifest: &Manifest,
        store: &Store,
        bus: Option<&Bus>,
    ) -> Result<Following, Broken> {
        let mut feed = Feed::new(manifest, &store.shard_marks());
        if let (Some(plan), Some(bus)) = (&plan.bus, bus) {
            let marks: Vec<ShardMark> = bus.marks().filter(|mark| mark.op > 0).map(shard_mark).collect();
            feed = Feed::new(manifest, &marks).remembering(plan.hashes);
            for mark in marks {
                let believed = feed.published(mark);
                believed.map_err(|parted| format!("a new feed does not believe the bus: {parted}"))?;
            }
        }
        Ok(Following {
            feed,
            follower: Follower::with(plan.batch, plan.follow_planted()),
            told: vec![0; usize::from(plan.shards)],
            batch: Vec::new(),
            read: (0..plan.shards).map(|shard| store.mark(shard)).collect(),
        })
    }

    /// A mark that the store does not have is refused.
    pub(super) fn refuses(&mut self, mark: ShardMark) -> bool {
        self.feed.applied(mark).is_err()
    }
}

impl World {
    /// The store follows what has become durable, and the log hears of it a while later.
    pub(crate) fn follow(&mut self) -> Result<(), Broken> {
        let Some(machine) = &mut self.machine else {
            return Ok(());
        };
        self.audit.read_logs(&self.disk, &machine.manifest)?;
        let turns = if self.store.calm {
            u64::MAX
        } else {
            self.rng.between(1, 6)
        };
        for _ in 0..turns {
            if !self.store_turn()? {
                break;
            }
        }
        self.remove_old_logs()
    }

    /// One turn of the follower; true: there may be more.
    fn store_turn(&mut self) -> Result<bool, Broken> {
        let Some(machine) = &mut self.machine else {
            return Ok(false);
        };
        let Following {
            feed, follower, read, ..
        } = &mut machine.following;
        let mut end = LogEnd {
            feed,
            disk: &mut self.disk,
            threads: &machine.threads,
            audit: &self.audit,
            planted: self.plan.open_config(3, 0).log_planted,
            died: self.store.died(),
            fed: &mut self.figures.fed,
            told: Vec::new(),
            broken: None,
            bus: self.bus.as_ref(),
            read,
        };
        let (rng, interrupted) = (&mut self.rng, if self.store.calm { 0 } else { 5 });
        let turn = follower.turn(&mut end, &mut self.store, |_| !rng.percent(interrupted));
        let (told, broken) = (end.told, end.broken);
        if let Some(broken) = broken.or_else(|| self.store.take_broken()) {
            return Err(broken);
        }
        self.tell(told)?;
        if self.store.died().get() {
            return self.store_side_died().map(|()| false);
        }
        self.came_to(turn)
    }

    /// Marks left the store's side: only what is committed may, and no mark goes back.
    fn tell(&mut self, told: Vec<Mark>) -> Result<(), Broken> {
        for mark in told {
            let has = self.store.mark(mark.shard);
            if mark.op > has.op {
                return Err(format!("the log was told of {mark:?}, and the store has {has:?}"));
            }
            let before = &mut self.running().following.told[usize::from(mark.shard)];
            if *before > mark.op {
                return Err(format!("the log was told of op {before} before {mark:?}"));
            }
            *before = mark.op;
            let delay = self.rng.between(1, 100) * MS;
            self.plan_live(delay, Live::Applied(shard_mark(mark)));
        }
        Ok(())
    }

    /// The process of the store's side ended in the midst of a transaction, and sometimes it was the machine's.
    fn store_side_died(&mut self) -> Result<(), Broken> {
        self.trace(|| "the store's side died".to_owned());
        self.store.revive();
        if self.rng.percent(30) {
            let power_loss = self.rng.percent(50);
            self.halt(power_loss);
            return Ok(());
        }
        let machine = self.machine.as_mut().expect("it followed");
        let told = std::mem::take(&mut machine.following.told);
        machine.following = Following {
            told,
            ..Following::new(&self.plan, &machine.manifest, &self.store, self.bus.as_ref())?
        };
        self.tell_what_the_store_has()
    }

    /// Who follows anew says first what the store has: whoever did before may have died after a commit.
    pub(super) fn tell_what_the_store_has(&mut self) -> Result<(), Broken> {
        let shards = 0..self.plan.shards;
        let marks = shards.map(|shard| self.store.mark(shard));
        self.tell(marks.filter(|mark| mark.op > 0).collect())
    }

    /// What a turn came to; true: there may be more.
    fn came_to(&mut self, turn: Turn<Trouble>) -> Result<bool, Broken> {
        match turn.refused {
            None => {}
            Some(refused) if refused.shard().is_none() && !self.store.calm => return Ok(false),
            Some(refused) => return Err(format!("the store refuses a batch: {refused}")),
        }
        match turn.log {
            Ok(Fed::More) => Ok(true),
            Ok(Fed::Full) => Err("a short run fills the feed".to_owned()),
            Ok(Fed::All) => self.caught_up().map(|()| false),
            Err(line) => Err(format!("the feed: {line}")),
        }
    }

    /// Everything durable was handed out and is in the store.
    fn caught_up(&mut self) -> Result<(), Broken> {
        if let Some(bus) = &self.bus {
            let behind = bus.marks().find(|mark| self.store.mark(mark.shard) != *mark);
            return match behind {
                Some(mark) => Err(format!("{mark:?} is published, and the store has less")),
                None => Ok(()),
            };
        }
        let marks = self.audit.marks();
        let feed = &self.running().following.feed;
        if let Some(mark) = marks.iter().find(|mark| feed.cursor(mark.shard) != Some(**mark)) {
            let fed = feed.cursor(mark.shard);
            return Err(format!("the feed gave {fed:?}, and {mark:?} is durable"));
        }
        let behind = |mark: &&ShardMark| shard_mark(self.store.mark(mark.shard)) != **mark;
        match marks.iter().find(behind) {
            Some(mark) => Err(format!("{mark:?} was handed out, and the store has less")),
            None => Ok(()),
        }
    }

    /// Removes the logs of earlier layouts of which the store has everything, as far as the log was told.
    fn remove_old_logs(&mut self) -> Result<(), Broken> {
        self.risk();
        let Some(machine) = &mut self.machine else {
            return Ok(());
        };
        let told = &machine.following.told;
        let removed = machine
            .old_logs
            .remove_applied(&mut self.disk, &mut machine.manifest, |shard| {
                told[usize::from(shard)]
            });
        // A full disk: they are removed when there is room for the new manifest.
        if self.came_to_a_stop() || self.disk.room_bytes.is_some() {
            return Ok(());
        }
        removed.map_err(|error| error.to_string())
    }

    /// Nothing is owed to the store any more: neither rows nor logs that were kept for it.
    pub(crate) fn check_drained(&mut self) -> Result<(), Broken> {
        self.caught_up()?;
        if let Some(bus) = &self.bus {
            let marks = self.audit.marks();
            let behind = marks
                .iter()
                .find(|mark| shard_mark(bus.mark(mark.shard)) != **mark);
            if let Some(mark) = behind {
                return Err(format!(
                    "{mark:?} is durable, and the bus has {:?}",
                    bus.mark(mark.shard)
                ));
            }
        }
        let machine = self.running();
        match machine.old_logs.is_empty() && machine.following.follower.is_empty() {
            true => Ok(()),
            false => Err("the store has everything, and something is still kept for it".to_owned()),
        }
    }
}

/// The log's end of the feed, as the host has it.
struct LogEnd<'a> {
    feed: &'a mut Feed,
    disk: &'a mut Disk,
    threads: &'a [Thread],
    audit: &'a Audit,
    planted: Planted,
    died: Rc<Cell<bool>>,
    fed: &'a mut u64,
    told: Vec<Mark>,
    broken: Option<Broken>,
    /// The store reads from there, if there is one, and how far it has read.
    bus: Option<&'a Bus>,
    read: &'a mut [Mark],
}

/// Why a read was broken off.
#[derive(Debug)]
pub(super) enum Off {
    BatchFull,
    Broken(Broken),
}

impl Source for LogEnd<'_> {
    fn read(&mut self, take: &mut dyn FnMut(&dyn Fn() -> Record) -> bool) -> Result<Fed, String> {
        if let Some(bus) = self.bus {
            return Ok(read_bus(bus, self.read, self.fed, take));
        }
        let (threads, audit, fed) = (self.threads, self.audit, &mut *self.fed);
        let durable = |thread: usize| threads[thread].node.appender().durable_upto();
        let read = self.feed.read(self.disk, self.planted, durable, |record| {
            audit.fed(record).map_err(Off::Broken)?;
            let copy = || Record {
                shard: record.shard,
                op: record.op,
                previous: record.previous,
                chain: record.chain,
                payload: record.payload.into(),
            };
            if !take(&copy) {
                return Err(Off::BatchFull);
            }
            *fed += 1;
            Ok(())
        });
        let broken = match read {
            Ok(NodeFed::All) => return Ok(Fed::All),
            Ok(NodeFed::More) | Err(FeedError::Visitor(Off::BatchFull)) => return Ok(Fed::More),
            Ok(NodeFed::Full) => return Ok(Fed::Full),
            Err(FeedError::Visitor(Off::Broken(broken))) => broken,
            Err(FeedError::Parted(parted)) => format!("the feed stops a shard: {parted}"),
            Err(FeedError::Fault(fault)) => format!("the feed: {fault}"),
            Err(FeedError::Io(error)) => format!("the feed: {error}"),
        };
        self.broken.get_or_insert(broken.clone());
        Err(broken)
    }

    fn applied(&mut self, mark: Mark) -> Result<(), String> {
        if self.died.get() {
            return Ok(());
        }
        self.told.push(mark);
        let believed = self.feed.applied(shard_mark(mark));
        believed.map_err(|parted| {
            let broken = format!("the feed does not believe the store: {parted}");
            self.broken.get_or_insert(broken.clone());
            broken
        })
    }

    /// The turn says which and why, and the run ends with it.
    fn stop_shard(&mut self, _shard: u16) {}
}

/// What is published after what was read, to the store's side.
fn read_bus(
    bus: &Bus,
    read: &mut [Mark],
    fed: &mut u64,
    take: &mut dyn FnMut(&dyn Fn() -> Record) -> bool,
) -> Fed {
    for mark in read {
        for record in &bus.partition(mark.shard)[mark.op as usize..] {
            if !take(&|| record.clone()) {
                return Fed::More;
            }
            *mark = record.mark();
            *fed += 1;
        }
    }
    Fed::All
}
