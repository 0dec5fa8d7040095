//! Refusals that are told a moment later.
//!
//! A refusal costs the thread nearly what an order does: most of either is the socket and TLS. Who is refused at once and asks again at once can have a
//! whole core refuse. So a thread tells so many refusals of the slow lane a second; the others wait for their turn, and with them those who
//! would ask again. Nobody is worse off for it: `Retry-After` says at least a second.

use std::collections::VecDeque;

use tidegate_conn::ExchangeId;

use super::pace::Pace;
use crate::limits::{
    LANE_REFUSAL_WAIT_NS, LANE_REFUSALS_AT_ONCE, LANE_REFUSALS_HELD_MAX, LANE_REFUSALS_PER_S,
    LANE_REFUSALS_PER_TURN,
};
use crate::recorder::Known;
use crate::worker::refusal::Refusal;
use crate::worker::replies::respond;
use crate::worker::request_id::RequestId;
use crate::worker::stack::{Ended, Origin};
use crate::worker::{Worker, clock};

/// A refusal and where it goes.
pub struct HeldRefusal {
    /// Which connection; of another generation it is gone.
    pub origin: Origin,
    /// Which request of it.
    pub exchange: ExchangeId,
    /// Index of its route.
    pub route: usize,
    /// Echoed in the answer.
    pub request_id: RequestId,
    /// First byte of the head.
    pub first_byte_ns: u64,
    /// When it was refused.
    pub refused_ns: u64,
    /// For the recorder.
    pub known: Known,
    /// What is told.
    pub refusal: Refusal,
}

/// The refusals of one net thread that wait, oldest first.
pub struct Held {
    pace: Pace,
    waiting: VecDeque<(u64, HeldRefusal)>,
}

impl Default for Held {
    fn default() -> Held {
        Held {
            pace: Pace::new(LANE_REFUSALS_PER_S, LANE_REFUSALS_AT_ONCE),
            waiting: VecDeque::new(),
        }
    }
}

impl Held {
    /// When the next refusal is to be told; `None`: now.
    pub fn when(&mut self, now_ns: u64) -> Option<u64> {
        if self.waiting.len() >= LANE_REFUSALS_HELD_MAX {
            return None;
        }
        let due_ns = self.pace.due(now_ns, LANE_REFUSAL_WAIT_NS);
        (due_ns > now_ns).then_some(due_ns)
    }

    /// Keeps a refusal until `due_ns`, as [`when`](Self::when) said.
    pub fn keep(&mut self, due_ns: u64, refusal: HeldRefusal) {
        self.waiting.push_back((due_ns, refusal));
    }

    /// The next refusal whose time has come.
    pub fn next(&mut self, now_ns: u64) -> Option<HeldRefusal> {
        if !self.is_due(now_ns) {
            return None;
        }
        self.waiting.pop_front().map(|(_, refusal)| refusal)
    }

    /// Whether one is to be told.
    pub fn is_due(&self, now_ns: u64) -> bool {
        self.waiting.front().is_some_and(|(due_ns, _)| *due_ns <= now_ns)
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl Worker {
    /// Tells refusals whose time has come, a few a turn: orders come first.
    pub(in crate::worker) fn tell_refusals(&mut self, now_ns: u64) {
        for _ in 0..LANE_REFUSALS_PER_TURN {
            let Some(held) = self.edge.held.next(now_ns) else {
                return;
            };
            self.tell(&held, now_ns);
        }
    }

    /// Whether a refusal is to be told now. Costs a look at an empty queue while nothing is held back.
    pub(in crate::worker) fn has_refusal_due(&self) -> bool {
        !self.edge.held.is_empty() && self.edge.held.is_due(clock::now_ns())
    }

    fn tell(&mut self, held: &HeldRefusal, now_ns: u64) {
        let slot = held.origin.slot;
        let edge = &mut self.edge;
        held.refusal.write(&mut edge.draft);
        let ended = Ended {
            route: held.route,
            id: &held.request_id,
            first_byte_ns: held.first_byte_ns,
            known: &held.known,
            code: Some(held.refusal.code()),
            stages: None,
        };
        // The figures show what the request took here. That it was told later is on purpose.
        edge.finish(&ended, held.refused_ns);
        if self.generations[slot as usize] != held.origin.generation {
            return;
        }
        if let Some(entry) = self.slots[slot as usize].as_mut() {
            respond(&mut entry.conn, &edge.draft, held.exchange, now_ns);
        }
        self.lane_moved(slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    #[test]
    fn a_few_refusals_are_told_at_once_and_a_flood_of_them_at_the_rate() {
        let mut held = Held::default();
        let waits: Vec<_> = (0..LANE_REFUSALS_AT_ONCE + LANE_REFUSALS_PER_S / 2)
            .map(|_| held.when(SECOND_NS))
            .collect();
        let (at_once, later) = waits.split_at(LANE_REFUSALS_AT_ONCE as usize);
        assert!(at_once.iter().all(Option::is_none), "{at_once:?}");
        assert!(later.is_sorted() && later[0].is_some(), "{later:?}");
        let last_ns = later[later.len() - 1].unwrap() - SECOND_NS;
        assert!((499_000_000..=501_000_000).contains(&last_ns), "{last_ns}");
    }

    #[test]
    fn no_refusal_waits_longer_than_the_bound_however_many_there_are() {
        let mut held = Held::default();
        for _ in 0..10 * LANE_REFUSALS_PER_S {
            let due_ns = held.when(SECOND_NS).unwrap_or(SECOND_NS);
            assert!(due_ns <= SECOND_NS + LANE_REFUSAL_WAIT_NS);
        }
        // And those who come later do not wait for those who were told early.
        let later_ns = SECOND_NS + LANE_REFUSAL_WAIT_NS + SECOND_NS;
        assert_eq!(held.when(later_ns), None);
    }
}
