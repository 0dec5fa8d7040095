//! The machine: shard threads over the production node, with a log each.

use std::collections::HashMap;

use tidegate_log::{Batch, Seal, ShardClock, Window, WindowConfig};
use tidegate_node::open::OldLogs;
use tidegate_node::{Envelope, Files, Node, OpenConfig, Opened, Output, Ticket, open, segments};
use tidegate_shard_core::{Command, Millis, ShardId};

use crate::plan::{MS, Stop};
use crate::queue::{Event, Live};
use crate::world::{Broken, World, until_us};

mod follow;
mod publish;
mod upkeep;

pub use follow::Following;

/// A running machine.
pub struct Machine {
    pub(crate) threads: Vec<Thread>,
    pub(crate) manifest: tidegate_log::Manifest,
    pub(crate) old_logs: OldLogs,
    pub(crate) following: Following,
    config: OpenConfig,
    /// When the last message of each pair of threads arrives: none overtakes another.
    arrivals: HashMap<(usize, usize), u64>,
    /// The next sync fails.
    sync_fails: bool,
}

/// A shard thread.
pub struct Thread {
    pub(crate) node: Node,
    clock: ShardClock,
    time: Millis,
    window: Window,
    out: Option<Batch>,
    /// Records that the window knows of.
    counted: u64,
    /// When the next turn is planned.
    turn_at: u64,
    /// The thread is off its core until then.
    stalled_until: u64,
}

impl Machine {
    /// The thread that owns a shard.
    pub fn thread_of(&self, shard: ShardId) -> usize {
        self.manifest
            .current()
            .thread_of(shard.0)
            .expect("a layout has every shard")
    }

    /// A shard's node.
    pub fn node_of(&self, shard: ShardId) -> &Node {
        &self.threads[self.thread_of(shard)].node
    }

    /// The time of the clock that is furthest behind.
    pub fn time_at_most(&self) -> Millis {
        self.threads
            .iter()
            .map(|thread| thread.time)
            .min()
            .expect("a machine has threads")
    }
}

impl World {
    /// Starts the machine, with as many threads as chance says, if nothing stops it on the way.
    pub(crate) fn start(&mut self) -> Result<(), Broken> {
        if self.machine.is_some() {
            return Ok(());
        }
        let threads = (self.rng.between(3, 5) as usize).min(usize::from(self.plan.shards));
        let mut config = self.plan.open_config(threads, self.rng.bits());
        config.marks = self.store.shard_marks();
        if !self.calm && self.rng.percent(self.plan.start_stops) {
            self.disk.stop_after(Some(self.rng.below(250) as u32));
        }
        self.maybe_spoil_checkpoint();
        let opened = open(&mut self.disk, &config, &mut |_| {});
        self.disk.stop_after(None);
        match opened {
            Ok(opened) => self.serve(opened, config),
            Err(error) if error.is_io() && !self.calm => {
                self.trace(|| format!("the start stopped: {error}"));
                self.figures.stopped_starts += 1;
                let power_loss = self.rng.percent(50);
                self.crash_disk(power_loss);
                self.queue
                    .plan(self.now + self.rng.between(1, 50) * MS, Event::Start);
                Ok(())
            }
            Err(error) => Err(format!("the machine does not start: {error}")),
        }
    }

    fn serve(&mut self, opened: Opened, config: OpenConfig) -> Result<(), Broken> {
        let (wall, boot) = (self.wall_ns(), self.boot_ns());
        let clock =
            ShardClock::start(wall, boot, opened.last_time.0, true).map_err(|ahead| ahead.to_string())?;
        self.life += 1;
        self.figures.starts += 1;
        if opened.manifest.layouts.len() > 1 {
            self.figures.layouts += 1;
        }
        self.figures.skipped += opened.recovered.skipped_segments;
        self.figures.passed_over += opened.warnings.len() as u64;
        self.audit.recovered(&opened)?;
        self.figures.only_stored += self.audit.acknowledged_are_there(&opened, &self.store)?;
        let thread = |node| Thread {
            node,
            clock: clock.clone(),
            time: Millis(0),
            window: Window::new(WindowConfig::default()),
            out: None,
            counted: 0,
            turn_at: u64::MAX,
            stalled_until: 0,
        };
        self.machine = Some(Machine {
            threads: opened.nodes.into_iter().map(thread).collect(),
            following: Following::new(&self.plan, &opened.manifest, &self.store, self.bus.as_ref())?,
            manifest: opened.manifest,
            old_logs: opened.old_logs,
            config,
            arrivals: HashMap::new(),
            sync_fails: false,
        });
        for thread in 0..self.threads() {
            let now = self.tell_time(thread);
            self.node(thread).start(now);
            self.pump(thread)?;
            if self.machine.is_none() {
                return Ok(());
            }
        }
        self.tell_what_the_store_has()
    }

