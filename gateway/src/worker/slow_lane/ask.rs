//! A request into an exchange, or the refusal that keeps it here.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use tidegate_conn::{ExchangeId, Head, Request};
use tidegate_lane::{self as lane, Key, RequestBody};
use tidegate_shard_core::OrderId;

use super::{Exchange, SlowLane};
use crate::breaker::Force;
use crate::codes::Code;
use crate::recorder::Known;
use crate::worker::Worker;
use crate::worker::inflight::Waiting;
use crate::worker::refusal::Refusal;
use crate::worker::request_id::RequestId;
use crate::worker::stack::identify::Caller;
use crate::worker::stack::route::Route;
use crate::worker::stack::{Edge, Origin, Step};

/// Headers of a request that the backoffice sees. The token is not among them: the caller is verified here.
static PASSED: [HeaderName; 8] = [
    header::ACCEPT,
    header::ACCEPT_LANGUAGE,
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::IF_NONE_MATCH,
    header::ORIGIN,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("traceparent"),
];

/// A request for the backoffice and where its answer goes.
struct Asked {
    /// The connection's slot.
    pub slot: u32,
    /// Which request of the connection.
    pub exchange: ExchangeId,
    /// For the metrics by route.
    pub route: u8,
    /// Echoed in the answer.
    pub request_id: RequestId,
    /// First byte of the head, monotonic nanoseconds.
    pub first_byte_ns: u64,
    /// For the recorder.
    pub known: Known,
    /// What is asked.
    pub head: lane::Head,
    /// Its body.
    pub body: RequestBody,
}

/// An order that a shard may have forgotten, and who asks for it.
#[derive(Clone, Debug)]
pub struct OrderRead {
    /// Which order.
    pub order: OrderId,
    /// Who asks.
    pub caller: lane::Caller,
}

impl OrderRead {
    /// The request that finds it at the backoffice.
    pub fn head(&self, request_id: &RequestId) -> Result<lane::Head, Refusal> {
        Ok(lane::Head {
            method: Method::GET,
            target: target(&format!("/v1/orders/{}", self.order))?,
            headers: HeaderMap::new(),
            caller: Some(self.caller.clone()),
            request_id: text_of(request_id),
        })
    }
}

impl From<&Caller> for lane::Caller {
    fn from(caller: &Caller) -> lane::Caller {
        lane::Caller {
            buyer: caller.buyer.0,
            subject: caller.subject.clone(),
            operator: caller.operator,
        }
    }
}

