//! One shard thread: drain, decide, append, write and sync, reply.
//!
//! A turn takes what the rings have, under one `now`. Then the commit window says whether the batch is
//! written now. The write blocks: meanwhile the rings fill, and nobody rings this thread. What waits in a
//! window is not woken by requests either: they are drained when the window ends.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};

use tidegate_link::ShardEnd;
use tidegate_log::{LogId, Seal, Window, WindowConfig};
use tidegate_node::{Envelope, Node, Output};

use crate::clock::{Clock, monotonic_ns};
use crate::disk::DiskWriter;
use crate::feed::publish;
use crate::host::Failure;
use crate::keeper::{Job, Keepers, Notice};
use crate::limits;
use crate::port::{Answer, Event, Request, StageTimes};
use crate::shared::Shared;
use crate::slots::{Slot, Slots};
use crate::stats::ThreadStats;

mod intake;
mod outbound;
mod rest;
#[cfg(test)]
pub(crate) mod tests;
mod upkeep;

use outbound::Outbound;

/// What a shard thread is told.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) thread: usize,
    pub(crate) log: LogId,
    pub(crate) window_us_max: u32,
    pub(crate) spin_us: u32,
    pub(crate) control_ports: usize,
}

/// What one shard thread owns.
pub(crate) struct ShardThread {
    settings: Settings,
    node: Node,
    writer: Box<dyn DiskWriter>,
    inbound: Inbound,
    out: Outbound,
    window: Window,
    clock: Clock,
    inbox: Receiver<Notice>,
    /// Taken out of the inbox by a look into it.
    noticed: Option<Notice>,
    keepers: Keepers,
    shared: Arc<Shared>,
    stats: Arc<ThreadStats>,
    slots: Slots,
    /// When each of the last turns had decided its requests.
    decided_at: Box<[u64; TURNS_KEPT]>,
    turn: u64,
    /// When the first record that pends was appended.
    batch_first_ns: u64,
    /// Records of the log that the window was told of.
    appended: u64,
    last_batch_ns: u64,
    figures_at_ns: u64,
    has_room: bool,
    /// The shards' start entries are durable.
    started: bool,
}

/// Turns whose time of deciding is remembered, for the stage times of answers; older ones (parked callers)
/// count as decided in their turn.
const TURNS_KEPT: usize = 64;

/// How often the slow figures are brought up to date.
const FIGURES_EVERY_NS: u64 = 50_000_000;

/// Its ends of the mesh.
pub(crate) type Rings = ShardEnd<Request, Event, Envelope>;

/// The reading ends.
struct Inbound {
    nets: Vec<tidegate_link::Consumer<Request>>,
    peers: Vec<Option<tidegate_link::Consumer<Envelope>>>,
    bell: Arc<tidegate_link::Bell>,
}

impl Inbound {
    fn is_empty(&mut self) -> bool {
        self.nets.iter_mut().all(|ring| ring.is_empty())
            && self.peers.iter_mut().flatten().all(|ring| ring.is_empty())
    }
}

impl ShardThread {
    #[expect(clippy::too_many_arguments, reason = "one call; each is a thing of its own")]
    pub(crate) fn new(
        settings: Settings,
        node: Node,
        writer: Box<dyn DiskWriter>,
        rings: Rings,
        clock: Clock,
        inbox: Receiver<Notice>,
        keepers: Keepers,
        shared: Arc<Shared>,
    ) -> ShardThread {
        let stats = Arc::clone(&shared.stats[settings.thread]);
        let window = Window::new(WindowConfig::new(u64::from(settings.window_us_max)));
        let inbound = Inbound {
            nets: rings.from_nets,
            peers: rings.from_peers,
            bell: rings.bell,
        };
        let out = Outbound::new(
            rings.to_nets,
            rings.net_bells,
            rings.to_peers,
            rings.peer_bells,
            shared.credits,
            settings.control_ports,
            Arc::clone(&stats),
        );
        ShardThread {
            appended: node.appender().last().0,
            batch_first_ns: 0,
            settings,
            node,
            writer,
            inbound,
            out,
            window,
            clock,
            inbox,
            noticed: None,
            keepers,
            shared,
            stats,
            slots: Slots::default(),
            decided_at: Box::new([0; TURNS_KEPT]),
            turn: 0,
            last_batch_ns: monotonic_ns(),
            figures_at_ns: 0,
            has_room: true,
            started: false,
        }
    }

    /// Serves until the host stops or the log fails. `ready` is called once the shards' start entries are
    /// durable.
    pub(crate) fn run(mut self, ready: impl FnOnce()) {
        let mut ready = Some(ready);
        publish(&self.stats.durable_position, self.node.appender().durable_upto());
        let now = self.clock.now();
        self.node.start(now);
        let start = self.node.appender().last();
        self.ask_for_segment();
        loop {
            let progress = self.one_turn();
            if self.shared.has_failed() {
                self.node.fail();
                self.out.publish();
                return;
            }
            if self.node.appender().durable() >= start
                && let Some(ready) = ready.take()
            {
                self.started = true;
                ready();
            }
            if !self.shared.is_serving() && self.may_end() {
                return self.finish();
            }
            if !progress {
                self.rest();
            }
        }
    }