    /// Stops the machine, and plans its next start.
    pub(crate) fn stop(&mut self, stop: Stop) -> Result<(), Broken> {
        if stop == Stop::DiskLost {
            return self.lose_disk();
        }
        let Some(machine) = &mut self.machine else {
            return Ok(());
        };
        if stop == Stop::SyncFailure {
            machine.sync_fails = true;
            return Ok(());
        }
        self.halt(stop == Stop::PowerLoss);
        Ok(())
    }

    pub(crate) fn halt(&mut self, power_loss: bool) {
        self.trace(|| format!("the machine stops; power is lost: {power_loss}"));
        self.machine = None;
        self.life += 1;
        self.crash_disk(power_loss);
        self.clients_cut_off();
        let down = self.rng.between(1, 100) * MS;
        self.queue.plan(self.now + down, Event::Start);
    }

    /// A request reaches the machine, if it runs.
    pub(crate) fn request(&mut self, ticket: u64, shard: ShardId, command: Command) -> Result<(), Broken> {
        let Some(machine) = &self.machine else {
            return self.client_refused_connection(ticket);
        };
        let thread = machine.thread_of(shard);
        let stalled_until = machine.threads[thread].stalled_until;
        if stalled_until > self.now {
            self.queue
                .plan(stalled_until, Event::Request(ticket, shard, command));
            return Ok(());
        }
        let now = self.tell_time(thread);
        self.node(thread).command(now, Ticket(ticket), shard, command);
        self.pump(thread)?;
        self.check_shard(shard)
    }

    pub(crate) fn live_event(&mut self, live: Live) -> Result<(), Broken> {
        if let Live::Turn(thread) | Live::Deliver(thread, _) | Live::Written(thread) = live {
            let until = self.thread(thread).stalled_until;
            if until > self.now {
                // As the host does it: first what came, in its order, then the turn.
                let late = u64::from(matches!(live, Live::Turn(_)));
                if late == 1 {
                    self.thread(thread).turn_at = until + late;
                }
                self.queue.plan(until + late, Event::Live(self.life, live));
                return Ok(());
            }
        }
        match live {
            // An earlier turn was planned since.
            Live::Turn(thread) if self.thread(thread).turn_at > self.now => Ok(()),
            Live::Turn(thread) => {
                self.thread(thread).turn_at = u64::MAX;
                let now = self.tell_time(thread);
                self.node(thread).turn(now);
                self.pump(thread)
            }
            Live::Deliver(thread, envelope) => {
                let now = self.tell_time(thread);
                self.node(thread).receive(now, &envelope);
                self.pump(thread)?;
                self.check_shard(envelope.to)
            }
            Live::Written(thread) => self.written(thread),
            Live::Prepare(thread, segment) => self.prepare(thread, segment),
            Live::Checkpoint(thread, job) => self.checkpoint(thread, &job),
            Live::Published(mark) => {
                let thread = self.running().thread_of(ShardId(mark.shard));
                let told = self.node(thread).published(mark);
                told.map_err(|parted| parted.to_string())?;
                self.pump(thread)
            }
            Live::Applied(mark) => {
                let thread = self.running().thread_of(ShardId(mark.shard));
                let now = self.tell_time(thread);
                let told = self.node(thread).applied(now, mark);
                told.map_err(|parted| parted.to_string())?;
                self.pump(thread)
            }
        }
    }

    fn written(&mut self, thread: usize) -> Result<(), Broken> {
        let log = self.log_of(thread);
        let batch = self.thread(thread).out.take().expect("a batch is out");
        if self.running().sync_fails {
            self.node(thread).fail();
            if self.node(thread).pop_output().is_some() {
                return Err("something left a node whose log had failed".to_owned());
            }
            let power_loss = self.rng.percent(50);
            self.halt(power_loss);
            return Ok(());
        }
        self.disk
            .sync(&segments::path(log, batch.segment))
            .expect("the simulated disk syncs");
        self.figures.batches += 1;
        self.audit.synced(&batch);
        self.node(thread).synced(batch);
        self.pump(thread)
    }

    /// Everything that a thread does after something happened to it.
    fn pump(&mut self, thread: usize) -> Result<(), Broken> {
        while let Some(output) = self.node(thread).pop_output() {
            self.output(output)?;
        }
        for other in 0..self.threads() {
            while let Some(envelope) = self.node(thread).pop_send(other) {
                self.audit.sent(envelope.from, envelope.op)?;
                self.carry(thread, other, envelope);
            }
        }
        while let Some(segment) = self.node(thread).need_segment() {
            let delay = self.rng.between(50, 3000);
            self.plan_live(delay, Live::Prepare(thread, segment));
        }
        while let Some(freed) = self.node(thread).pop_freed() {
            let log = self.log_of(thread);
            self.figures.freed += 1;
            self.risk();
            let result = segments::free(&mut self.disk, log, freed);
            if self.came_to_a_stop() {
                return Ok(());
            }
            result.map_err(|error| format!("a segment cannot be freed: {error}"))?;
        }
        if let Some(job) = self.node(thread).checkpoint_due() {
            let delay = self.rng.between(1, 30) * MS;
            self.plan_live(delay, Live::Checkpoint(thread, job));
        }
        let seal_at = self.seal(thread);
        self.plan_turn(thread, seal_at);
        Ok(())
    }

