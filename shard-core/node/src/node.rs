//! One shard thread's engine.

use std::collections::VecDeque;

use tidegate_log::{Appender, Batch, Lsn, NewSegment, Retention, SegmentNumber, ShardMark};
use tidegate_shard_core::{Command, Input, Millis, Op, Outcome, Refusal, Reply, Shard, ShardId, shard_of};

use crate::checkpoint::CheckpointJob;
use crate::gated::{Gated, Progress};
use crate::limits;
use crate::output::{Envelope, Output, Ticket, Unavailable};
use crate::parked::Parked;
use crate::planted::Planted;
use crate::unpublished::Unpublished;

mod carry;
mod config;
mod marks;
mod published;
mod turn;
mod views;

pub use config::NodeConfig;

/// A shard and what the node keeps beside it.
struct Home {
    shard: Shard,
    /// The shard's last record; what the shard says now depends on it. [`Lsn`] 0: it was recovered.
    last: Lsn,
    /// When the shard's next timer may be due.
    timer: Millis,
    /// Entries until the next digest.
    digest_in: u32,
    /// When to ask the shard for a lease again.
    lease_at: Millis,
    /// Its last durable op.
    durable: Op,
    /// Its store and its log have parted.
    stopped: bool,
    /// The store has applied everything up to here.
    applied: Op,
    /// What the log says the store has applied.
    applied_logged: Op,
    /// The newest synced checkpoint holds everything up to here.
    checkpointed: Op,
    /// And the one before it, as far as this start knows, everything up to here.
    checkpointed_before: Op,
    /// Stock changed since the last rows.
    stock_changed: bool,
    /// No stock rows before this.
    stock_at: Millis,
    /// What waits for the bus, and how far that is.
    unpublished: Unpublished,
}

/// A command that waits until its shard's lease is durable.
struct Deferred {
    gate: Lsn,
    home: usize,
    ticket: Ticket,
    command: Command,
}

/// No home: the shard is on another thread.
const ELSEWHERE: u16 = u16::MAX;

/// The engine of one shard thread.
///
/// The loop: [`command`](Node::command) and [`receive`](Node::receive) for what came, [`turn`](Node::turn) once,
/// [`seal`](Node::seal) when the commit window says so and write the batch, [`synced`](Node::synced) when it is on
/// disk; then [`pop_output`](Node::pop_output) and [`pop_send`](Node::pop_send) until they are empty.
pub struct Node {
    config: NodeConfig,
    homes: Vec<Home>,
    /// The index in `homes` of each shard of the data directory.
    home_of: Vec<u16>,
    appender: Appender,
    retention: Retention,
    progress: Progress,
    outputs: Gated<Output>,
    sends: Gated<Envelope>,
    /// Answers and messages of all shards that wait for the bus.
    bus_answers: usize,
    bus_sends: usize,
    /// Messages that may be delivered, to shards of this thread.
    local: VecDeque<Envelope>,
    /// Messages that may leave, by thread.
    outbox: Vec<VecDeque<Envelope>>,
    parked: Parked,
    deferred: VecDeque<Deferred>,
    /// No timer of any shard is due before this.
    earliest: Millis,
    /// The home whose timers are looked at first, so that none starves another.
    turn_from: usize,
    rows_at: Millis,
    /// Bytes that the log keeps, and this thread's share of what the logs of earlier layouts keep.
    owed_bytes: u64,
    old_bytes: u64,
    /// The host could not prepare the next segment.
    no_room: bool,
    checkpointing: bool,
    /// The last segment that the checkpoint under way, the newest one and the one before it hold, each.
    checkpoint_upto: [SegmentNumber; 3],
    /// The last closed segment, and how many were closed since the last checkpoint.
    closed: Option<SegmentNumber>,
    closed_count: u32,
    dropped_messages: u64,
    started: bool,
    failed: bool,
    /// An entry's bytes on their way to the appender.
    bytes: Vec<u8>,
}

