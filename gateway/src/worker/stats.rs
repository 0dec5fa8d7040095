//! Figures of one net thread: that thread alone writes them, the admin thread reads.

use tidegate_link::stats::{Counter, Histogram};

use crate::codes::Code;
use crate::worker::stack::route::ROUTE_NAMES;

/// Statuses we answer with; the last row stands for any other.
pub const STATUSES: [u16; 22] = [
    200, 201, 202, 204, 302, 303, 304, 400, 401, 403, 404, 405, 409, 413, 415, 421, 422, 429, 500, 503, 504,
    0,
];

/// Counters and histograms of a net thread. Durations are nanoseconds.
#[derive(Debug, Default)]
pub struct NetStats {
    /// Answers by route and status, row after row.
    answers: Table,
    /// Refusals by code.
    pub refusals: Refusals,
    /// Requests that a connection refused by itself (malformed, too large, too slow).
    pub conn_refusals: ConnRefusals,
    /// Head's first byte to answer handed to the connection.
    pub duration: Histogram,
    /// First byte to its turn at the shard.
    pub ring_wait: Histogram,
    /// Its turn to decided.
    pub decide: Histogram,
    /// Decided to durable: the wait for the commit window and for the disk.
    pub commit: Histogram,
    /// Durable to answer handed to the connection.
    pub reply: Histogram,
    /// A request whole to the backoffice's answer.
    pub backoffice: Histogram,
    /// Requests at the backoffice now.
    pub exchanges: Counter,
    /// Connections now.
    pub connections: Counter,
    /// Connections taken so far.
    pub accepted: Counter,
    /// Connections refused: at the limit, or too many handshakes of one address.
    pub accept_refused: Counter,
    /// Trusted peers whose connection did not begin with a PROXY header, where one is due.
    pub bad_proxy_headers: Counter,
    /// Sockets accepted here and given to a thread with fewer connections.
    pub handed_over: Counter,
    /// TLS handshakes.
    pub handshakes: Counter,
    /// Those of them that resumed a session.
    pub handshakes_resumed: Counter,
    /// Tokens found in the cache.
    pub tokens_remembered: Counter,
    /// Tokens verified.
    pub tokens_verified: Counter,
    /// Answers that came after their request was answered 504.
    pub late_replies: Counter,
    /// Requests at the shards now.
    pub inflight: Counter,
    /// CPU time of the thread.
    pub cpu_ns: Counter,
    /// Times the ring's completion queue overflowed.
    pub cq_overflows: Counter,
    /// Turns of the loop.
    pub turns: Counter,
}

/// One counter a route and status.
#[derive(Debug)]
struct Table([[Counter; STATUSES.len()]; ROUTE_NAMES.len()]);

impl Default for Table {
    fn default() -> Table {
        Table(std::array::from_fn(|_| {
            std::array::from_fn(|_| Counter::default())
        }))
    }
}

/// One counter a [`Code`].
#[derive(Debug)]
pub struct Refusals(Box<[Counter]>);

impl Default for Refusals {
    fn default() -> Refusals {
        Refusals(Code::ALL.iter().map(|_| Counter::default()).collect())
    }
}

/// One counter a reason of the connection machine.
#[derive(Debug)]
pub struct ConnRefusals(Box<[Counter]>);

impl Default for ConnRefusals {
    fn default() -> ConnRefusals {
        ConnRefusals(
            tidegate_conn::Refusal::ALL
                .iter()
                .map(|_| Counter::default())
                .collect(),
        )
    }
}

impl ConnRefusals {
    /// Takes over what the connections of the thread have counted.
    pub fn copy(&self, counters: &tidegate_conn::Counters) {
        for (counter, reason) in self.0.iter().zip(tidegate_conn::Refusal::ALL) {
            counter.set(counters.refused(reason));
        }
    }

    /// Reason and count.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
        tidegate_conn::Refusal::ALL
            .iter()
            .zip(&self.0)
            .map(|(reason, counter)| (reason.code(), counter.get()))
    }
}

impl NetStats {
    /// Counts an answer.
    pub fn answered(&self, route: usize, status: u16, duration_ns: u64) {
        let column = STATUSES
            .iter()
            .position(|s| *s == status)
            .unwrap_or(STATUSES.len() - 1);
        self.answers.0[route][column].add(1);
        self.duration.record(duration_ns);
    }

    /// Counts a refusal.
    pub fn refused(&self, code: Code) {
        self.refusals.0[code as usize].add(1);
    }

    /// Route, status (0: any other) and count, of those that are not zero.
    pub fn answers(&self) -> impl Iterator<Item = (&'static str, u16, u64)> {
        self.answers
            .0
            .iter()
            .zip(ROUTE_NAMES)
            .flat_map(|(row, route)| {
                row.iter()
                    .zip(STATUSES)
                    .map(move |(counter, status)| (route, status, counter.get()))
            })
            .filter(|(_, _, count)| *count > 0)
    }

    /// Code and count.
    pub fn refusals(&self) -> impl Iterator<Item = (Code, u64)> {
        Code::ALL
            .iter()
            .zip(&self.refusals.0)
            .map(|(code, counter)| (*code, counter.get()))
    }
}
