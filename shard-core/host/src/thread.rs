//! One shard thread: drain, decide, append, write and sync, reply.
//!
//! A turn takes what the rings have, under one `now`. Then the commit window says whether the batch is
//! written now. The write blocks: meanwhile the rings fill, and nobody rings this thread. What waits in a
//! window is not woken by requests either: they are drained when the window ends.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use tidegate_link::ShardEnd;
use tidegate_log::{LogId, Seal, Window, WindowConfig};
use tidegate_node::{Envelope, Node, Output, Ticket};
use tidegate_shard_core::Millis;

use crate::clock::{Clock, monotonic_ns};
use crate::disk::DiskWriter;
use crate::host::Failure;
use crate::keeper::{Job, Keepers, Notice};
use crate::limits;
use crate::port::{Answer, Event, Request, StageTimes};
use crate::shared::Shared;
use crate::slots::{Slot, Slots};
use crate::stats::ThreadStats;

mod outbound;
#[cfg(test)]
mod tests;

use outbound::Outbound;

/// What a shard thread is told.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) thread: usize,
    pub(crate) log: LogId,
    pub(crate) window_us_max: u32,
    pub(crate) spin_us: u32,
    pub(crate) shed_after_ms: u32,
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
    keepers: Keepers,
    shared: Arc<Shared>,
    stats: Arc<ThreadStats>,
    slots: Slots,
    /// When each of the last turns had decided its requests.
    decided_at: Box<[u64; TURNS_KEPT]>,
    turn: u64,
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
            Arc::clone(&stats),
        );
        ShardThread {
            appended: node.appender().last().0,
            settings,
            node,
            writer,
            inbound,
            out,
            window,
            clock,
            inbox,
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
        let _guard = PanicGuard {
            shared: Arc::clone(&self.shared),
            thread: self.settings.thread,
        };
        let mut ready = Some(ready);
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
        let wrote = (seal == Seal::Now || stopping || self.node.is_full()) && self.commit(decided);
        self.bring_up_figures(decided);
        self.stats.turns.add(1);
        let disk_ns = self.stats.disk_wait_ns.get() - disk_before;
        self.stats
            .busy_ns
            .add((monotonic_ns() - begin).saturating_sub(disk_ns));
        wrote || requests + messages > 0
    }

    fn read_inbox(&mut self, now: Millis) {
        loop {
            match self.inbox.try_recv() {
                Ok(Notice::SegmentReady(number)) => {
                    if !std::mem::replace(&mut self.has_room, true) {
                        eprintln!("tidegate: log {}: there is room again", self.settings.log);
                    }
                    self.node.segment_ready(number);
                }
                Ok(Notice::NoRoom) if !self.started => {
                    let dir = format!("logs/{}", self.settings.log);
                    self.fail(format!(
                        "the disk is full: no room for a segment in {dir}; make room, then start again"
                    ));
                }
                Ok(Notice::NoRoom) => {
                    if std::mem::replace(&mut self.has_room, false) {
                        eprintln!(
                            "tidegate: log {}: the disk is full; orders are refused until there is room",
                            self.settings.log
                        );
                    }
                    self.node.no_room();
                }
                Ok(Notice::Broken(text)) => self.fail(text),
                Ok(Notice::Checkpointed(marks)) => self.node.checkpointed(&marks),
                Ok(Notice::CheckpointFailed) => self.node.checkpoint_failed(),
                Ok(Notice::Applied(shard, op)) => self.node.applied(now, shard, op),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return,
            }
        }
    }

    fn drain_nets(&mut self, now_ns: u64, now: Millis) -> usize {
        let shed_ns = u64::from(self.settings.shed_after_ms) * 1_000_000;
        let (node, slots, out, stats) = (&mut self.node, &mut self.slots, &mut self.out, &self.stats);
        let turn = self.turn;
        let mut requests = 0;
        for (net, ring) in self.inbound.nets.iter_mut().enumerate() {
            if node.is_full() {
                break;
            }
            requests += ring.drain(limits::DRAIN_MAX, |request| {
                let queued = now_ns.saturating_sub(request.at_ns);
                stats.ring_wait.record(queued);
                let queued_ns = u32::try_from(queued).unwrap_or(u32::MAX);
                if shed_ns > 0 && queued > shed_ns {
                    stats.shed.add(1);
                    let times = StageTimes {
                        queued_ns,
                        ..StageTimes::default()
                    };
                    return out.reply(
                        net,
                        Event::Reply {
                            ticket: request.ticket,
                            answer: Answer::Shed,
                            times,
                        },
                    );
                }
                let slot = Slot {
                    net: net as u32,
                    queued_ns,
                    ticket: request.ticket,
                    turn_ns: now_ns,
                    turn,
                };
                let ticket = Ticket(slots.take(slot));
                node.command(now, ticket, request.shard, request.command);
            });
        }
        requests
    }

    fn drain_peers(&mut self, now: Millis) -> usize {
        let node = &mut self.node;
        let rings = self.inbound.peers.iter_mut().flatten();
        rings
            .map(|ring| ring.drain(limits::DRAIN_MAX, |envelope| node.receive(now, &envelope)))
            .sum()
    }

    fn note_turn(&mut self, begin: u64, decided: u64, requests: usize) {
        if requests > 0 {
            let each = (decided - begin) / requests as u64;
            self.stats.decide.record_n(each, requests as u64);
            self.stats.requests.add(requests as u64);
        }
        self.note_appended(begin);
    }

    /// Tells the window and the breaker's figure what was appended.
    fn note_appended(&mut self, at_ns: u64) {
        let last = self.node.appender().last().0;
        let records = last - self.appended;
        if records == 0 {
            return;
        }
        self.appended = last;
        self.window
            .on_append(at_ns, u32::try_from(records).unwrap_or(u32::MAX));
        self.stats.ops.add(records);
        if self.stats.oldest_unsynced_ns.get() == 0 {
            self.stats.oldest_unsynced_ns.set(at_ns);
        }
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
                "writing logs/{log}/{}, offset {offset}: {error}",
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
        self.last_batch_ns = done_ns;
        let rest = self.node.appender().pending_records();
        self.stats
            .oldest_unsynced_ns
            .set(if rest == 0 { 0 } else { now_ns });
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
                        synced_ns: short(now_ns.saturating_sub(decided)),
                    };
                    self.stats.commit.record(u64::from(times.synced_ns));
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

    fn ask_for_segment(&mut self) {
        while let Some(segment) = self.node.need_segment() {
            let (thread, log) = (self.settings.thread, self.settings.log);
            self.keepers.ask(Job::Prepare { thread, log, segment });
        }
    }

    fn bring_up_figures(&mut self, now_ns: u64) {
        if now_ns < self.figures_at_ns {
            return;
        }
        self.figures_at_ns = now_ns + FIGURES_EVERY_NS;
        self.stats.open_orders.set(self.node.open_orders());
        self.stats.owed_bytes.set(self.node.owed_bytes());
        self.stats.dropped_messages.set(self.node.dropped_messages());
        let (thread, log) = (self.settings.thread, self.settings.log);
        if let Some(job) = self.node.checkpoint_due() {
            self.keepers.ask(Job::Checkpoint { thread, job });
        }
        while let Some(segment) = self.node.pop_freed() {
            self.keepers.ask(Job::Free { log, segment });
        }
    }

    /// Nothing to do in this turn: show what was let out, then doze through the window, or sleep.
    fn rest(&mut self) {
        self.out.publish();
        let timeout = self.sleep_for();
        if timeout.is_zero() {
            return;
        }
        let now_ns = monotonic_ns();
        let pending = self.node.appender().pending_bytes();
        match self.window.should_seal(now_ns, pending, false, true) {
            // A segment is missing, or a moment ago there was still input; the keeper rings.
            Seal::Now if !self.node.appender().waits_for_segment() => {}
            Seal::At(until) => {
                self.stats.windows.add(1);
                self.inbound.bell.prepare_doze();
                self.inbound
                    .bell
                    .wait(Some(Duration::from_nanos(until.saturating_sub(now_ns))));
            }
            Seal::Now | Seal::No => self.sleep(now_ns, timeout),
        }
    }

    fn sleep(&mut self, now_ns: u64, timeout: Duration) {
        if self.mark_if_idle(now_ns) || self.spin(now_ns) {
            return;
        }
        self.inbound.bell.prepare_sleep();
        if self.inbound.is_empty() {
            self.stats.sleeps.add(1);
            self.inbound.bell.wait(Some(timeout));
        } else {
            self.inbound.bell.woke();
        }
    }

    /// Until the node's next timer, at most [`limits::IDLE_MS_MAX`].
    fn sleep_for(&mut self) -> Duration {
        let hurried = self.out.is_stuck() || !self.shared.is_serving();
        let longest = if hurried { 1 } else { limits::IDLE_MS_MAX };
        let now = self.clock.now();
        let ms = self
            .node
            .next_wake()
            .map_or(longest, |at| at.0.saturating_sub(now.0).min(longest));
        Duration::from_millis(ms)
    }

    /// Looks at the rings for the configured time before sleeping; true when something came.
    fn spin(&mut self, now_ns: u64) -> bool {
        let until = now_ns + u64::from(self.settings.spin_us) * 1000;
        while self.settings.spin_us > 0 && monotonic_ns() < until {
            if !self.inbound.is_empty() {
                return true;
            }
            std::hint::spin_loop();
        }
        false
    }

    /// An idle log says how far it is durable, so that damage to its last batch cannot pass for a cut write.
    fn mark_if_idle(&mut self, now_ns: u64) -> bool {
        if now_ns.saturating_sub(self.last_batch_ns) < limits::MARK_AFTER_NS {
            return false;
        }
        self.last_batch_ns = now_ns;
        match self.node.seal_mark() {
            Some(batch) => {
                self.write(batch, now_ns);
                true
            }
            None => false,
        }
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

/// A shard thread that panics is a failed log: nothing is known of what it had acknowledged to itself.
struct PanicGuard {
    shared: Arc<Shared>,
    thread: usize,
}

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let text = format!("shard thread {} panicked; this is a bug in tidegate", self.thread);
            self.shared.fail(Failure {
                thread: self.thread,
                text,
            });
        }
    }
}