    /// One turn; false when there was nothing to do, and nothing is to be written now.
    fn one_turn(&mut self) -> bool {
        let begin = monotonic_ns();
        let disk_before = self.stats.disk_wait_ns.get();
        self.turn += 1;
        let now = self.clock.now();
        self.read_inbox(now);
        if let Some(bytes) = self.shared.knobs.backlog_bytes_each() {
            self.node.set_backlog_bytes_max(bytes);
        }
        let requests = self.drain_nets(begin, now);
        let messages = self.drain_peers(now);
        self.node.turn(now);
        let decided = monotonic_ns();
        self.decided_at[self.turn as usize % TURNS_KEPT] = decided;
        self.note_turn(begin, decided, requests);
        self.release(decided);

        let input_empty = requests + messages == 0 || self.inbound.is_empty();
        let pending = self.node.appender().pending_bytes();
        let seal = self.window.should_seal(decided, pending, false, input_empty);
        let stopping = !self.shared.is_serving();
        let due = seal == Seal::Now && self.open_until(decided).is_none();
        let wrote = (due || stopping || self.node.is_full()) && self.commit(decided);
        if !wrote {
            // Answers that depend on nothing new, as "sold out", do not wait for the next batch.
            self.out.publish();
        }
        self.bring_up_figures(decided);
        self.stats.turns.add(1);
        let disk_ns = self.stats.disk_wait_ns.get() - disk_before;
        self.stats
            .busy_ns
            .add((monotonic_ns() - begin).saturating_sub(disk_ns));
        wrote || requests + messages > 0
    }

    /// Seals a batch, writes it, and lets out what waited for it. False when there is nothing to write, or no
    /// segment to write to.
    fn commit(&mut self, now_ns: u64) -> bool {
        match self.node.seal() {
            Some(batch) => {
                self.write(batch, now_ns);
                true
            }
            None => false,
        }
    }

    fn write(&mut self, batch: tidegate_log::Batch, now_ns: u64) {
        // What may leave already does not wait for this sync.
        self.out.publish();
        self.window.on_seal(self.node.appender().pending_records());
        let written = self.writer.write(batch.segment, batch.offset, &batch.bytes);
        let done_ns = monotonic_ns();
        if let Err(error) = written {
            let (log, segment, offset) = (self.settings.log, batch.segment, batch.offset);
            return self.fail(format!(
                "writing logs/{log}/{}, offset {offset}: {error}; look at the disk, then start again: what was answered is in the log",
                segment.file_name()
            ));
        }
        let took = done_ns - now_ns;
        self.stats.sync.record(took);
        self.stats.disk_wait_ns.add(took);
        self.stats.batches.add(1);
        self.stats.batch_bytes.add(batch.bytes.len() as u64);
        self.stats.batch_ops.record(u64::from(batch.records));
        self.node.synced(batch);
        publish(&self.stats.durable_position, self.node.appender().durable_upto());
        self.last_batch_ns = done_ns;
        if !self.node.is_replicated() {
            let rest = self.node.appender().pending_records();
            self.stats.progress.add(1);
            self.stats
                .oldest_unsynced_ns
                .set(if rest == 0 { 0 } else { now_ns });
        }
        self.release(done_ns);
        self.out.publish();
        self.ask_for_segment();
    }

    /// Answers, rows and messages that may leave, into their rings; not shown to anyone yet.
    fn release(&mut self, now_ns: u64) {
        while let Some(output) = self.node.pop_output() {
            match output {
                Output::Stock(row) => self.out.stock(row),
                Output::Reply { ticket, answer, .. } => {
                    let slot = self.slots.give_back(ticket.0);
                    let decided = if self.turn - slot.turn < TURNS_KEPT as u64 {
                        self.decided_at[slot.turn as usize % TURNS_KEPT]
                    } else {
                        slot.turn_ns
                    };
                    let times = StageTimes {
                        queued_ns: slot.queued_ns,
                        decided_ns: short(decided.saturating_sub(slot.turn_ns)),
                        committed_ns: short(now_ns.saturating_sub(decided)),
                    };
                    self.stats.commit.record(u64::from(times.committed_ns));
                    let event = Event::Reply {
                        ticket: slot.ticket,
                        answer: answer.into(),
                        times,
                    };
                    self.out.reply(slot.net as usize, event);
                }
            }
        }
        self.out.send_messages(&mut self.node);
        self.out.send_late_rows();
    }

    fn may_end(&mut self) -> bool {
        let quiet = self.slots.in_use() == 0
            && self.inbound.is_empty()
            && self.node.appender().pending_records() == 0;
        self.shared.all_quiet(self.settings.thread, quiet) || self.shared.is_past_stop()
    }

    /// The last batch and the mark behind it; then the thread ends.
    fn finish(mut self) {
        let now_ns = monotonic_ns();
        self.commit(now_ns);
        if let Some(batch) = self.node.seal_mark() {
            self.write(batch, now_ns);
        }
        self.release(monotonic_ns());
        self.out.publish();
    }

    fn fail(&mut self, text: String) {
        self.node.fail();
        self.shared.fail(Failure {
            thread: self.settings.thread,
            text,
        });
    }
}

/// Nanoseconds in 32 bits; 4.2 s and more are all the same.
fn short(ns: u64) -> u32 {
    u32::try_from(ns).unwrap_or(u32::MAX)
}
