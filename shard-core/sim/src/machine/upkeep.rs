//! What the machine does to its files beside the log's batches, and may be stopped in the midst of.

use tidegate_log::NewSegment;
use tidegate_node::checkpoint::{self, CheckpointJob};
use tidegate_node::{OpenError, open, segments};
use tidegate_shard_core::{Millis, ShardId};

use crate::plan::MS;
use crate::queue::Live;
use crate::world::{Broken, World};

impl World {
    pub(super) fn prepare(&mut self, thread: usize, segment: NewSegment) -> Result<(), Broken> {
        let log = self.log_of(thread);
        self.risk();
        let prepared = segments::prepare(&mut self.disk, log, &segment);
        if self.came_to_a_stop() {
            return Ok(());
        }
        match prepared {
            Ok(()) => self.node(thread).segment_ready(segment.number),
            Err(_) => {
                self.node(thread).no_room();
                self.plan_live(20 * MS, Live::Prepare(thread, segment));
            }
        }
        self.pump(thread)
    }

    pub(super) fn checkpoint(&mut self, thread: usize, job: &CheckpointJob) -> Result<(), Broken> {
        let config = self.running().config.clone();
        let shards = self.plan.shards;
        self.risk();
        let made = checkpoint::run(&mut self.disk, job, &|shard| config.shard_config(shard, shards));
        if self.came_to_a_stop() {
            return Ok(());
        }
        match made {
            Ok(marks) => {
                self.figures.checkpoints += 1;
                self.node(thread).checkpointed(&marks);
            }
            Err(error) if error.is_io() => self.node(thread).checkpoint_failed(),
            Err(error) => return Err(format!("a checkpoint of a running log failed: {error}")),
        }
        self.pump(thread)
    }

    /// Now and then the machine stops in the middle of what comes now.
    pub(crate) fn risk(&mut self) {
        if !self.calm && self.rng.below(1000) < self.plan.midway_stops {
            let operations = self.rng.below(20) as u32;
            self.disk.stop_after(Some(operations));
        }
    }

    /// Whether it did; then it is down.
    pub(crate) fn came_to_a_stop(&mut self) -> bool {
        let stopped = self.disk.has_stopped();
        self.disk.stop_after(None);
        if stopped {
            let power_loss = self.rng.percent(50);
            self.halt(power_loss);
        }
        stopped
    }

    /// Now and then the disk spoils the newest checkpoint of one log, or an operator puts another's in its place.
    pub(super) fn maybe_spoil_checkpoint(&mut self) {
        if !self.rng.percent(self.plan.spoiled_checkpoints) {
            return;
        }
        let newest: Vec<String> = self
            .disk
            .paths_in("checkpoints")
            .filter(|path| path.ends_with(".ckpt"))
            .map(str::to_owned)
            .collect();
        if newest.is_empty() {
            return;
        }
        let path = &newest[self.rng.index(newest.len())];
        let other = &newest[self.rng.index(newest.len())];
        self.trace(|| format!("{path} is spoiled"));
        self.disk.spoil(path, other, &mut self.rng);
    }

    /// At the end: a follower that has something else, or more than the log, is refused, running and at the next start.
    pub(crate) fn check_wrong_marks(&mut self) -> Result<(), Broken> {
        let marks = self.store.shard_marks();
        let mut mark = marks[self.rng.index(marks.len())];
        let beyond = self.rng.percent(50);
        match beyond {
            true => mark.op += 1,
            false => mark.chain ^= 1 << self.rng.below(64),
        }
        let Some(mut machine) = self.machine.take() else {
            return Ok(());
        };
        let (shard, thread) = (ShardId(mark.shard), machine.thread_of(ShardId(mark.shard)));
        let node = &mut machine.threads[thread].node;
        let stopped = node.applied(Millis(u64::MAX), mark).is_err() && node.is_stopped(shard);
        if !machine.following.refuses(mark) || !stopped {
            return Err(format!("the store's wrong {mark:?} was believed"));
        }
        let mut config = machine.config.clone();
        config.marks = vec![mark];
        match (open(&mut self.disk, &config, &mut |_| {}).err(), beyond) {
            (Some(OpenError::MarkNotReached { mark: of, .. }), true)
            | (Some(OpenError::OtherHistory { mark: of, .. }), false)
                if of == mark =>
            {
                Ok(())
            }
            (other, _) => Err(format!("a start with the store's wrong {mark:?}: {other:?}")),
        }
    }

    /// Takes a thread off its core for a while.
    pub(crate) fn maybe_stall(&mut self) {
        if self.machine.is_none() || self.calm || !self.rng.percent(self.plan.stalls) {
            return;
        }
        let thread = self.rng.index(self.threads());
        let longest = if self.rng.percent(75) { 50 } else { 250 };
        let until = self.now + self.rng.between(2, longest) * MS;
        self.trace(|| format!("thread {thread} stalls until {until}"));
        self.thread(thread).stalled_until = until;
    }

    pub(super) fn crash_disk(&mut self, power_loss: bool) {
        if power_loss {
            self.disk.lose_power(&mut self.rng);
        } else {
            self.disk.kill();
        }
    }
}
