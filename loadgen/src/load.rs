//! People who order, read, cancel and pay, each request remembered for the verifier.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::followed::Followed;
use crate::ledger::{
    Kind, Ledger, Line, Outcome, Record, RecordId, Stock, StockSeen, find_code, find_order_id, write_number,
};
use crate::limits::{RECENT_ORDERS_MAX, RECORDS_MAX};
use crate::meter::Meter;
use crate::mix::{Action, Mix};
use crate::pace::{Due, Pace};
use crate::request::{Answer, Connections, Flight, Method, Next, Request, Source};
use crate::rng::Rng;
use crate::skus::{Chooser, SkuId};
use crate::users::{OPERATORS, operator};

/// A key whose outcome is unknown is asked about again after this long.
const RETRY_NS: u64 = 20_000_000;

/// The load and what came of it.
pub struct Load {
    /// Schedule.
    pub pace: Pace,
    /// Figures.
    pub meter: Meter,
    /// Every request.
    pub ledger: Ledger,
    /// Which SKUs.
    pub skus: Chooser,
    /// Set from outside to end the load early.
    pub stop: Arc<AtomicBool>,
    /// SKUs whose stock is read once a second, whatever the mix.
    pub followed: Followed,
    mix: Mix,
    rng: Rng,
    users: u32,
    next_user: u32,
    next_operator: u32,
    /// Orders that were made and not yet cancelled or confirmed by us.
    recent: Vec<RecordId>,
    recent_at: usize,
    retries: VecDeque<(u64, RecordId)>,
    over: bool,
}

impl Load {
    /// A load of `users` people.
    pub fn new(
        pace: Pace,
        meter: Meter,
        ledger: Ledger,
        skus: Chooser,
        mix: Mix,
        users: u32,
        seed: u64,
    ) -> Load {
        Load {
            pace,
            meter,
            ledger,
            skus,
            stop: Arc::default(),
            followed: Followed::default(),
            mix,
            rng: Rng::seeded(seed),
            users: users.max(1),
            next_user: 0,
            next_operator: 0,
            recent: Vec::new(),
            recent_at: 0,
            retries: VecDeque::new(),
            over: false,
        }
    }

    fn person(&mut self) -> u32 {
        self.next_user = (self.next_user + 1) % self.users;
        self.next_user
    }

    fn record(&mut self, intended: u64, now: u64, kind: Kind, user: u32, origin: RecordId) -> &mut Record {
        let (lines, order) = match self.ledger.records.get(origin as usize) {
            Some(first) => (first.lines, first.order),
            None => (self.ledger.add_lines(&[Line { sku: 0, qty: 0 }]), 0),
        };
        let record = Record {
            intended,
            sent: now,
            answered: 0,
            order,
            user,
            origin,
            lines,
            status: 0,
            kind,
            outcome: Outcome::Waiting,
        };
        self.ledger.records.push(record);
        self.ledger.records.last_mut().expect("just pushed")
    }

    fn next_id(&self) -> RecordId {
        self.ledger.records.len() as RecordId
    }

    fn choose_lines(&mut self, multi: bool) -> Vec<Line> {
        let count = if multi { 2 + self.rng.below(3) as usize } else { 1 };
        let mut lines: Vec<Line> = Vec::with_capacity(count);
        // With few SKUs an order has fewer lines; they must be distinct.
        for _ in 0..count * 4 {
            let sku = self.skus.choose();
            if lines.len() < count && lines.iter().all(|l| l.sku != sku) {
                lines.push(Line {
                    sku,
                    qty: 1 + u16::from(multi && self.rng.below(4) == 0),
                });
            }
        }
        lines
    }

    fn take_recent(&mut self, keep: bool) -> Option<RecordId> {
        if self.recent.is_empty() {
            return None;
        }
        let n = self.rng.below(self.recent.len() as u64) as usize;
        Some(if keep {
            self.recent[n]
        } else {
            self.recent.swap_remove(n)
        })
    }

