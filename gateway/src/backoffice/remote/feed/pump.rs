//! The thread that reads the log for one connection.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use tidegate_api::pb::{self, from_edge};
use tidegate_follow::{Fed, Mark, Record, Source as _};
use tidegate_host::HostFeed;
use tokio::sync::mpsc::Sender;

use super::Word;
use super::flight::Flight;
use super::lag::Lag;
use crate::backoffice::follow::{HostSource, shard_mark};
use crate::backoffice::remote::stats::{Stats, count};

/// How long it rests when everything durable is on its way: what is acknowledged only once it is published waits for this as well.
const REST: Duration = Duration::from_millis(5);
/// How long it rests after the log could not be read.
const BACK_OFF: Duration = Duration::from_secs(1);
/// Records in a message at most.
const RECORDS_MAX: usize = 1024;
/// Bytes of entries in a message, past which it takes no more; a message may have 4 MiB.
const BYTES_MAX: usize = 256 << 10;
/// Bytes on their way, should a backoffice have no opinion.
const WINDOW_MIN: u64 = 64 << 10;

/// Reads, sends, and tells the log what the backoffice said.
pub struct Pump {
    source: HostSource,
    out: Sender<pb::FromEdge>,
    told: Receiver<Word>,
    window: u64,
    /// Until they are published: the window.
    publishing: Flight,
    lag: Lag,
    stats: Arc<Stats>,
}

/// The connection is over.
struct Over;

impl Pump {
    pub fn new(
        feed: HostFeed,
        lag: Lag,
        out: Sender<pb::FromEdge>,
        told: Receiver<Word>,
        window: u64,
        stats: Arc<Stats>,
    ) -> Pump {
        Pump {
            source: HostSource(feed),
            out,
            told,
            window: window.max(WINDOW_MIN),
            publishing: Flight::default(),
            lag,
            stats,
        }
    }

    /// Until the connection is over.
    pub fn run(mut self) {
        while self.turn().is_ok() {}
    }

    fn turn(&mut self) -> Result<(), Over> {
        loop {
            match self.told.try_recv() {
                Ok(word) => self.hear(word),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Err(Over),
            }
        }
        if self.publishing.bytes() >= self.window {
            return self.rest(REST);
        }
        let (records, read) = self.read();
        if !records.is_empty() {
            count(&self.stats.batches);
            let message = pb::FromEdge {
                message: Some(from_edge::Message::Records(pb::Records { records })),
            };
            self.out.blocking_send(message).map_err(|_| Over)?;
        }
        match read {
            Ok(Fed::More) => Ok(()),
            Ok(Fed::Full) => self.rest(REST),
            Ok(Fed::All) => {
                if self.lag.is_over() {
                    self.stats.caught_up();
                }
                self.rest(REST)
            }
            Err(line) => {
                count(&self.stats.failures);
                tracing::error!("the feed: {line}");
                self.rest(BACK_OFF)
            }
        }
    }

    /// Waits for a word, so long at most.
    fn rest(&mut self, long: Duration) -> Result<(), Over> {
        match self.told.recv_timeout(long) {
            Ok(word) => {
                self.hear(word);
                Ok(())
            }
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => Err(Over),
        }
    }

    /// As many records as a message takes, and how far the read came.
    fn read(&mut self) -> (Vec<pb::Record>, Result<Fed, String>) {
        let (mut records, mut bytes) = (Vec::new(), 0);
        let (publishing, lag) = (&mut self.publishing, &mut self.lag);
        let read = self.source.read(&mut |record: &dyn Fn() -> Record| {
            if records.len() >= RECORDS_MAX || bytes >= BYTES_MAX {
                return false;
            }
            let record = record();
            bytes += record.payload.len();
            publishing.went(record.mark(), record.payload.len());
            lag.sent(record.shard, record.op);
            records.push(record.into());
            true
        });
        (records, read)
    }

    fn hear(&mut self, word: Word) {
        match word {
            Word::Published(marks) => marks.into_iter().for_each(|mark| self.published(mark)),
            Word::Applied(marks) => marks.into_iter().for_each(|mark| self.applied(mark)),
            Word::Stop(shard, why) => {
                tracing::error!(shard, "{why}; the shard is stopped, its orders are refused");
                self.source.stop_shard(shard);
                self.stopped(shard);
            }
        }
    }

    /// The bus has it: answers that waited for that leave.
    fn published(&mut self, mark: Mark) {
        self.publishing.arrived(mark);
        if let Err(parted) = self.source.0.published(shard_mark(mark)) {
            self.parted(mark.shard, &parted.to_string());
        }
    }

    /// What the store has was published as well, or there is no bus before it, and it outlives this machine.
    fn applied(&mut self, mark: Mark) {
        self.published(mark);
        let records = self.lag.applied(mark.shard, mark.op);
        self.stats.applied.fetch_add(records, Ordering::Relaxed);
        if let Err(line) = self.source.applied(mark) {
            self.parted(mark.shard, &line);
        }
    }

    /// The log has stopped the shard.
    fn parted(&mut self, shard: u16, line: &str) {
        tracing::error!(shard, "the feed: {line}");
        self.stopped(shard);
    }

    fn stopped(&mut self, shard: u16) {
        count(&self.stats.stopped_shards);
        self.publishing.forget(shard);
        self.lag.forget(shard);
    }
}
