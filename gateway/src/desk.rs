//! The way from tasks to the shards: a thread with a port of its own, which sleeps until it is asked.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

use tidegate_host::{Answer, Event, NetPort, Request};
use tidegate_link::Bell;
use tidegate_shard_core::{Command, Outcome, PutSku, Refusal, SkuName, SkuView, home_shard};
use tokio::sync::oneshot;

use crate::worker::clock;

/// Commands that wait for the thread: those of an import and of the payments under way, and some by hand.
const WAITING: usize = 1024;
/// How long an answer may take; a shard whose log stands still gives none.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often the thread looks whether the process ends, should nobody ring.
const LOOK: Duration = Duration::from_secs(10);

/// Asks the shards; may be cloned.
#[derive(Clone)]
pub struct Desk {
    asks: SyncSender<Ask>,
    bell: Arc<Bell>,
}

struct Ask {
    command: Command,
    reply: oneshot::Sender<Answer>,
}

/// Why a command has no answer.
#[derive(Debug, PartialEq, Eq)]
pub enum DeskError {
    /// There is no such SKU.
    UnknownSku(SkuName),
    /// The shard refused, or was not asked, or did not answer; in words.
    Failed(String),
}

impl Desk {
    /// Starts the thread, called `desk`. It ends when the desk and its clones are gone.
    ///
    /// # Errors
    /// The thread cannot be made.
    pub fn start(port: NetPort) -> io::Result<Desk> {
        let (asks, asked) = sync_channel(WAITING);
        let bell = port.bell();
        std::thread::Builder::new()
            .name("desk".into())
            .spawn(move || serve(port, &asked))?;
        Ok(Desk { asks, bell })
    }

    /// Pauses or resumes the sale of a SKU. Durable when it is answered; doing it twice is doing it once.
    ///
    /// # Errors
    /// See [`DeskError`].
    pub async fn pause(&self, sku: SkuName, paused: bool) -> Result<SkuView, DeskError> {
        let put = PutSku {
            paused: Some(paused),
            ..PutSku::new(sku)
        };
        self.sku(sku, Command::PutSku(Box::new(put))).await
    }

    /// Reads a SKU, exactly.
    ///
    /// # Errors
    /// See [`DeskError`].
    pub async fn read(&self, sku: SkuName) -> Result<SkuView, DeskError> {
        self.sku(sku, Command::ReadSku { sku }).await
    }

    async fn sku(&self, sku: SkuName, command: Command) -> Result<SkuView, DeskError> {
        match self.ask(command).await? {
            Answer::Decided(Outcome::Sku(view)) => Ok(*view),
            // A SKU that is to be made needs a name and a price; here nobody means to make one.
            Answer::Decided(Outcome::Refused(Refusal::UnknownSku { .. } | Refusal::MissingFields(_))) => {
                Err(DeskError::UnknownSku(sku))
            }
            other => Err(DeskError::Failed(format!("the shard did not do it: {other:?}"))),
        }
    }

    /// As [`ask`](Self::ask), by what may be done about it.
    ///
    /// # Errors
    /// See [`Undecided`].
    pub async fn decide(&self, command: Command) -> Result<Outcome, Undecided> {
        match self.ask(command).await {
            Ok(Answer::Decided(outcome)) => Ok(outcome),
            Ok(Answer::Shed) => Err(Undecided::NotDone),
            Ok(Answer::Unavailable(why)) if why.reserved() == Some(false) => Err(Undecided::NotDone),
            Ok(Answer::Unavailable(_)) | Err(_) => Err(Undecided::Unknown),
        }
    }

    /// Asks the shard that a command belongs to.
    ///
    /// # Errors
    /// It was not asked, or has not answered in time.
    pub async fn ask(&self, command: Command) -> Result<Answer, DeskError> {
        let failed = |text: &str| DeskError::Failed(text.to_owned());
        let (reply, answer) = oneshot::channel();
        self.asks
            .try_send(Ask { command, reply })
            .map_err(|_| failed("too many commands wait for the shards: try again in a moment"))?;
        self.bell.ring();
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(failed("the shards take nothing: the gateway is on its way out")),
            Err(_) => Err(failed(
                "the shard did not answer within 2 s; it may still do it: see GET /breakers, and look again",
            )),
        }
    }
}

/// The shards did not decide a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecided {
    /// Certainly not done: the same command may be sent again.
    NotDone,
    /// It may have been asked, and may still be decided.
    Unknown,
}

/// What the thread owns.
struct Clerk {
    port: NetPort,
    waiting: HashMap<u64, oneshot::Sender<Answer>>,
    ticket: u64,
}

fn serve(port: NetPort, asked: &Receiver<Ask>) {
    let bell = port.bell();
    let mut clerk = Clerk {
        port,
        waiting: HashMap::new(),
        ticket: 0,
    };
    loop {
        for ask in asked.try_iter() {
            clerk.send(ask);
        }
        clerk.port.ring_bells();
        clerk.replies();
        if !clerk.port.prepare_sleep() {
            continue;
        }
        // The flag is up: who asks after this look rings.
        match asked.try_recv() {
            Ok(ask) => {
                clerk.port.woke();
                clerk.send(ask);
            }
            Err(TryRecvError::Empty) => _ = bell.wait(Some(LOOK)),
            Err(TryRecvError::Disconnected) => return,
        }
    }
}

impl Clerk {
    fn send(&mut self, Ask { command, reply }: Ask) {
        let shard = home_shard(&command, self.port.shards());
        if shard.0 >= self.port.shards() {
            // Who asked may have lost patience.
            _ = reply.send(Answer::Decided(Outcome::Refused(Refusal::UnknownOrder)));
            return;
        }
        self.ticket += 1;
        let request = Request {
            ticket: self.ticket,
            at_ns: clock::now_ns(),
            shard,
            command,
        };
        // If the shards do not take it, whoever asked is told by the end of the channel.
        if self.port.try_send(request).is_ok() {
            self.waiting.insert(self.ticket, reply);
        }
    }

    fn replies(&mut self) {
        while let Some(event) = self.port.try_recv() {
            if let Event::Reply { ticket, answer, .. } = event
                && let Some(reply) = self.waiting.remove(&ticket)
            {
                // Who asked may have lost patience.
                _ = reply.send(answer);
            }
        }
    }
}