    fn begin(&mut self, intended: u64, now: u64, request: &mut Request) {
        let action = self.mix.choose(&mut self.rng);
        let about = match action {
            Action::Read | Action::Repeat => self.take_recent(true),
            Action::Cancel | Action::Confirm => self.take_recent(false),
            Action::Order | Action::Multi | Action::Stock => None,
        };
        match (action, about) {
            (Action::Stock, _) => self.read_stock(intended, now, request),
            (Action::Repeat, Some(origin)) => self.place_again(intended, now, origin, request),
            (Action::Read, Some(origin)) => self.about_order(intended, now, Kind::ReadOrder, origin, request),
            (Action::Cancel, Some(origin)) => self.about_order(intended, now, Kind::Cancel, origin, request),
            (Action::Confirm, Some(origin)) => {
                self.about_order(intended, now, Kind::Confirm, origin, request)
            }
            (action, _) => self.place(intended, now, action == Action::Multi, request),
        }
    }

    fn place(&mut self, intended: u64, now: u64, multi: bool, request: &mut Request) {
        let id = self.next_id();
        let user = self.person();
        let lines = if multi {
            let lines = self.choose_lines(true);
            self.ledger.add_lines(&lines)
        } else {
            let sku = self.skus.choose();
            self.ledger.add_lines(&[Line { sku, qty: 1 }])
        };
        let record = self.record(intended, now, Kind::Place, user, id);
        record.lines = lines;
        self.fill_place(id, id, user, request);
    }

    fn place_again(&mut self, intended: u64, now: u64, origin: RecordId, request: &mut Request) {
        let id = self.next_id();
        let user = self.ledger.records[origin as usize].user;
        let record = self.record(intended, now, Kind::Place, user, origin);
        record.order = 0;
        self.fill_place(id, origin, user, request);
    }

    fn fill_place(&self, id: RecordId, origin: RecordId, user: u32, request: &mut Request) {
        request.flight = id;
        request.method = Method::Post;
        request.path.extend_from_slice(b"/v1/orders");
        request.user = user;
        self.ledger.write_key(origin, &mut request.key);
        self.ledger.write_body(
            &self.ledger.records[id as usize],
            self.skus.names(),
            &mut request.body,
        );
    }

    fn about_order(&mut self, intended: u64, now: u64, kind: Kind, origin: RecordId, request: &mut Request) {
        let id = self.next_id();
        let mut user = self.ledger.records[origin as usize].user;
        if kind == Kind::Confirm {
            self.next_operator = (self.next_operator + 1) % OPERATORS;
            user = operator(self.next_operator);
        }
        let order = self.record(intended, now, kind, user, origin).order;
        request.flight = id;
        request.user = user;
        request.path.extend_from_slice(b"/v1/orders/");
        write_number(order, &mut request.path);
        match kind {
            Kind::Cancel => request.path.extend_from_slice(b"/cancel"),
            Kind::Confirm => {
                request.path.extend_from_slice(b"/confirm");
                request.body.extend_from_slice(b"{\"charge\":\"ch_");
                write_number(order, &mut request.body);
                request.body.extend_from_slice(b"\"}");
            }
            Kind::Place | Kind::ReadOrder | Kind::ReadStock => return,
        }
        request.method = Method::Post;
    }

    fn read_stock(&mut self, intended: u64, now: u64, request: &mut Request) {
        let user = self.person();
        let sku = self.skus.choose();
        self.ask_stock(intended, now, user, sku, request);
    }

    /// Asks as anybody does: an operator is told the exact stock, and beside it what others are told a moment later over the same
    /// connection would seem to go back.
    fn follow_stock(&mut self, now: u64, sku: SkuId, request: &mut Request) {
        let user = self.person();
        self.ask_stock(now, now, user, sku, request);
    }

    fn ask_stock(&mut self, intended: u64, now: u64, user: u32, sku: SkuId, request: &mut Request) {
        let id = self.next_id();
        let record = self.record(intended, now, Kind::ReadStock, user, id);
        record.lines = crate::ledger::LinesRef::One(Line { sku, qty: 0 });
        request.flight = id;
        request.user = user;
        request.path.extend_from_slice(b"/v1/stock/");
        request.path.extend_from_slice(self.skus.name(sku).as_bytes());
    }

