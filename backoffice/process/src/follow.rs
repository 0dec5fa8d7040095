//! The feed's end in this process: an edge says hello, is told from where to go on, and sends entries; marks go back.
//!
//! The edge's stream decides who owns its shards here: the newest stream has the [`Seat`], and opens a bus of its own, which fences whoever
//! published before. What blocks (Kafka, MySQL) is on one thread a stream ([`line`]).

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate_api::pb::{self, from_edge, to_edge};
use tidegate_mysql::Reader;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use crate::config::{Config, Role};
use crate::health::{Health, Severity};
use crate::metrics::FeedMetrics;

mod back_off;
mod hello;
mod intake;
mod line;
mod outlet;
mod progress;
mod seat;
mod sink;

use back_off::BackOff;
use line::{Line, Said};
use outlet::Outlet;
use seat::{Seat, Taken};
pub(crate) use sink::kind;

/// Messages to an edge that wait for its connection.
pub(crate) const OUT: usize = 64;
/// How long the last word to an edge may take.
const LAST_WORD: Duration = Duration::from_secs(1);
/// Between two looks at a store that could not be read; a line is logged for the first alone.
const UNREADABLE: Duration = Duration::from_millis(500);
/// How long an edge may take to say hello.
const HELLO: Duration = Duration::from_secs(10);

/// What goes to an edge.
pub type ToEdge = Result<pb::ToEdge, Status>;

/// The role `feed`.
#[derive(Debug)]
pub struct FeedRole {
    config: Arc<Config>,
    reader: Reader,
    seat: Seat,
    back_off: BackOff,
    metrics: Arc<FeedMetrics>,
    health: Arc<Health>,
    stopping: CancellationToken,
}

impl FeedRole {
    /// A role that takes streams until `stopping`.
    ///
    /// # Errors
    /// The store's settings cannot be used: a line.
    pub fn new(
        config: Arc<Config>,
        metrics: Arc<FeedMetrics>,
        health: Arc<Health>,
        stopping: CancellationToken,
    ) -> Result<FeedRole, String> {
        let reader = Reader::new(config.mysql.clone()).map_err(|error| error.to_string())?;
        Ok(FeedRole {
            back_off: BackOff::new(config.feed.back_off),
            config,
            reader,
            seat: Seat::default(),
            metrics,
            health,
            stopping,
        })
    }

    /// Serves one stream to its end, which it tells the edge.
    pub async fn serve(&self, inbound: Streaming<pb::FromEdge>, out: mpsc::Sender<ToEdge>) {
        let status = match self.greet(inbound, &out).await {
            Ok(status) | Err(status) => status,
        };
        tracing::info!(code = ?status.code(), "a stream of entries ended: {}", status.message());
        // Who does not listen any more has ended it, or hears it from the transport.
        _ = tokio::time::timeout(LAST_WORD, out.send(Err(status))).await;
    }

    /// From the hello to the seat. An edge that is refused leaves the one that is served alone.
    async fn greet(
        &self,
        mut inbound: Streaming<pb::FromEdge>,
        out: &mpsc::Sender<ToEdge>,
    ) -> Result<Status, Status> {
        let hello = tokio::time::timeout(HELLO, inbound.message())
            .await
            .map_err(|_| Status::deadline_exceeded("no hello within 10 s"))??;
        let Some(from_edge::Message::Hello(hello)) = hello.and_then(|message| message.message) else {
            return Err(Status::invalid_argument("a stream begins with a hello"));
        };
        hello::of_this_version(&hello, self.config.shards)?;
        let name = sink::store_name(self.config.mysql.clone())
            .await
            .inspect_err(|status| self.down(status))?;
        hello::of_this_store(&hello, &name)?;
        let taken = self.seat.take().await?;
        self.back_off.wait(&taken, &self.stopping).await?;
        tracing::info!(program = hello.program, store = name, "an edge follows");
        self.metrics.streams.inc();
        let begun = Instant::now();
        let status = self.feed(inbound, out, taken, name).await;
        self.metrics.streams.dec();
        self.back_off.ended(begun.elapsed());
        Ok(status)
    }

