//! The feed of durable entries to a backoffice in another process.

use std::sync::Arc;
use std::sync::mpsc as words;
use std::time::Duration;

use tidegate_api::convert::record;
use tidegate_api::pb::{self, to_edge};
use tidegate_follow::Mark;
use tidegate_host::Feeder;
use tokio::sync::oneshot;
use tonic::Status;

use super::link::{self, Link, Session, malformed};
use super::shard_marks;
use super::stats::{Stats, count};

mod flight;
mod lag;
mod pump;

use lag::Lag;
use pump::Pump;

/// The first rest after the backoffice could not be reached.
const REST: Duration = Duration::from_millis(100);
/// The longest.
const REST_MAX: Duration = Duration::from_secs(5);

/// What the backoffice said.
enum Word {
    /// How far the bus has shards.
    Published(Vec<Mark>),
    /// How far the store has shards.
    Applied(Vec<Mark>),
    /// A shard that cannot be followed, and why.
    Stop(u16, String),
}

/// Follows the log to a backoffice, connection after connection.
pub struct Following {
    /// Where it is.
    pub link: Link,
    /// What it is told first.
    pub hello: pb::Hello,
    /// Makes feeds from where the store is.
    pub feeder: Feeder,
    /// What is counted.
    pub stats: Arc<Stats>,
}

/// Why a connection ended.
enum Over {
    /// The process ends.
    End,
    /// A line for the operator.
    Broke(String),
}

impl Following {
    /// Until the other end of `ended` is dropped.
    pub async fn run(self, mut ended: oneshot::Receiver<()>) {
        let mut rest = REST;
        loop {
            let over = tokio::select! {
                _ = &mut ended => return,
                greeted = self.link.hello(self.hello.clone(), None) => match greeted {
                    Ok(session) => {
                        rest = REST;
                        self.follow(session, &mut ended).await
                    }
                    Err(status) => Over::Broke(self.link.line(&status)),
                },
            };
            let Over::Broke(line) = over else { return };
            count(&self.stats.failures);
            tracing::warn!(retry_ms = rest.as_millis() as u64, "the feed: {line}");
            tokio::select! {
                _ = &mut ended => return,
                () = tokio::time::sleep(rest) => {}
            }
            rest = (rest * 2).min(REST_MAX);
        }
    }

    /// One connection, from the welcome to its end.
    async fn follow(&self, session: Session, ended: &mut oneshot::Receiver<()>) -> Over {
        let Session {
            welcome,
            mut incoming,
            outgoing,
        } = session;
        if let Err(line) = link::check_store(&welcome, Some(&self.hello.store)) {
            return Over::Broke(line);
        }
        tracing::info!(store = welcome.store, "the backoffice follows");
        let (published, applied) = (shard_marks(welcome.published), shard_marks(welcome.applied));
        // Without a bus, what the store has is published.
        let published = if published.is_empty() {
            &applied
        } else {
            &published
        };
        let feed = self.feeder.feed_of_bus(published, &applied);
        let (tell, told) = words::channel();
        let pump = Pump::new(
            feed,
            Lag::new(published, &applied),
            outgoing,
            told,
            welcome.window_bytes,
            Arc::clone(&self.stats),
        );
        let (gone, over) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name("feed".into()).spawn(move || {
            pump.run();
            drop(gone);
        });
        let thread = match thread {
            Ok(thread) => thread,
            Err(error) => return Over::Broke(format!("the thread feed: {error}")),
        };
        let listen = async {
            loop {
                match incoming.message().await {
                    Ok(Some(message)) => match heard(message) {
                        Ok(words) => words.into_iter().for_each(|word| _ = tell.send(word)),
                        Err(status) => return self.link.line(&status),
                    },
                    Ok(None) => return "the backoffice has ended the connection".to_owned(),
                    Err(status) => return self.link.line(&status),
                }
            }
        };
        let why = tokio::select! {
            _ = ended => Over::End,
            line = listen => Over::Broke(line),
            _ = over => Over::Broke("the connection takes no more records".to_owned()),
        };
        // Its last words end the thread, and a log has one follower: the next begins when this one is gone.
        drop((tell, incoming));
        _ = tokio::task::spawn_blocking(move || thread.join()).await;
        why
    }
}

/// What a message says.
fn heard(message: pb::ToEdge) -> Result<Vec<Word>, Status> {
    match message.message {
        Some(to_edge::Message::Marks(marks)) => Ok(vec![
            Word::Published(record::marks(marks.published).map_err(malformed)?),
            Word::Applied(record::marks(marks.applied).map_err(malformed)?),
        ]),
        Some(to_edge::Message::Stop(stop)) => match u16::try_from(stop.shard) {
            Ok(shard) => Ok(vec![Word::Stop(shard, stop.why)]),
            Err(_) => Err(malformed(tidegate_api::Malformed("shard"))),
        },
        // A newer backoffice says more.
        Some(to_edge::Message::Welcome(_)) | None => Ok(Vec::new()),
    }
}
