//! The way of one net thread to the backoffice: requests that are not for the hot path, as exchanges of the slow lane.

use std::sync::Arc;

use tidegate_conn::ExchangeId;
use tidegate_lane::{Key, LanePort};

use crate::breaker::{Admission, shared};
use crate::codes::Code;
use crate::config::Config;
use crate::recorder::Known;
use crate::worker::request_id::RequestId;
use crate::worker::stack::{Edge, Ended};

mod answer;
mod ask;
mod budget;
mod collected;
mod deadline;
mod held;
mod pace;
mod replies;

pub use ask::{OrderRead, is_safe};
use budget::Budget;
use collected::Collected;
pub use held::{Held, HeldRefusal};

/// The slow lane's end and what is under way on it.
pub struct SlowLane {
    port: LanePort,
    /// The breaker of the backoffice, shared by all net threads.
    breaker: Arc<shared::Shared>,
    budget: Budget,
    /// By [`Key::index`].
    exchanges: Vec<Option<Exchange>>,
    /// How long the backoffice may be silent.
    answer_ns: u64,
    /// An answer that took longer counts as failed.
    slow_ns: u64,
}

/// A request at the backoffice.
struct Exchange {
    slot: u32,
    exchange: ExchangeId,
    route: u8,
    request_id: RequestId,
    /// Asking changes nothing (RFC 9110 section 9.2.1), so that no answer leaves nothing unknown.
    is_safe: bool,
    /// First byte of the head.
    first_byte_ns: u64,
    /// For the recorder.
    known: Known,
    /// When the request was whole, or its last part so far came.
    asked_ns: u64,
    /// When anything last moved.
    moved_ns: u64,
    /// Owed to the breaker until the answer begins, or does not.
    admission: Option<Admission>,
    /// The answer, once its head is there.
    answer: Option<Collected>,
}

impl SlowLane {
    /// A lane without exchanges.
    pub fn new(port: LanePort, breaker: Arc<shared::Shared>, config: &Config) -> SlowLane {
        let mut lane = SlowLane {
            port,
            breaker,
            budget: Budget::new(&config.slow_lane),
            exchanges: Vec::new(),
            answer_ns: 0,
            slow_ns: 0,
        };
        lane.adopt(config);
        lane
    }

    /// Takes over what another configuration says.
    pub fn adopt(&mut self, config: &Config) {
        self.budget.adopt(&config.slow_lane);
        self.answer_ns = config.slow_lane.answer.as_nanos() as u64;
        self.slow_ns = config.slow_lane.slow.as_nanos() as u64;
    }

    /// Requests under way.
    pub fn len(&self) -> usize {
        self.port.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.port.is_empty()
    }

    /// Whether one more request would be handed over, as far as places and budget go.
    pub fn has_room(&self, is_safe: bool, now_ns: u64) -> bool {
        self.budget.has_room(is_safe, now_ns) && self.port.has_room()
    }

    /// Whether the backoffice has said something: the last look before a sleep.
    pub fn has_events(&mut self) -> bool {
        self.port.has_events()
    }

    fn get_mut(&mut self, key: Key) -> Option<&mut Exchange> {
        self.exchanges.get_mut(key.index())?.as_mut()
    }

    /// Of a connection's requests, the one with this number.
    fn find(&self, keys: &[Key], exchange: ExchangeId) -> Option<Key> {
        let is_it = |key: &&Key| {
            self.exchanges[key.index()]
                .as_ref()
                .is_some_and(|e| e.exchange == exchange)
        };
        keys.iter().find(is_it).copied()
    }

    /// Ends an exchange on this side.
    fn close(&mut self, key: Key) -> Option<Exchange> {
        self.port.close(key);
        self.exchanges.get_mut(key.index())?.take()
    }

    /// Tells the breaker, once, how a request ended; one that took too long counts as failed.
    fn report(&self, exchange: &mut Exchange, now_ns: u64, failed: bool) {
        if let Some(admission) = exchange.admission.take() {
            let slow = exchange.took_ns(now_ns) > self.slow_ns;
            self.breaker.report(now_ns, admission, failed || slow);
        }
    }
}

impl Exchange {
    /// How long the backoffice has had all that came of the request.
    fn took_ns(&self, now_ns: u64) -> u64 {
        now_ns.saturating_sub(self.asked_ns)
    }

    /// What the recorder is told at its end; a refusal's code, if it is one.
    fn ended(&self, code: Option<Code>) -> Ended<'_> {
        Ended {
            route: usize::from(self.route),
            id: &self.request_id,
            first_byte_ns: self.first_byte_ns,
            known: &self.known,
            code,
            stages: None,
        }
    }
}

impl Edge {
    /// The client gave a request up.
    pub fn lane_cancelled(&mut self, keys: &mut Vec<Key>, exchange: ExchangeId, now_ns: u64) {
        let key = self.lane.as_ref().and_then(|lane| lane.find(keys, exchange));
        if let Some(key) = key {
            keys.retain(|other| *other != key);
            self.cancel(key, now_ns);
        }
    }

    /// Nobody waits for a request any more: its client is gone. That says nothing of the backoffice, unless it was slow.
    pub fn cancel(&mut self, key: Key, now_ns: u64) {
        let Some(lane) = &mut self.lane else { return };
        let Some(mut exchange) = lane.close(key) else {
            return;
        };
        if exchange.took_ns(now_ns) > lane.slow_ns {
            lane.report(&mut exchange, now_ns, true);
        } else if let Some(admission) = exchange.admission.take() {
            lane.breaker.withdraw(admission);
        }
    }
}