    /// From the welcome on.
    async fn feed(
        &self,
        inbound: Streaming<pb::FromEdge>,
        out: &mpsc::Sender<ToEdge>,
        taken: Taken,
        name: String,
    ) -> Status {
        let ending = taken.over();
        let line = Line {
            config: Arc::clone(&self.config),
            metrics: Arc::clone(&self.metrics),
            ending: ending.clone(),
            name: name.clone(),
        };
        let (chunks, mut said) = match line.start(taken) {
            Ok(running) => running,
            Err(error) => return Status::internal(format!("no thread for the stream: {error}")),
        };
        let opened = match said.recv().await {
            Some(Said::Opened(opened)) => opened,
            Some(Said::Over(status)) => {
                self.down(&status);
                return *status;
            }
            _ => return Status::internal("the stream's thread ended before it began"),
        };
        self.health.clear(Role::Feed);
        let mut outlet = Outlet::new(out.clone(), ending.clone());
        let mut progress = progress::Progress::new(&opened);
        let welcome = pb::Welcome {
            store: name,
            applied: opened.applied.into_iter().map(Into::into).collect(),
            window_bytes: self.config.grpc.window_bytes.into(),
            published: opened.published.into_iter().map(Into::into).collect(),
        };
        outlet.send(to_edge::Message::Welcome(welcome)).await;
        let reading = async {
            let status = tokio::select! {
                status = intake::read(inbound, chunks, &self.config, &self.metrics) => status,
                () = ending.cancelled() => Status::aborted("a newer stream of this store goes on"),
                () = self.stopping.cancelled() => Status::unavailable("this backoffice is on its way out"),
            };
            ending.cancel();
            status
        };
        let telling = async {
            let last = self.tell(&mut said, &mut outlet, &mut progress).await;
            let by_itself = !ending.is_cancelled();
            ending.cancel();
            last.or_else(|| by_itself.then(|| Status::internal("the stream's thread ended: see the log")))
        };
        let (status, last) = tokio::join!(reading, telling);
        self.metrics.unpublished.set(0);
        last.unwrap_or(status)
    }

    /// Bus or store cannot be opened: no stream is served now.
    fn down(&self, status: &Status) {
        self.metrics.fault("open");
        self.health.set(Role::Feed, Severity::Down, status.message());
    }

    /// Tells the edge what the thread says and how far the store is, until the thread has ended. Gives why it ended, if it did by itself.
    async fn tell(
        &self,
        said: &mut mpsc::Receiver<Said>,
        outlet: &mut Outlet,
        progress: &mut progress::Progress,
    ) -> Option<Status> {
        let mut look = tokio::time::interval(self.config.feed.marks);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut unreadable = false;
        // Under way beside everything else: a store that does not answer holds back no mark of the bus.
        let mut asked = None;
        loop {
            let ask = progress.is_behind();
            self.metrics.set_unapplied(progress.unapplied());
            tokio::select! {
                next = said.recv() => match next? {
                    Said::Published(marks) => {
                        let moved = progress.published(&marks);
                        outlet.marks(moved, Vec::new()).await;
                    }
                    Said::Applied(marks) => {
                        progress.published(&marks);
                        progress.applied(&marks);
                        outlet.marks(marks.clone(), marks).await;
                    }
                    Said::Stop { shard, why } => {
                        self.health.set(Role::Feed, Severity::Degraded, why.clone());
                        let shard = shard.into();
                        outlet.send(to_edge::Message::Stop(pb::StopShard { shard, why })).await;
                    }
                    Said::Over(status) => return Some(*status),
                    Said::Opened(_) => {}
                },
                _ = look.tick(), if ask && asked.is_none() => asked = Some(Box::pin(self.reader.marks())),
                read = async { asked.as_mut().expect("it is asked").await }, if asked.is_some() => {
                    asked = None;
                    match read {
                        Ok(store) if store.name != progress.name() => {
                            return Some(Status::aborted(format!("the store is {} now, and was {}", store.name, progress.name())));
                        }
                        Ok(store) => {
                            unreadable = false;
                            let moved = progress.applied(&store.marks);
                            // A store may have a batch before the thread has said that its transaction committed.
                            let published = progress.published(&moved);
                            outlet.marks(published, moved).await;
                        }
                        Err(error) => {
                            self.metrics.fault("store_unreadable");
                            if !std::mem::replace(&mut unreadable, true) {
                                tracing::warn!("how far the store is cannot be read: {error}; it is tried again");
                            }
                            look.reset_after(UNREADABLE.max(self.config.feed.marks));
                        }
                    }
                }
            }
        }
    }
}
