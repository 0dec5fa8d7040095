//! What comes in: notices, requests and messages, and the figures about them.

use tidegate_log::ShardMark;
use tidegate_node::{Parted, Ticket};
use tidegate_shard_core::Millis;

use super::*;

impl ShardThread {
    pub(super) fn read_inbox(&mut self, now: Millis) {
        loop {
            let noticed = self.noticed.take();
            match noticed.map_or_else(|| self.inbox.try_recv(), Ok) {
                Ok(Notice::SegmentReady(number, file)) => {
                    if !std::mem::replace(&mut self.has_room, true) {
                        eprintln!("tidegate: log {}: there is room again", self.settings.log);
                    }
                    self.writer.supply(number, file);
                    self.node.segment_ready(number);
                }
                Ok(Notice::NoRoom(why)) if !self.started => {
                    let dir = format!("logs/{}", self.settings.log);
                    self.fail(format!(
                        "{why}: no room for a segment in {dir}; make room, then start again"
                    ));
                }
                Ok(Notice::NoRoom(why)) => {
                    if std::mem::replace(&mut self.has_room, false) {
                        eprintln!(
                            "tidegate: log {}: {why}; orders are refused until there is room",
                            self.settings.log
                        );
                    }
                    self.node.no_room();
                }
                Ok(Notice::Broken(text)) => self.fail(text),
                Ok(Notice::Checkpointed(marks)) => self.node.checkpointed(&marks),
                Ok(Notice::CheckpointFailed) => self.node.checkpoint_failed(),
                Ok(Notice::Applied(mark)) => {
                    if let Err(parted) = self.node.applied(now, mark) {
                        self.parted(&parted);
                    }
                }
                Ok(Notice::Published(mark)) => self.published(mark),
                Ok(Notice::StopShard(shard)) => {
                    self.stats
                        .stopped_shards
                        .add(u64::from(!self.node.is_stopped(shard)));
                    self.node.stop_shard(shard);
                    self.note_bus();
                }
                Ok(Notice::OldBytes(bytes)) => self.node.set_old_bytes(bytes),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return,
            }
        }
    }

    /// The bus has more.
    fn published(&mut self, mark: ShardMark) {
        if let Err(parted) = self.node.published(mark) {
            self.parted(&parted);
        }
        if self.node.is_replicated() {
            self.stats.progress.add(1);
        }
        self.note_bus();
    }

    fn parted(&mut self, parted: &Parted) {
        eprintln!("tidegate: {parted}; the shard is stopped, its orders are refused");
        self.stats.stopped_shards.add(1);
        self.note_bus();
    }

    /// For the breaker: since when the bus owes something, or said no more.
    fn note_bus(&mut self) {
        if !self.node.is_replicated() {
            return;
        }
        let owes = self.node.unpublished_ops() > 0;
        if !owes {
            // Also where what was owed is of a shard that was stopped: no mark comes of that.
            self.stats.progress.add(1);
        }
        self.stats
            .oldest_unsynced_ns
            .set(if owes { monotonic_ns() } else { 0 });
    }

    pub(super) fn drain_nets(&mut self, now_ns: u64, now: Millis) -> usize {
        let shed_ns = self.shared.knobs.shed_after_ns();
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

    pub(super) fn drain_peers(&mut self, now: Millis) -> usize {
        let node = &mut self.node;
        let rings = self.inbound.peers.iter_mut().flatten();
        rings
            .map(|ring| ring.drain(limits::DRAIN_MAX, |envelope| node.receive(now, &envelope)))
            .sum()
    }

    pub(super) fn note_turn(&mut self, begin: u64, decided: u64, requests: usize) {
        if requests > 0 {
            let each = (decided - begin) / requests as u64;
            self.stats.decide.record_n(each, requests as u64);
            self.stats.requests.add(requests as u64);
        }
        self.note_appended(begin);
    }

    /// Tells the window and the breaker's figure what was appended.
    pub(super) fn note_appended(&mut self, at_ns: u64) {
        let last = self.node.appender().last().0;
        let records = last - self.appended;
        if records == 0 {
            return;
        }
        self.appended = last;
        if u64::from(self.node.appender().pending_records()) <= records {
            self.batch_first_ns = at_ns;
        }
        self.window
            .on_append(at_ns, u32::try_from(records).unwrap_or(u32::MAX));
        self.stats.ops.add(records);
        if self.stats.oldest_unsynced_ns.get() == 0 {
            self.stats.oldest_unsynced_ns.set(at_ns);
        }
    }
}
