//! Ten times a second: exchanges on which nothing has moved for too long.

use tidegate_lane::Key;

use crate::codes::Code;
use crate::worker::Worker;

impl Worker {
    /// Ends the exchanges of a backoffice that is silent or gone, and shows the breaker.
    pub(in crate::worker) fn lane_tick(&mut self, now_ns: u64) {
        let Some(lane) = &mut self.edge.lane else { return };
        if lane.is_empty() {
            return self.lane_publish(now_ns);
        }
        let gone = lane.port.is_gone() && !lane.port.has_events();
        let mut late: Vec<Key> = Vec::new();
        for entry in self.slots.iter().flatten() {
            late.extend(entry.slow.iter().filter(|key| {
                let Some(exchange) = &lane.exchanges[key.index()] else {
                    return false;
                };
                let silent_ns = now_ns.saturating_sub(exchange.moved_ns);
                gone || silent_ns >= lane.answer_ns
            }));
        }
        for key in late {
            let (code, detail) = if gone {
                (
                    Code::BackofficeUnavailable,
                    "the backoffice ended before it answered",
                )
            } else {
                (
                    Code::BackofficeNoAnswer,
                    "the backoffice was asked and did not answer in time",
                )
            };
            self.lane_fail(key, code, detail, now_ns);
        }
        self.lane_publish(now_ns);
    }

    fn lane_publish(&self, now_ns: u64) {
        let edge = &self.edge;
        let (Some(lane), Some(row)) = (&edge.lane, edge.board.backoffice()) else {
            return;
        };
        let (state, transitions) = lane.breaker.state(now_ns, edge.board.forced(row));
        edge.board.publish(edge.net, row, state, transitions);
        edge.stats.exchanges.set(lane.len() as u64);
    }
}
