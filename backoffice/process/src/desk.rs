//! Commands to an edge's shards: the edge opens the desk, commands go to it, answers come back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tidegate_api::convert::{command, outcome};
use tidegate_api::pb::{self, desk_answer, desk_command};
use tidegate_backoffice::shards::{Asked, NotDecided, Shards};
use tidegate_shard_core::{Command, Outcome};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use crate::metrics::ApiMetrics;

/// Commands that wait for the connection; a further one is not done.
const WAITING: usize = 1024;
/// How long an answer may take; a shard whose log stands still gives none.
const PATIENCE: Duration = Duration::from_secs(2);

type Decided = Result<Outcome, NotDecided>;
type ToDesk = Result<pb::DeskCommand, Status>;

/// Asks the shards of the edge that opened it last.
#[derive(Debug)]
pub struct Desk {
    line: Mutex<Option<Arc<Line>>>,
    metrics: Arc<ApiMetrics>,
    stopping: CancellationToken,
}

/// One stream.
#[derive(Debug)]
struct Line {
    commands: mpsc::Sender<ToDesk>,
    waiting: Mutex<Waiting>,
    ending: CancellationToken,
}

#[derive(Debug, Default)]
struct Waiting {
    ticket: u64,
    /// No answer comes any more.
    over: bool,
    replies: HashMap<u64, oneshot::Sender<Decided>>,
}

impl Desk {
    /// Nobody has opened it.
    #[must_use]
    pub fn new(metrics: Arc<ApiMetrics>, stopping: CancellationToken) -> Desk {
        Desk {
            line: Mutex::default(),
            metrics,
            stopping,
        }
    }

    /// An edge opens it; the one before is let go, and what it was asked and has not answered is unknown.
    pub fn open(self: &Arc<Desk>, answers: Streaming<pb::DeskAnswer>) -> ReceiverStream<ToDesk> {
        let (commands, stream) = mpsc::channel(WAITING);
        let line = Arc::new(Line {
            commands,
            waiting: Mutex::default(),
            ending: CancellationToken::new(),
        });
        if let Some(before) = lock(&self.line).replace(Arc::clone(&line)) {
            before.ending.cancel();
        }
        self.metrics.desk_connected.set(1);
        tokio::spawn(Arc::clone(self).hear(line, answers));
        ReceiverStream::new(stream)
    }

    /// Takes answers until the stream ends.
    async fn hear(self: Arc<Desk>, line: Arc<Line>, mut answers: Streaming<pb::DeskAnswer>) {
        let status = loop {
            let answer = tokio::select! {
                answer = answers.message() => answer,
                () = line.ending.cancelled() => break Status::aborted("a newer stream has the desk"),
                () = self.stopping.cancelled() => break Status::unavailable("this backoffice is on its way out"),
            };
            let taken = match answer {
                Ok(Some(answer)) => line.take(answer),
                Ok(None) => break Status::cancelled("the edge ended the stream"),
                Err(status) => break status,
            };
            if let Err(status) = taken {
                tracing::error!("an answer of the shards cannot be read: {}", status.message());
                break status;
            }
        };
        {
            let mut current = lock(&self.line);
            if current
                .as_ref()
                .is_some_and(|current| Arc::ptr_eq(current, &line))
            {
                *current = None;
                self.metrics.desk_connected.set(0);
            }
        }
        // Who waits hears that its channel is gone: sent, and not answered.
        line.end();
        _ = line.commands.try_send(Err(status));
    }

    async fn decide(&self, command: Command) -> Decided {
        // Those that have no message are no backoffice's.
        let Ok(body) = command::to_message(&command) else {
            return Err(NotDecided::NotDone);
        };
        let Some(line) = lock(&self.line).clone() else {
            return Err(NotDecided::NotDone);
        };
        let (ticket, answer) = line.send(body)?;
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(decided)) => decided,
            Ok(Err(_)) => Err(NotDecided::Unknown),
            Err(_) => {
                lock(&line.waiting).replies.remove(&ticket);
                Err(NotDecided::Unknown)
            }
        }
    }
}

impl Line {
    /// Sends a command, or says that it was certainly not.
    fn send(&self, body: desk_command::Command) -> Result<(u64, oneshot::Receiver<Decided>), NotDecided> {
        let mut waiting = lock(&self.waiting);
        if waiting.over {
            return Err(NotDecided::NotDone);
        }
        waiting.ticket += 1;
        let ticket = waiting.ticket;
        let command = pb::DeskCommand {
            ticket,
            command: Some(body),
            traceparent: String::new(),
        };
        self.commands
            .try_send(Ok(command))
            .map_err(|_| NotDecided::NotDone)?;
        let (reply, answer) = oneshot::channel();
        waiting.replies.insert(ticket, reply);
        Ok((ticket, answer))
    }

    /// An answer came. One whose command nobody waits for any more is let go.
    fn take(&self, answer: pb::DeskAnswer) -> Result<(), Status> {
        let Some(reply) = lock(&self.waiting).replies.remove(&answer.ticket) else {
            return Ok(());
        };
        let malformed = |why: String| Status::invalid_argument(why);
        let answer = answer
            .answer
            .ok_or_else(|| malformed("an answer without an answer".into()))?;
        let decided = match outcome::from_message(answer).map_err(|error| malformed(error.to_string()))? {
            Ok(outcome) => Ok(outcome),
            Err(desk_answer::Answer::NotDone(_)) => Err(NotDecided::NotDone),
            Err(_) => Err(NotDecided::Unknown),
        };
        // Who asked may have lost patience.
        _ = reply.send(decided);
        Ok(())
    }

    fn end(&self) {
        let mut waiting = lock(&self.waiting);
        waiting.over = true;
        waiting.replies.clear();
    }
}

impl Shards for Desk {
    fn ask(&self, command: Command) -> Asked<'_> {
        Box::pin(async move {
            self.metrics.commands.inc();
            let decided = self.decide(command).await;
            match decided {
                Err(NotDecided::NotDone) => _ = self.metrics.commands_not_done.inc(),
                Err(NotDecided::Unknown) => _ = self.metrics.commands_unknown.inc(),
                Ok(_) => {}
            }
            decided
        })
    }
}

/// Nobody panics while holding one of these.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
