//! What waits for the bus: [`Durability::Replicated`].
//!
//! Answers, rows and messages to other shards wait until their shard's op is published. Messages do, because what they cause elsewhere is
//! published on its own: a hold that is on the bus without the attempt that asked for it, or a commit without a hold that it counts, would
//! be a shop that never was. So every cause is on the bus before its effect exists, and what the bus has at any moment is a state that this
//! machine could have crashed in.

use super::*;
use crate::durability::Durability;
use crate::feed::Parted;

impl Node {
    /// The bus has everything of the mark's shard up to its op: what depends on that may leave. It frees nothing, and an older mark changes
    /// nothing. A [`Feed`](crate::Feed) has compared the hash with what it handed out.
    ///
    /// # Errors
    /// The bus says to have what is not durable here, or something else: the shard was stopped. Say so loudly.
    pub fn published(&mut self, mark: ShardMark) -> Result<(), Parted> {
        let Some(at) = self.home(ShardId(mark.shard)) else {
            return Ok(());
        };
        let home = &self.homes[at];
        let known = mark.op <= home.unpublished.published().0;
        if self.failed || !self.started || home.stopped || known {
            return Ok(());
        }
        if let Err(parted) = self.compare(home, mark) {
            self.stop_shard(ShardId(mark.shard));
            return Err(parted);
        }
        self.homes[at].unpublished.advance(Op(mark.op));
        self.release_published(at);
        Ok(())
    }

    fn release_published(&mut self, at: usize) {
        let home = &mut self.homes[at];
        while let Some(output) = home.unpublished.pop_output() {
            self.bus_answers -= usize::from(matches!(output, Output::Reply { .. }));
            // What is published is durable: the feed hands out nothing else.
            self.outputs.push(self.progress, Lsn(0), output);
        }
        if home.stock_changed {
            self.rows_at = self.rows_at.min(home.stock_at);
        }
        while let Some(envelope) = self.homes[at].unpublished.pop_send() {
            self.bus_sends -= 1;
            self.route(envelope);
        }
    }

    /// Whether the shard's present op has to be published before anything that depends on it leaves.
    pub(super) fn waits_for_bus(&self, home: &Home) -> bool {
        self.config.durability == Durability::Replicated && home.shard.op() > home.unpublished.published()
    }

    /// Lets an output out once its shard's present op is published.
    pub(super) fn wait_for_bus(&mut self, at: usize, output: Output) {
        let home = &mut self.homes[at];
        match output {
            Output::Reply { ticket, .. } if home.stopped => self.refuse(ticket, Unavailable::NotPublished),
            Output::Stock(_) if home.stopped => {}
            output => {
                self.bus_answers += usize::from(matches!(output, Output::Reply { .. }));
                home.unpublished.push_output(home.shard.op(), output);
            }
        }
    }

    /// Lets a message out once its shard's present op is published; past a bound the protocol has to ask again.
    pub(super) fn send_by_bus(&mut self, at: usize, envelope: Envelope) {
        if self.bus_sends >= limits::BUS_SENDS_MAX {
            self.dropped_messages += 1;
            return;
        }
        self.bus_sends += 1;
        let home = &mut self.homes[at];
        home.unpublished.push_send(home.shard.op(), envelope);
    }

    /// A shard that was stopped is not published any more: who waits for it is told that nothing is known.
    pub(super) fn give_up_unpublished(&mut self, at: usize) {
        let (outputs, sends) = self.homes[at].unpublished.give_up();
        self.bus_sends -= sends;
        for (_, output) in outputs {
            if let Output::Reply { ticket, .. } = output {
                self.bus_answers -= 1;
                self.refuse(ticket, Unavailable::NotPublished);
            }
        }
    }

    /// How far the bus is known to have a shard of this thread.
    pub fn published_upto(&self, shard: ShardId) -> Option<Op> {
        self.home(shard).map(|at| self.homes[at].unpublished.published())
    }

    /// Whether what leaves waits for the bus.
    pub fn is_replicated(&self) -> bool {
        self.config.durability == Durability::Replicated
    }

    /// Ops of all shards that the bus is not known to have; those of stopped shards, which it will never have, are left out, and so is
    /// a shard that no bus was ever heard of for, unless something waits for one.
    pub fn unpublished_ops(&self) -> u64 {
        let counts =
            |home: &&Home| !home.stopped && (self.is_replicated() || home.unpublished.published() > Op(0));
        let behind = |home: &Home| home.shard.op().0 - home.unpublished.published().0;
        self.homes.iter().filter(counts).map(behind).sum()
    }

    /// Answers that wait for the bus.
    pub fn bus_answers(&self) -> usize {
        self.bus_answers
    }
}
