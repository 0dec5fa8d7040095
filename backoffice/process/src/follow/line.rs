//! The thread of a stream: records in, batch after batch, each until it is taken; what came of it is said.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate_follow::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Mark, Record, StoreError};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::seat::Taken;
use super::sink::{self, Sink, SinkFault};
use crate::config::Config;
use crate::metrics::FeedMetrics;

/// Messages of an edge that wait for the thread; the window bounds their bytes.
const CHUNKS: usize = 1024;
/// What the thread says before somebody must have listened.
const SAID: usize = 64;
/// The first wait after a batch was not taken.
const REST: Duration = Duration::from_millis(50);
/// Between two looks, during a wait, whether the stream ends.
const LOOK: Duration = Duration::from_millis(20);

/// Records of one message, with their place in the window.
#[derive(Debug)]
pub(super) struct Chunk {
    pub records: Vec<Record>,
    pub place: Option<OwnedSemaphorePermit>,
    pub came: Instant,
}

/// What the thread says.
#[derive(Debug)]
pub(super) enum Said {
    /// It has opened what records go to.
    Opened(Marks),
    /// The bus has these.
    Published(Vec<Mark>),
    /// The store has these.
    Applied(Vec<Mark>),
    /// A shard cannot be followed.
    Stop {
        /// The shard.
        shard: u16,
        /// Why.
        why: String,
    },
    /// It ended by itself.
    Over(Box<Status>),
}

/// How far everything was when the stream began.
#[derive(Debug)]
pub(super) struct Marks {
    pub name: String,
    pub applied: Vec<Mark>,
    /// Empty without a bus.
    pub published: Vec<Mark>,
    pub has_bus: bool,
}

/// What the thread is made of.
pub(super) struct Line {
    pub config: Arc<Config>,
    pub metrics: Arc<FeedMetrics>,
    pub ending: CancellationToken,
    /// The store's.
    pub name: String,
}

impl Line {
    /// Starts the thread, called `feed`. It has the seat until it ends: soon after `ending`, with the batch under way.
    pub(super) fn start(self, taken: Taken) -> io::Result<(mpsc::Sender<Chunk>, mpsc::Receiver<Said>)> {
        let (chunks, coming) = mpsc::channel(CHUNKS);
        let (say, said) = mpsc::channel(SAID);
        std::thread::Builder::new().name("feed".into()).spawn(move || {
            let over = self.run(coming, &say);
            if let Err(status) = over {
                _ = say.blocking_send(Said::Over(Box::new(status)));
            }
            drop(say);
            drop(taken);
        })?;
        Ok((chunks, said))
    }

    fn run(&self, coming: mpsc::Receiver<Chunk>, say: &mpsc::Sender<Said>) -> Result<(), Status> {
        let mut opened = sink::open(&self.config, &self.name)
            .inspect_err(|status| tracing::error!("the feed cannot be opened: {}", status.message()))?;
        let marks = Marks {
            name: self.name.clone(),
            applied: opened.applied,
            published: opened.published,
            has_bus: !opened.applies,
        };
        if say.blocking_send(Said::Opened(marks)).is_err() {
            return Ok(());
        }
        let publisher = Publisher {
            sink: &mut *opened.sink,
            applies: opened.applies,
            say,
            metrics: &self.metrics,
            ending: &self.ending,
            rest_max: self.config.feed.back_off,
            stopped: BTreeSet::new(),
        };
        publisher.run(coming)
    }
}

/// The thread's loop.
struct Publisher<'a> {
    sink: &'a mut dyn Sink,
    applies: bool,
    say: &'a mpsc::Sender<Said>,
    metrics: &'a FeedMetrics,
    ending: &'a CancellationToken,
    rest_max: Duration,
    stopped: BTreeSet<u16>,
}

impl Publisher<'_> {
    fn run(mut self, mut coming: mpsc::Receiver<Chunk>) -> Result<(), Status> {
        while let Some(first) = coming.blocking_recv() {
            if self.ending.is_cancelled() {
                break;
            }
            let came = first.came;
            let (mut batch, mut places) = (first.records, vec![first.place]);
            let mut bytes = payload_bytes(&batch);
            while batch.len() < BATCH_RECORDS_MAX
                && bytes < BATCH_BYTES_MAX
                && let Ok(next) = coming.try_recv()
            {
                bytes += payload_bytes(&next.records);
                batch.extend(next.records);
                places.push(next.place);
            }
            self.metrics.began(came);
            let all = batch.len();
            if !self.bring_in(batch)? {
                break;
            }
            self.metrics.unpublished.dec_by(all as i64);
            drop(places);
        }
        self.metrics.caught_up();
        Ok(())
    }

    /// Until the batch is taken; false when nobody listens or the stream ends first.
    fn bring_in(&mut self, mut batch: Vec<Record>) -> Result<bool, Status> {
        let mut rest = REST;
        loop {
            batch.retain(|record| !self.stopped.contains(&record.shard));
            if batch.is_empty() {
                return Ok(true);
            }
            let error = match self.sink.take_in(&batch) {
                Ok(()) => return Ok(self.taken(&batch)),
                Err(error) => error,
            };
            match error {
                StoreError::Failed(fault) if fault.ends => return Err(self.over(&fault)),
                StoreError::Failed(fault) => {
                    self.metrics.fault(fault.kind);
                    tracing::warn!(retry_ms = rest.as_millis() as u64, "the feed: {fault}");
                    if !self.rested(rest) {
                        return Ok(false);
                    }
                    rest = (rest * 2).min(self.rest_max);
                }
                other => self.stop(&other),
            }
        }
    }

    fn taken(&self, batch: &[Record]) -> bool {
        let marks = last_marks(batch);
        self.metrics.published.inc_by(batch.len() as u64);
        self.metrics.batches.inc();
        let said = match self.applies {
            true => Said::Applied(marks),
            false => Said::Published(marks),
        };
        self.say.blocking_send(said).is_ok()
    }

    /// A shard that cannot be followed goes no further, and the others do.
    fn stop(&mut self, error: &StoreError<SinkFault>) {
        let Some(shard) = error.shard() else { return };
        tracing::error!(shard, "{error}; the shard is stopped, its orders are refused");
        self.metrics.fault("shard_stopped");
        self.metrics.stopped_shards.inc();
        self.stopped.insert(shard);
        let why = error.to_string();
        _ = self.say.blocking_send(Said::Stop { shard, why });
    }

    fn over(&self, fault: &SinkFault) -> Status {
        self.metrics.fault(fault.kind);
        tracing::error!("the feed: {fault}");
        Status::aborted(fault.line.clone())
    }

    /// Waits; false when the stream ends meanwhile.
    fn rested(&self, rest: Duration) -> bool {
        let until = Instant::now() + rest;
        while Instant::now() < until {
            if self.ending.is_cancelled() {
                return false;
            }
            std::thread::sleep(LOOK.min(rest));
        }
        true
    }
}

fn payload_bytes(records: &[Record]) -> usize {
    records.iter().map(|record| record.payload.len()).sum()
}

/// The last mark of each shard in a batch.
fn last_marks(batch: &[Record]) -> Vec<Mark> {
    let mut marks = std::collections::BTreeMap::new();
    for record in batch {
        marks.insert(record.shard, record.mark());
    }
    marks.into_values().collect()
}

#[cfg(test)]
mod tests;