/// The head of a verified request, with what is for the backoffice.
fn head_of(head: &Head<'_>, caller: Option<&Caller>, id: &RequestId) -> Result<lane::Head, Refusal> {
    let method = Method::from_bytes(head.method.as_bytes()).map_err(|_| bad_target())?;
    let mut headers = HeaderMap::new();
    for (name, value) in head.fields() {
        let passed = PASSED
            .iter()
            .find(|known| name.eq_ignore_ascii_case(known.as_str()));
        if let (Some(name), Ok(value)) = (passed, HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    // On HTTP/2 it is no field; what the backoffice links to begins with it.
    if let Ok(authority) = HeaderValue::from_str(head.authority) {
        headers.insert(header::HOST, authority);
    }
    Ok(lane::Head {
        method,
        target: target(head.path_and_query)?,
        headers,
        caller: caller.map(lane::Caller::from),
        request_id: text_of(id),
    })
}

/// Whether a method only reads (RFC 9110 section 9.2.1).
pub fn is_safe(method: &str) -> bool {
    matches!(method, "GET" | "HEAD")
}

fn target(text: &str) -> Result<Uri, Refusal> {
    text.parse().map_err(|_| bad_target())
}

fn bad_target() -> Refusal {
    Refusal::new(
        Code::InvalidPath,
        "the target has characters that must be percent-encoded (RFC 3986 section 2.1)",
    )
}

fn text_of(id: &RequestId) -> lane::RequestId {
    lane::RequestId(String::from_utf8_lossy(id.as_bytes()).into())
}

impl Edge {
    /// The backoffice is asked what the request asks. The key is to be noted with the connection.
    pub fn ask_for(
        &mut self,
        origin: Origin,
        request: &Request<'_>,
        route: &Route,
        caller: Option<&Caller>,
        (request_id, known): (RequestId, &Known),
        now_ns: u64,
    ) -> Result<Step, Refusal> {
        // Before the head is copied: a flood is refused by what is at hand.
        self.lane_room(is_safe(request.head.method), now_ns)?;
        let asked = Asked {
            slot: origin.slot,
            exchange: request.exchange,
            route: route.index() as u8,
            head: head_of(&request.head, caller, &request_id)?,
            request_id,
            first_byte_ns: request.first_byte_at.0,
            known: *known,
            body: RequestBody::Whole(Bytes::copy_from_slice(request.body)),
        };
        self.ask(asked, now_ns).map(Step::Asked)
    }

    /// Refuses what the backoffice would not be asked anyway: its places are taken, or this thread's budget is spent.
    pub fn lane_room(&mut self, is_safe: bool, now_ns: u64) -> Result<(), Refusal> {
        match &self.lane {
            Some(lane) if !lane.has_room(is_safe, now_ns) => Err(self.busy()),
            _ => Ok(()),
        }
    }

    /// What the backoffice is asked if the shard does not know the order of a request: it may have left the shard's memory.
    pub fn read_again(&self, route: &Route, caller: Option<&Caller>) -> Option<Box<OrderRead>> {
        let (Route::ReadOrder(order), Some(caller), Some(_)) = (route, caller, &self.lane) else {
            return None;
        };
        Some(Box::new(OrderRead {
            order: *order,
            caller: caller.into(),
        }))
    }

    fn ask(&mut self, asked: Asked, now_ns: u64) -> Result<Key, Refusal> {
        let Some(lane) = &mut self.lane else {
            return Err(
                self.unavailable("this gateway runs without a backoffice (backoffice.mode = \"none\")")
            );
        };
        let is_safe = asked.head.method.is_safe();
        if !lane.budget.has_room(is_safe, now_ns) {
            return Err(self.busy());
        }
        let Some(place) = lane.port.reserve() else {
            return Err(self.busy());
        };
        let row = self.board.backoffice();
        let force = row.map_or(Force::Automatic, |row| self.board.forced(row));
        let Some(admission) = lane.breaker.admit(now_ns, force) else {
            if let Some(row) = row {
                self.board.refused(self.net, row);
            }
            let why = if force == Force::Open {
                "an operator has taken the backoffice out of service"
            } else {
                "the backoffice has failed too often of late, and is left alone for some seconds"
            };
            return Err(self.unavailable(why));
        };
        let mut exchange = Exchange {
            slot: asked.slot,
            exchange: asked.exchange,
            route: asked.route,
            request_id: asked.request_id,
            is_safe,
            first_byte_ns: asked.first_byte_ns,
            known: asked.known,
            asked_ns: now_ns,
            moved_ns: now_ns,
            admission: Some(admission),
            answer: None,
        };
        match lane.port.open(place, asked.head, asked.body) {
            Ok(key) => {
                lane.budget.asked(is_safe, now_ns);
                lane.insert(key, exchange);
                Ok(key)
            }
            Err(_gone) => {
                lane.report(&mut exchange, now_ns, true);
                Err(self.unavailable("the backoffice does not run"))
            }
        }
    }

    /// 503: nobody was asked.
    pub(super) fn unavailable(&mut self, why: &'static str) -> Refusal {
        Refusal::new(Code::BackofficeUnavailable, why).retry_after(self.jitter.spread(5))
    }

    /// 503: nobody was asked, for there is too much to ask.
    pub fn busy(&mut self) -> Refusal {
        Refusal::new(
            Code::BackofficeBusy,
            "the backoffice has as many requests as it may have, or as may come in a second",
        )
        .retry_after(self.jitter.spread(1))
    }
}

impl SlowLane {
    fn insert(&mut self, key: Key, exchange: Exchange) {
        if self.exchanges.len() <= key.index() {
            self.exchanges.resize_with(key.index() + 1, || None);
        }
        self.exchanges[key.index()] = Some(exchange);
    }
}

impl Worker {
    /// The shard does not know an order: the backoffice is asked. One that cannot be reached is 503 and never 404, since
    /// the order may be there.
    pub(in crate::worker) fn ask_again(&mut self, waiting: &Waiting, read: &OrderRead, now_ns: u64) {
        if self.generations[waiting.slot as usize] != waiting.slot_generation {
            return;
        }
        let asked = read.head(&waiting.request_id).and_then(|head| {
            let asked = Asked {
                slot: waiting.slot,
                exchange: waiting.exchange,
                route: waiting.route,
                request_id: waiting.request_id,
                first_byte_ns: waiting.first_byte_ns,
                known: waiting.known,
                head,
                body: RequestBody::Whole(Bytes::new()),
            };
            self.edge.ask(asked, now_ns)
        });
        match (asked, self.slots[waiting.slot as usize].as_mut()) {
            (Ok(key), Some(entry)) => entry.slow.push(key),
            (Ok(key), None) => self.edge.cancel(key, now_ns),
            (Err(refusal), _) => {
                self.edge.stats.refused(refusal.code());
                refusal.write(&mut self.edge.draft);
                self.answer(waiting, Some(refusal.code()), None, now_ns);
            }
        }
    }
}