    /// Takes a message to another thread: in order, or as a worse network would.
    fn carry(&mut self, from: usize, to: usize, envelope: Envelope) {
        self.figures.messages += 1;
        let delay = self.rng.between(self.plan.net_us.0, self.plan.net_us.1);
        let unruly = self.rng.percent(self.plan.unruly_net);
        if unruly {
            let copies = self.rng.below(3);
            for _ in 0..copies {
                let late = self.rng.between(0, 300 * MS);
                self.plan_live(delay + late, Live::Deliver(to, envelope.clone()));
            }
            return;
        }
        let now = self.now;
        let last = self.running().arrivals.entry((from, to)).or_default();
        *last = (now + delay).max(*last);
        let at = *last;
        self.queue
            .plan(at, Event::Live(self.life, Live::Deliver(to, envelope)));
    }

    fn output(&mut self, output: Output) -> Result<(), Broken> {
        match output {
            Output::Reply { ticket, op, answer } => {
                self.client_answered(ticket.0, op, &answer)?;
                if !self.rng.percent(self.plan.lost_answers) {
                    let delay = self.rng.between(10, 2000);
                    self.queue.plan(self.now + delay, Event::Reply(ticket.0, answer));
                }
                Ok(())
            }
            Output::Stock(row) => self.audit.stock_row(&row),
        }
    }

    /// Seals and writes when the commit window says so; else says when to ask again.
    fn seal(&mut self, thread: usize) -> u64 {
        let now_ns = self.boot_ns();
        let idle_mark = self.rng.percent(2);
        let at = self.thread(thread);
        let last = at.node.appender().last().0;
        if last > at.counted {
            at.window.on_append(now_ns, (last - at.counted) as u32);
            at.counted = last;
        }
        if at.out.is_some() {
            return u64::MAX;
        }
        let pending = at.node.appender().pending_bytes();
        let batch = match at.window.should_seal(now_ns, pending, false, true) {
            Seal::Now => at.node.seal(),
            Seal::At(at_ns) => return at_ns.div_ceil(1000),
            Seal::No if idle_mark => at.node.seal_mark(),
            Seal::No => None,
        };
        let Some(batch) = batch else { return u64::MAX };
        let left = at.node.appender().pending_records();
        at.window.on_seal(left);
        let path = segments::path(self.log_of(thread), batch.segment);
        self.disk
            .write_at(&path, u64::from(batch.offset), &batch.bytes)
            .expect("a segment has its room");
        self.thread(thread).out = Some(batch);
        let delay = self.rng.between(self.plan.write_us.0, self.plan.write_us.1);
        self.plan_live(delay, Live::Written(thread));
        u64::MAX
    }

    fn plan_turn(&mut self, thread: usize, seal_at: u64) {
        let now = self.now;
        let at = self.thread(thread);
        let wake = at
            .node
            .next_wake()
            .map_or(u64::MAX, |wake| now + until_us(at.time, wake));
        // A turn takes its time, so that one which cannot get on does not stop the world.
        let next = wake.max(now + 20).min(seal_at.max(now + 1));
        if next < at.turn_at && next < now + 3_600_000 * MS {
            at.turn_at = next;
            self.queue.plan(next, Event::Live(self.life, Live::Turn(thread)));
        }
    }

    /// What must hold after every step, for the shard that the step was about.
    fn check_shard(&mut self, shard: ShardId) -> Result<(), Broken> {
        let Some(machine) = &self.machine else {
            return Ok(());
        };
        let node = machine.node_of(shard);
        let shard = node.shard(shard).expect("the node has the shard");
        shard
            .check_invariants()
            .map_err(|broken| format!("shard {}: {broken}", shard.id()))
    }

    /// One look at the clock, for everything that follows in this step.
    fn tell_time(&mut self, thread: usize) -> Millis {
        let (wall, boot) = (self.wall_ns(), self.boot_ns());
        let thread = self.thread(thread);
        thread.time = Millis(thread.clock.now_ms(wall, boot));
        thread.time
    }

    fn log_of(&mut self, thread: usize) -> tidegate_log::LogId {
        self.running().manifest.current().logs[thread].log
    }

    pub(crate) fn threads(&self) -> usize {
        self.machine.as_ref().map_or(0, |machine| machine.threads.len())
    }

    pub(crate) fn running(&mut self) -> &mut Machine {
        self.machine
            .as_mut()
            .expect("events of a life happen while it lasts")
    }

    fn thread(&mut self, thread: usize) -> &mut Thread {
        &mut self.running().threads[thread]
    }

    fn node(&mut self, thread: usize) -> &mut Node {
        &mut self.thread(thread).node
    }
}
