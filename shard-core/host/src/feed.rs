//! The feed of a running host, for a store or a bus that follows it from a thread of its own.

use std::path::PathBuf;
use std::sync::Arc;

use tidegate_link::stats::Counter;
use tidegate_log::{Manifest, Planted, Position, Record, ShardMark};
use tidegate_node::{Fed, Feed, FeedError, Parted};
use tidegate_shard_core::ShardId;

use crate::keeper::{Job, Keepers, Mailbox, Notice};
use crate::os_files::OsFiles;
use crate::shared::Shared;

/// Hands out what is durable, and takes the store's marks. Blocking: it reads the segments' files.
#[derive(Debug)]
pub struct HostFeed {
    feed: Feed,
    files: OsFiles,
    shared: Arc<Shared>,
    mailboxes: Vec<Mailbox>,
    keepers: Keepers,
    /// Marks of the store that the log has not heard of yet.
    held: Vec<ShardMark>,
}

/// Makes feeds of a running host, one after the other: a log has one follower.
#[derive(Debug)]
pub struct Feeder {
    pub(crate) data_dir: PathBuf,
    pub(crate) manifest: Manifest,
    pub(crate) shared: Arc<Shared>,
    pub(crate) mailboxes: Vec<Mailbox>,
    pub(crate) keepers: Keepers,
}

impl Feeder {
    /// A feed for a store that has each shard up to its mark, of which the log is told at once.
    pub fn feed(&self, marks: &[ShardMark]) -> HostFeed {
        let mut feed = self.feed_from(marks);
        feed.has_applied(marks);
        feed
    }

    /// A feed for a bus that has each shard up to its mark in `published`, and behind it a store that has those in `applied`: it begins where
    /// the bus is, since the store is behind that.
    pub fn feed_of_bus(&self, published: &[ShardMark], applied: &[ShardMark]) -> HostFeed {
        let mut feed = self.feed_from(published);
        feed.has_applied(applied);
        feed.has_published(published);
        feed
    }

    fn feed_from(&self, marks: &[ShardMark]) -> HostFeed {
        HostFeed {
            feed: Feed::new(&self.manifest, marks),
            files: OsFiles::behind_writers(&self.data_dir),
            shared: Arc::clone(&self.shared),
            mailboxes: self.mailboxes.clone(),
            keepers: self.keepers.clone(),
            held: Vec::new(),
        }
    }
}

impl HostFeed {
    /// The store may have died between a commit and its word of it: what it has is told by whoever follows next.
    fn has_applied(&mut self, marks: &[ShardMark]) {
        let told = marks.iter().filter(|mark| mark.op > 0);
        told.for_each(|mark| self.tell_applied(*mark));
    }

    /// The log hears of a mark once it was seen to go through where this feed began. Before, the store may be of another history, and what it says to have would
    /// free entries that nobody has.
    fn tell_applied(&mut self, mark: ShardMark) {
        match self.feed.saw(mark.shard) {
            true => self.tell(mark),
            false => self.held.push(mark),
        }
    }

    /// What was held back for shards that were seen since; for all of them once everything durable was read, and the node compares what it knows.
    fn tell_held(&mut self, all: bool) {
        let held = std::mem::take(&mut self.held);
        for mark in held {
            match all || self.feed.saw(mark.shard) {
                true => self.tell(mark),
                false => self.held.push(mark),
            }
        }
    }

    /// And so is what the bus has, as far as the log agrees: a shard that it does not agree on is stopped.
    fn has_published(&mut self, marks: &[ShardMark]) {
        let told = marks.iter().filter(|mark| mark.op > 0);
        told.for_each(|mark| _ = self.published(*mark));
    }

    /// Hands out durable records that the store does not have, verbatim, a segment's at most; see [`Feed::read`].
    ///
    /// # Errors
    /// When a shard's history and the store's have parted, that shard is stopped.
    pub fn read<V>(&mut self, visit: impl FnMut(&Record<'_>) -> Result<(), V>) -> Result<Fed, FeedError<V>> {
        let stats = &self.shared.stats;
        let durable = |thread: usize| Position::from_u64(stats[thread].durable_position.get());
        let read = self.feed.read(&mut self.files, Planted::None, durable, visit);
        self.tell_published();
        if let Err(FeedError::Parted(parted)) = &read {
            // What it says to have is not believed.
            let shard = parted.shard();
            self.held.retain(|mark| mark.shard != shard);
            self.part(parted);
        }
        self.tell_held(matches!(read, Ok(Fed::All)));
        read
    }

    /// The store has the mark's shard durably up to its op: log and memory may be freed.
    ///
    /// # Errors
    /// The mark is not of what was handed out; its shard is stopped.
    pub fn applied(&mut self, mark: ShardMark) -> Result<(), Parted> {
        let applied = self.feed.applied(mark);
        match &applied {
            Ok(()) => self.tell_applied(mark),
            Err(parted) => self.part(parted),
        }
        applied
    }

    /// The bus has the mark's shard up to its op: answers that waited for it may leave. It frees nothing, and a mark ahead of what was
    /// handed out is believed when reading comes by. Only for a feed of [`Host::feed_of_bus`](crate::Host::feed_of_bus).
    ///
    /// # Errors
    /// The mark is not of what was handed out; its shard is stopped.
    pub fn published(&mut self, mark: ShardMark) -> Result<(), Parted> {
        let published = self.feed.published(mark);
        self.tell_published();
        if let Err(parted) = &published {
            self.part(parted);
        }
        published
    }

    /// Shard threads hear what the bus has.
    fn tell_published(&mut self) {
        while let Some(mark) = self.feed.pop_published() {
            self.thread_of(mark.shard).tell(Notice::Published(mark));
        }
    }

    /// Shard thread and keepers hear what the store has.
    fn tell(&self, mark: ShardMark) {
        self.thread_of(mark.shard).tell(Notice::Applied(mark));
        let (shard, op) = (ShardId(mark.shard), tidegate_shard_core::Op(mark.op));
        self.keepers.ask(Job::Applied { shard, op });
    }

    fn part(&mut self, parted: &Parted) {
        eprintln!("tidegate: {parted}; the shard is stopped, its orders are refused");
        self.stop_shard(parted.shard());
    }

    /// The store cannot follow a shard any more: it takes no further orders, until a start.
    pub fn stop_shard(&mut self, shard: u16) {
        self.feed.stop(shard);
        self.thread_of(shard).tell(Notice::StopShard(ShardId(shard)));
    }

    fn thread_of(&self, shard: u16) -> &Mailbox {
        &self.mailboxes[self.shared.thread_of(ShardId(shard))]
    }
}

/// Shows a position to other threads.
pub(crate) fn publish(figure: &Counter, position: Position) {
    figure.set(position.to_u64());
}