    /// Keeps what a stock read said: for the verifier, whoever asked.
    fn keep_stock(&mut self, flight: Flight, answer: Answer<'_>) {
        let record = &self.ledger.records[flight as usize];
        let (Ok(stock), Outcome::Done, [line]) = (
            serde_json::from_slice::<Stock>(answer.body),
            record.outcome,
            self.ledger.lines(record),
        ) else {
            return;
        };
        let seen = StockSeen {
            record: flight,
            connection: answer.connection,
            sku: line.sku,
            stock,
        };
        self.ledger.stock_seen.push(seen);
    }

    fn remember(&mut self, origin: RecordId) {
        if self.recent.len() < RECENT_ORDERS_MAX {
            self.recent.push(origin);
        } else {
            self.recent_at = (self.recent_at + 1) % RECENT_ORDERS_MAX;
            self.recent[self.recent_at] = origin;
        }
    }
}

/// What an answer means for the request.
pub fn judge(kind: Kind, status: u16, body: &[u8]) -> Outcome {
    match (kind, status) {
        (Kind::Place, 200 | 201) => Outcome::Made,
        (_, 200..=299) => Outcome::Done,
        (_, 429 | 503) => Outcome::Shed,
        (_, 400..=499) => match find_code(body) {
            Some(b"sold_out") => Outcome::SoldOut,
            Some(b"limit_reached") => Outcome::LimitReached,
            _ => Outcome::Refused,
        },
        _ => Outcome::Unknown,
    }
}

impl Source for Load {
    fn next(&mut self, now: u64, request: &mut Request) -> Next {
        if self.stop.load(Ordering::Relaxed) || self.ledger.records.len() >= RECORDS_MAX {
            self.pace.stop();
        }
        if let Some(&(at, origin)) = self.retries.front()
            && at <= now
            && !self.stop.load(Ordering::Relaxed)
        {
            self.retries.pop_front();
            self.place_again(now, now, origin, request);
            self.meter.sent();
            return Next::Send;
        }
        if !self.pace.is_over(now)
            && let Some(sku) = self.followed.due(now, self.next_id())
        {
            self.follow_stock(now, sku, request);
            return Next::Send;
        }
        match self.pace.take(now) {
            Due::Now(intended) => {
                self.begin(intended, now, request);
                self.meter.sent();
                Next::Send
            }
            Due::At(at) => Next::WaitUntil(at),
            Due::Over => Next::Wait,
        }
    }

    fn answered(&mut self, now: u64, flight: Flight, answer: Answer<'_>) {
        let record = &mut self.ledger.records[flight as usize];
        record.answered = now;
        record.status = answer.status;
        record.outcome = judge(record.kind, answer.status, answer.body);
        if self.followed.answered(flight) {
            self.keep_stock(flight, answer);
            return;
        }
        self.meter.answered(
            now,
            answer.status,
            now.saturating_sub(record.intended),
            answer.body,
        );
        let (kind, origin, outcome) = (record.kind, record.origin, record.outcome);
        match (kind, outcome) {
            (Kind::Place, Outcome::Made) => {
                let order = find_order_id(answer.body).unwrap_or(0);
                record.order = order;
                // The first attempt's record may be this one.
                let first = &mut self.ledger.records[origin as usize];
                let is_new = origin == flight || first.order == 0;
                first.order = if first.order == 0 { order } else { first.order };
                if is_new && order != 0 {
                    self.remember(origin);
                }
            }
            (Kind::Place, Outcome::Unknown) => self.retries.push_back((now + RETRY_NS, origin)),
            (Kind::ReadStock, Outcome::Done) => self.keep_stock(flight, answer),
            _ => {}
        }
    }

    fn lost(&mut self, now: u64, flight: Flight) {
        let record = &mut self.ledger.records[flight as usize];
        record.answered = now;
        record.outcome = Outcome::Unknown;
        if self.followed.answered(flight) {
            return;
        }
        self.meter.lost();
        if record.kind == Kind::Place {
            let origin = record.origin;
            self.retries.push_back((now + RETRY_NS, origin));
        }
    }

    fn is_finished(&self, now: u64) -> bool {
        self.over || self.stop.load(Ordering::Relaxed) || self.pace.is_over(now)
    }

    fn tick(&mut self, now: u64, connections: Connections) {
        self.over = self.pace.is_over(now);
        self.meter.tick(now, self.pace.skipped(), connections);
    }
}
