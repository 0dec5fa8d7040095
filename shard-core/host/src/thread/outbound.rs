//! The writing ends of a shard thread: replies and rows to net threads, messages to its peers.

use std::collections::HashMap;
use std::sync::Arc;

use tidegate_link::{Bell, Producer};
use tidegate_node::{Envelope, Node, StockRow};
use tidegate_shard_core::SkuName;

use crate::port::Event;
use crate::stats::ThreadStats;

pub(super) struct Outbound {
    nets: Vec<Net>,
    /// The first of them are net threads, the rest control threads.
    serving: usize,
    peers: Vec<Option<Producer<Envelope>>>,
    peer_bells: Vec<Arc<Bell>>,
    /// Slots of each reply ring that rows may not take.
    credits: usize,
    stuck: bool,
    stats: Arc<ThreadStats>,
}

struct Net {
    ring: Producer<Event>,
    bell: Arc<Bell>,
    /// The newest row of each SKU that found no room. Bounded by the number of SKUs.
    late: HashMap<SkuName, StockRow>,
}

impl Outbound {
    pub(super) fn new(
        to_nets: Vec<Producer<Event>>,
        net_bells: Vec<Arc<Bell>>,
        peers: Vec<Option<Producer<Envelope>>>,
        peer_bells: Vec<Arc<Bell>>,
        credits: usize,
        control_ports: usize,
        stats: Arc<ThreadStats>,
    ) -> Outbound {
        let serving = to_nets.len().saturating_sub(control_ports);
        let nets = to_nets.into_iter().zip(net_bells);
        let nets = nets
            .map(|(ring, bell)| Net {
                ring,
                bell,
                late: HashMap::new(),
            })
            .collect();
        Outbound {
            nets,
            serving,
            peers,
            peer_bells,
            credits,
            stuck: false,
            stats,
        }
    }

    /// The slot was reserved when the request was sent, so it is there.
    #[inline]
    pub(super) fn reply(&mut self, net: usize, event: Event) {
        let refused = self.nets[net].ring.push(event).is_err();
        debug_assert!(!refused, "a reply has a reserved slot");
    }

    pub(super) fn stock(&mut self, row: StockRow) {
        for net in &mut self.nets[..self.serving] {
            if !net.late.is_empty() || !net.row(row, self.credits) {
                net.late.insert(row.sku, row);
            }
        }
    }

    /// Rows that found no room before, as far as there is room now.
    pub(super) fn send_late_rows(&mut self) {
        for net in self.nets.iter_mut().filter(|net| !net.late.is_empty()) {
            if net.ring.is_abandoned() {
                net.late.clear();
                continue;
            }
            let mut late = std::mem::take(&mut net.late);
            late.retain(|_, row| !net.row(*row, self.credits));
            net.late = late;
        }
    }

    /// Messages as far as there is room; the rest waits in the node.
    pub(super) fn send_messages(&mut self, node: &mut Node) {
        self.stuck = false;
        for (thread, ring) in self.peers.iter_mut().enumerate() {
            let Some(ring) = ring else { continue };
            while ring.has_room(1) {
                let Some(envelope) = node.pop_send(thread) else {
                    break;
                };
                _ = ring.push(envelope);
                self.stats.messages.add(1);
            }
            self.stuck |= !ring.has_room(1);
        }
    }

    /// Messages may wait in the node for room in a ring, and nobody rings when there is.
    pub(super) fn is_stuck(&self) -> bool {
        self.stuck
    }

    /// A net thread is at work, so more requests may come soon. One whose port is gone never sleeps again.
    pub(super) fn nets_are_awake(&self) -> bool {
        let works = |net: &Net| !net.bell.is_asleep() && !net.ring.is_abandoned();
        self.nets[..self.serving].iter().any(works)
    }

    /// Shows everything to its readers, and wakes those that sleep: one bell a thread.
    pub(super) fn publish(&mut self) {
        for net in &mut self.nets {
            if net.ring.publish() && net.bell.ring() {
                self.stats.bells.add(1);
            }
        }
        for (ring, bell) in self.peers.iter_mut().zip(&self.peer_bells) {
            if ring.as_mut().is_some_and(Producer::publish) && bell.ring() {
                self.stats.bells.add(1);
            }
        }
    }
}

impl Net {
    /// Puts a row into the ring if that leaves every reserved reply its slot.
    fn row(&mut self, row: StockRow, credits: usize) -> bool {
        self.ring.has_room(credits + 1) && self.ring.push(Event::Stock(row)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_net_thread_that_is_gone_is_not_at_work() {
        let (rings, mut ports): (Vec<_>, Vec<_>) = (0..2).map(|_| tidegate_link::ring(4)).unzip();
        let bells: Vec<_> = (0..2).map(|_| Arc::new(Bell::for_thread())).collect();
        let out = Outbound::new(rings, bells.clone(), Vec::new(), Vec::new(), 1, 0, Arc::default());
        bells[0].prepare_sleep();
        assert!(out.nets_are_awake());
        drop(ports.pop());
        assert!(!out.nets_are_awake());
        bells[0].woke();
        assert!(out.nets_are_awake());
    }
    #[test]
    fn a_control_thread_gets_replies_but_no_rows_and_no_batch_waits_for_it() {
        let (rings, mut ports): (Vec<_>, Vec<_>) = (0..2).map(|_| tidegate_link::ring(4)).unzip();
        let bells: Vec<_> = (0..2).map(|_| Arc::new(Bell::for_thread())).collect();
        let mut out = Outbound::new(rings, bells.clone(), Vec::new(), Vec::new(), 1, 1, Arc::default());
        bells[0].prepare_sleep();
        assert!(!out.nets_are_awake(), "only the control thread is");
        let sku = SkuName::parse(b"SKU-1").unwrap();
        out.stock(StockRow {
            sku,
            op: tidegate_shard_core::Op(1),
            stocked: 1,
            available: 1,
            held: 0,
            sold: 0,
        });
        out.reply(
            1,
            Event::Reply {
                ticket: 7,
                answer: crate::port::Answer::Shed,
                times: crate::port::StageTimes::default(),
            },
        );
        out.publish();
        assert!(matches!(ports[0].pop(), Some(Event::Stock(_))));
        assert!(matches!(ports[1].pop(), Some(Event::Reply { ticket: 7, .. })));
        assert!(ports[1].pop().is_none());
    }
}