impl Node {
    /// A node over recovered shards, with the marks their newest checkpoint holds. [`open`](crate::open) makes it.
    pub fn new(
        config: NodeConfig,
        shards: Vec<(Shard, Op)>,
        appender: Appender,
        retention: Retention,
    ) -> Node {
        let threads = config
            .threads_of
            .iter()
            .max()
            .map_or(1, |&last| usize::from(last) + 1);
        let mut home_of = vec![ELSEWHERE; config.threads_of.len()];
        for (at, (shard, _)) in shards.iter().enumerate() {
            assert_eq!(config.threads_of[usize::from(shard.id().0)], config.thread);
            home_of[usize::from(shard.id().0)] = at as u16;
        }
        let digest_every = config.digest_every;
        let homes = shards
            .into_iter()
            .map(|(shard, held)| Home::new(shard, held, digest_every))
            .collect();
        let progress = Progress {
            durable: appender.durable(),
            sealed: appender.durable(),
        };
        let closed_count = retention.closed_unskipped() as u32;
        Node {
            homes,
            home_of,
            owed_bytes: retention.bytes(),
            old_bytes: 0,
            closed: retention.closed().last(),
            closed_count,
            appender,
            retention,
            progress,
            outputs: Gated::new(),
            sends: Gated::new(),
            bus_answers: 0,
            bus_sends: 0,
            local: VecDeque::new(),
            outbox: (0..threads).map(|_| VecDeque::new()).collect(),
            parked: Parked::default(),
            deferred: VecDeque::new(),
            earliest: Millis(0),
            turn_from: 0,
            rows_at: Millis(0),
            no_room: false,
            checkpointing: false,
            checkpoint_upto: [SegmentNumber::NONE; 3],
            dropped_messages: 0,
            started: false,
            failed: false,
            bytes: Vec::new(),
            config,
        }
    }

    /// Begins to serve: logs each shard's start, and lets commands in. Call it when all nodes have recovered.
    pub fn start(&mut self, now: Millis) {
        assert!(!self.started);
        self.started = true;
        for at in 0..self.homes.len() {
            let home = &mut self.homes[at];
            home.shard
                .hold_expiry_until(now.after(self.config.expiry_grace_ms));
            for entry in home.shard.start(now, self.config.term) {
                self.record(at, &entry);
            }
            self.emit_all_stock(at);
            self.note_timer(at);
        }
    }

    /// A command for one of this thread's shards. It is answered by an [`Output::Reply`] with its ticket.
    pub fn command(&mut self, now: Millis, ticket: Ticket, shard: ShardId, command: Command) {
        if self.failed {
            return;
        }
        let Some(at) = self.home(shard) else {
            return self.refuse(ticket, Unavailable::NotHere);
        };
        match self.unavailable(at, shard, &command) {
            // It logs nothing, and its order may hold stock: "nothing is reserved" would be false.
            Some(_) if self.started && self.is_repeat(at, &command) => {}
            Some(why) => return self.refuse(ticket, why),
            None if matches!(command, Command::Place(_)) => self.renew_lease(now, at),
            None => {}
        }
        let decision = self.homes[at].shard.decide(now, Input::Command(&command));
        let busy = matches!(decision.reply, Reply::Now(Outcome::Refused(Refusal::Busy)));
        let lease_comes = self.homes[at].last > self.progress.durable;
        if busy && lease_comes && self.deferred.len() < limits::DEFERRED_MAX {
            // The lease is on its way to the disk. The first order after a quiet time waits for it.
            let gate = self.homes[at].last;
            return self.deferred.push_back(Deferred {
                gate,
                home: at,
                ticket,
                command,
            });
        }
        self.carry_out(at, Some(ticket), decision);
    }

    /// A message from a shard of another thread. One that cannot be taken now is dropped: its sender asks again.
    pub fn receive(&mut self, now: Millis, envelope: &Envelope) {
        let Some(at) = self.home(envelope.to) else { return };
        if self.failed || !self.started || self.homes[at].stopped || self.appender.is_full() {
            self.dropped_messages += 1;
            return;
        }
        let input = Input::Message {
            from: envelope.from,
            message: &envelope.message,
        };
        let decision = self.homes[at].shard.decide(now, input);
        self.carry_out(at, None, decision);
    }

    /// Closes the batch that fills; the host writes and syncs it, and calls [`synced`](Node::synced) or
    /// [`fail`](Node::fail). `None` when there is nothing to write, a batch is out, or a segment is missing.
    pub fn seal(&mut self) -> Option<Batch> {
        if self.failed {
            return None;
        }
        let batch = self.appender.seal()?;
        Some(self.sealed(batch))
    }

    /// As [`seal`](Node::seal), for a log with nothing to write: a batch without records that says how far the log is
    /// durable. For an idle log and a clean stop.
    pub fn seal_mark(&mut self) -> Option<Batch> {
        if self.failed {
            return None;
        }
        let batch = self.appender.seal_mark()?;
        Some(self.sealed(batch))
    }

    fn sealed(&mut self, batch: Batch) -> Batch {
        let all = batch.last == self.appender.last();
        self.outputs.seal(batch.last, all);
        self.sends.seal(batch.last, all);
        self.progress.sealed = batch.last;
        let end = batch.offset + batch.bytes.len() as u32;
        self.retention.note(batch.segment, end, &batch.ops);
        self.owed_bytes = self.retention.bytes() + self.old_bytes;
        batch
    }

