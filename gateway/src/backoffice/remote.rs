//! A backoffice in a process of its own, over gRPC. The edge dials.
//!
//! Nothing that an order waits for is here: the log is what is owed, and a backoffice that is away gets it when it is back.

mod desk;
mod exchange;
mod feed;
mod link;
mod stats;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate_api::{VERSION, pb};
use tidegate_log::ShardMark;
use tokio::runtime::Runtime;

use super::fed;
use super::giving_way::giving_way;
use crate::config::Config;
use crate::serve::{Backoffice, Behind, EndBackoffice};
use exchange::Forward;
use feed::Following;
use link::{Link, Welcome};
use stats::Stats;

/// Threads of the runtime: it moves messages, and waits.
const WORKERS: usize = 2;
/// How long what is under way may take at the end.
const LAST_WORK: Duration = Duration::from_secs(5);
/// Between two tries to reach the backoffice at a start.
const RETRY: Duration = Duration::from_millis(250);

/// Asks the backoffice what its store has.
///
/// # Errors
/// A line: what is configured cannot be used, the backoffice has another store, or it does not answer and the data directory has never fed
/// one.
pub fn open(config: &Config) -> Result<Backoffice, String> {
    let remote = config.remote.as_ref().ok_or("backoffice.mode is not remote")?;
    let runtime = giving_way(runtime)?;
    let link = {
        // Its connections are made by tasks.
        let _runtime = runtime.enter();
        Link::new(remote)?
    };
    let manifest = fed::manifest(&config.server.data)?;
    let fed = fed::store(&config.server.data)?;
    let hello = pb::Hello {
        version: VERSION,
        shards: manifest
            .map_or(config.shards.count, |manifest| manifest.shards)
            .into(),
        store: fed.clone().unwrap_or_default(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let answer = runtime.block_on(greet(&link, &hello, remote.start_wait));
    let (store, marks) = match (answer, fed) {
        (Ok(welcome), fed) => {
            link::check_store(&welcome, fed.as_deref())?;
            (
                welcome.store,
                welcome
                    .applied
                    .into_iter()
                    .map(super::follow::shard_mark)
                    .collect(),
            )
        }
        (Err(Unmet::Refused(line)), _) => return Err(line),
        (Err(Unmet::Away(line)), Some(fed)) => {
            tracing::warn!("{line}; serving, and comparing the log with its store later");
            (fed, Vec::new())
        }
        (Err(Unmet::Away(line)), None) => {
            return Err(format!(
                "{line}; the first start of a data directory needs it: start `tidegate-backoffice`, or set backoffice.address"
            ));
        }
    };
    let link = link.of_store(&store)?;
    let stats = Arc::new(Stats::new());
    let shown = Arc::clone(&stats);
    let hello = pb::Hello {
        store: store.clone(),
        ..hello
    };
    Ok(Backoffice {
        store,
        marks,
        feed: Some(Arc::new(move || shown.figures())),
        start: Box::new(move |behind| start(runtime, link, hello, stats, behind)),
    })
}

fn runtime() -> Result<Runtime, String> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("backoffice")
        .enable_all()
        .build()
        .map_err(|error| format!("the backoffice: {error}; raise TasksMax (systemd), or ulimit -u"))
}

/// Why there is no welcome.
enum Unmet {
    /// Nobody answers.
    Away(String),
    /// It answered, and will not have this edge.
    Refused(String),
}

/// Says hello until it is answered, as long as a start waits.
async fn greet(link: &Link, hello: &pb::Hello, patience: Duration) -> Result<Welcome, Unmet> {
    let until = Instant::now() + patience;
    let mut told = false;
    loop {
        // A first look is worth a moment, however short the wait.
        let left = until.saturating_duration_since(Instant::now()).max(RETRY);
        match link.hello(hello.clone(), Some(left)).await {
            Ok(session) => return Ok(session.welcome),
            Err(status) if link::is_refusal(&status) => {
                return Err(Unmet::Refused(link.line(&status)));
            }
            Err(status) => {
                if Instant::now() >= until {
                    return Err(Unmet::Away(link.line(&status)));
                }
                if !std::mem::replace(&mut told, true) {
                    tracing::info!("waiting for the backoffice: {}", link.line(&status));
                }
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

fn start(
    runtime: Runtime,
    link: Link,
    hello: pb::Hello,
    stats: Arc<Stats>,
    behind: Behind<'_>,
) -> Result<EndBackoffice, String> {
    let feeder = behind.host.feeder().ok_or("the shards have ended")?;
    let hello = pb::Hello {
        shards: behind.host.shards().into(),
        ..hello
    };
    runtime.spawn(behind.lane.serve(Forward::new(&link)));
    runtime.spawn(desk::serve(link.clone(), behind.desk));
    let following = Following {
        link,
        hello,
        feeder,
        stats,
    };
    let (end, ended) = tokio::sync::oneshot::channel();
    let follow = runtime.spawn(following.run(ended));
    Ok(Box::new(move || {
        // The feed's thread lets go of the host before the host stops.
        drop(end);
        _ = runtime.block_on(async { tokio::time::timeout(LAST_WORK, follow).await });
        runtime.shutdown_timeout(LAST_WORK);
    }))
}

/// Marks of a message, as the log knows them.
fn shard_marks(marks: Vec<tidegate_follow::Mark>) -> Vec<ShardMark> {
    marks.into_iter().map(super::follow::shard_mark).collect()
}