    /// The batch is written and synced: what waited for it may leave.
    pub fn synced(&mut self, batch: Batch) {
        if self.failed {
            return;
        }
        for mark in &batch.ops {
            if let Some(at) = self.home(ShardId(mark.shard)) {
                self.homes[at].shard.note_durable(Op(mark.op));
                self.homes[at].durable = Op(mark.op);
            }
        }
        if let Some(closed) = batch.closed {
            self.closed = Some(closed);
            self.closed_count += 1;
        }
        self.progress.durable = self.appender.synced(batch).durable;
        self.outputs.release();
        self.sends.release();
        self.route_released();
    }

    /// A write or sync failed. What the disk holds is unknown, so nothing leaves this node any more, ever.
    pub fn fail(&mut self) {
        self.failed = true;
        self.outputs.clear();
        self.sends.clear();
        self.local.clear();
        self.outbox.iter_mut().for_each(VecDeque::clear);
        self.parked.clear();
        self.deferred.clear();
        self.homes
            .iter_mut()
            .for_each(|home| drop(home.unpublished.give_up()));
        (self.bus_answers, self.bus_sends) = (0, 0);
    }

    /// The next thing for a net thread that may leave.
    pub fn pop_output(&mut self) -> Option<Output> {
        self.outputs.pop()
    }

    /// The next message that may leave for a shard of another thread. Take one only when there is room to carry it.
    pub fn pop_send(&mut self, thread: usize) -> Option<Envelope> {
        self.outbox[thread].pop_front()
    }

    /// When to call [`turn`](Node::turn) although nothing came; in the past when there is work now.
    pub fn next_wake(&self) -> Option<Millis> {
        if self.failed || !self.started {
            return None;
        }
        let deferred = self
            .deferred
            .front()
            .is_some_and(|first| first.gate <= self.progress.durable);
        if deferred {
            return Some(Millis(0));
        }
        // A full log lets no timer or message be handled; the seal that makes room is followed by a turn.
        let due = match self.appender.is_full() {
            true => Millis(u64::MAX),
            false if !self.local.is_empty() => Millis(0),
            false => self.earliest,
        };
        let at = due.min(self.rows_at);
        (at < Millis(u64::MAX)).then_some(at)
    }

    /// The engine should take no more commands until a batch was sealed.
    pub fn is_full(&self) -> bool {
        self.appender.is_full()
    }

    fn home(&self, shard: ShardId) -> Option<usize> {
        let at = *self.home_of.get(usize::from(shard.0))?;
        (at != ELSEWHERE).then_some(usize::from(at))
    }

    /// An order that the shard knows already.
    fn is_repeat(&self, at: usize, command: &Command) -> bool {
        matches!(command, Command::Place(place) if self.homes[at].shard.knows_key(&place.key))
    }

    /// Bytes that the log may owe before orders are refused, from now on.
    pub fn set_backlog_bytes_max(&mut self, bytes: u64) {
        self.config.backlog_bytes_max = bytes;
    }

    /// Why a command cannot even be looked at, if so. Nothing was reserved then, but perhaps by an earlier one.
    fn unavailable(&self, at: usize, shard: ShardId, command: &Command) -> Option<Unavailable> {
        if !self.started {
            return Some(Unavailable::NotStarted);
        }
        if self.homes[at].stopped {
            return Some(Unavailable::Stopped);
        }
        if self.bus_answers >= self.config.bus_answers_max {
            return Some(Unavailable::Backlog);
        }
        if self.appender.is_full() || (self.no_room && self.appender.pending_bytes() > 0) {
            return Some(Unavailable::LogFull);
        }
        let Command::Place(place) = command else {
            return None;
        };
        if self.no_room {
            return Some(Unavailable::LogFull);
        }
        if self.owed_bytes >= self.config.backlog_bytes_max {
            return Some(Unavailable::Backlog);
        }
        let shards = self.config.threads_of.len() as u16;
        let spread = place.lines.len() > 1
            && place
                .lines
                .iter()
                .any(|line| shard_of(&line.sku, shards) != shard);
        let congested = |queue: &VecDeque<Envelope>| queue.len() >= limits::OUTBOX_CONGESTED;
        if spread && (congested(&self.local) || self.outbox.iter().any(congested)) {
            return Some(Unavailable::Congested);
        }
        None
    }
}

impl Home {
    fn new(shard: Shard, checkpointed: Op, digest_every: u32) -> Home {
        let (applied_logged, _) = shard.applied_mark();
        Home {
            durable: shard.op(),
            stopped: false,
            shard,
            last: Lsn(0),
            timer: Millis(0),
            digest_in: digest_every,
            lease_at: Millis(0),
            applied: Op(0),
            applied_logged,
            checkpointed,
            checkpointed_before: Op(0),
            stock_changed: false,
            stock_at: Millis(0),
            unpublished: Unpublished::default(),
        }
    }
}
