//! What one net thread owns: its connections and its edge. No socket and no runtime: a shell moves the bytes.
//!
//! A shell's turn: [`Worker::begin_turn`], then `receive` for what was read, [`Worker::replies`], then for each
//! [`Worker::next_dirty`] slot `transmit` and the rest of its upkeep, then [`Worker::ring_bells`] once, then sleep.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tidegate_conn::{Conn, ConnConfig, ConnState, Event, Nanos, ProxyReader};
use tidegate_lane::Key;

use crate::config::Config;
use crate::gcra;
use crate::live::Live;

pub mod answer;
pub mod clock;
mod description;
mod entrance;
mod follow;
pub mod http_date;
pub mod inflight;
pub mod jitter;
pub mod outcome;
pub mod refusal;
mod replies;
pub mod request_id;
pub mod seat;
pub mod slow_lane;
pub mod stack;
pub mod stats;
pub mod stock_view;
pub mod tasks;
mod turn;
pub mod uring;

use replies::respond;
use seat::Seat;
use slow_lane::SlowLane;
use stack::{Edge, Origin, Step};

/// Told to every net thread at once.
pub struct Shared {
    /// Set once: stop accepting, finish what is in flight, end.
    pub drain: AtomicBool,
    /// Connections over all net threads.
    pub connections: AtomicUsize,
}

/// What connections are told, made from a configuration.
pub type MakeConnConfig = Box<dyn Fn(&Config) -> ConnConfig>;

struct Slot {
    conn: Conn,
    /// The socket's peer, or the client that its PROXY header names.
    peer: IpAddr,
    /// A PROXY header is due before anything else.
    header: Option<ProxyReader>,
    dirty: bool,
    /// Answers arrived since the last pump: input that waited may go on.
    answered: bool,
    /// Its requests at the backoffice.
    slow: Vec<Key>,
    /// It is among those whose requests wait for the next turn.
    postponed: bool,
    /// The socket broke, or the drain is overdue: nothing more is said on it.
    lost: bool,
}

/// When a connection takes bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admit {
    /// At once.
    Now,
    /// This turn's handshakes are used up.
    NextTurn,
    /// Its answers pile up: when some of them have left.
    WhenItReads,
}

/// The connections and the edge of one net thread.
pub struct Worker {
    slots: Vec<Option<Slot>>,
    generations: Vec<u32>,
    free: Vec<u32>,
    dirty: VecDeque<u32>,
    /// Connections with requests that wait for the next turn, because this one's verifications are used up; oldest first.
    postponed: VecDeque<u32>,
    /// Verifications so far at which this turn's are used up.
    spent_at: u64,
    edge: Edge,
    live: Arc<Live>,
    /// The number of the configuration that was taken over last.
    generation: u64,
    make_conn_config: MakeConnConfig,
    /// For new connections; those there are keep theirs.
    config: Rc<ConnConfig>,
    handshake_limit: Arc<gcra::Table>,
    shared: Arc<Shared>,
    seat: Seat,
    proxy_protocol: bool,
    handshakes_this_turn: u32,
    handshakes_max: u32,
    connections_max: usize,
    /// How long a drain may take, nanoseconds.
    drain_ns: u64,
    open: usize,
    drain_until_ns: Option<u64>,
}

/// What a worker is made of.
pub struct WorkerParts {
    /// The layers and the way to the shards.
    pub edge: Edge,
    /// The configuration in force.
    pub live: Arc<Live>,
    /// Makes the settings of new connections.
    pub conn_config: MakeConnConfig,
    /// TLS handshakes per peer address.
    pub handshake_limit: Arc<gcra::Table>,
    /// What is told to every thread at once.
    pub shared: Arc<Shared>,
    /// The other net threads, as seen from this one.
    pub seat: Seat,
    /// Whether trusted peers begin with a PROXY header.
    pub proxy_protocol: bool,
}

impl Worker {
    /// A worker without connections.
    pub fn new(parts: WorkerParts) -> Worker {
        // The number first: what is put in force in between is taken over again.
        let generation = parts.live.generation();
        let config = parts.live.current();
        let mut worker = Worker {
            slots: Vec::new(),
            generations: Vec::new(),
            free: Vec::new(),
            dirty: VecDeque::new(),
            postponed: VecDeque::new(),
            spent_at: 0,
            edge: parts.edge,
            config: Rc::new((parts.conn_config)(&config)),
            live: parts.live,
            generation,
            make_conn_config: parts.conn_config,
            handshake_limit: parts.handshake_limit,
            shared: parts.shared,
            seat: parts.seat,
            proxy_protocol: parts.proxy_protocol,
            handshakes_this_turn: 0,
            handshakes_max: 0,
            connections_max: 0,
            drain_ns: 0,
            open: 0,
            drain_until_ns: None,
        };
        worker.take_figures(&config);
        worker
    }

    /// Whether bytes may be given to a connection now. A TLS handshake in progress takes one of this turn's budget: one
    /// costs some 380 us, and a storm of them must not stall orders.
    pub fn admit(&mut self, slot: u32) -> Admit {
        let Some(entry) = self.slots[slot as usize].as_mut() else {
            return Admit::Now;
        };
        if !entry.conn.wants_read() {
            return Admit::WhenItReads;
        }
        if entry.conn.state() == ConnState::Handshake {
            if self.handshakes_this_turn >= self.handshakes_max {
                return Admit::NextTurn;
            }
            self.handshakes_this_turn += 1;
        }
        Admit::Now
    }

    /// Bytes were read.
    pub fn receive(&mut self, slot: u32, bytes: &[u8], now_ns: u64) {
        let Some(bytes) = self.after_header(slot, bytes, now_ns) else {
            return;
        };
        if let Some(entry) = self.slots[slot as usize].as_mut() {
            entry.conn.receive(Nanos(now_ns), bytes);
            self.pump(slot, now_ns);
            self.mark_dirty(slot);
        }
    }

    /// The peer sent its end.
    pub fn receive_eof(&mut self, slot: u32, now_ns: u64) {
        if let Some(entry) = self.slots[slot as usize].as_mut() {
            entry.conn.receive_eof(Nanos(now_ns));
            self.pump(slot, now_ns);
            self.mark_dirty(slot);
        }
    }

    /// The socket broke. What it asked for is decided all the same; its answers are dropped.
    pub fn lost(&mut self, slot: u32) {
        if let Some(entry) = self.slots[slot as usize].as_mut() {
            entry.lost = true;
            self.mark_dirty(slot);
        }
    }

    /// Takes the requests that a connection has complete, and answers those that need no shard.
    fn pump(&mut self, slot: u32, now_ns: u64) {
        let Some(entry) = self.slots[slot as usize].as_mut() else {
            return;
        };
        entry.answered = false;
        if entry.postponed {
            // Its turn comes by the queue.
            return;
        }
        let origin = Origin {
            slot,
            generation: self.generations[slot as usize],
            peer: entry.peer,
        };
        loop {
            if self.edge.auth.verifications() >= self.spent_at {
                entry.postponed = true;
                self.postponed.push_back(slot);
                return;
            }
            let Some(event) = entry.conn.next_event() else {
                return;
            };
            let (exchange, step) = match event {
                Event::Request(request) => (request.exchange, self.edge.handle(origin, &request, now_ns)),
                Event::Cancelled(exchange) => {
                    self.edge.lane_cancelled(&mut entry.slow, exchange, now_ns);
                    continue;
                }
            };
            match step {
                Step::Answered => respond(&mut entry.conn, &self.edge.draft, exchange, now_ns),
                Step::Waiting => {}
                Step::Asked(key) => entry.slow.push(key),
            }
        }
    }

    /// The next connection that wants attention.
    pub fn next_dirty(&mut self, now_ns: u64) -> Option<u32> {
        let slot = self.dirty.pop_front()?;
        if let Some(entry) = self.slots[slot as usize].as_mut() {
            entry.dirty = false;
            if entry.answered {
                self.pump(slot, now_ns);
            }
        }
        Some(slot)
    }

    /// Notes that a connection wants attention in this turn.
    pub fn mark_dirty(&mut self, slot: u32) {
        if let Some(entry) = self.slots[slot as usize].as_mut()
            && !std::mem::replace(&mut entry.dirty, true)
        {
            self.dirty.push_back(slot);
        }
    }

    /// Appends what is to be written; see [`Conn::transmit`]. Room in the output may let input go on: the slot is pumped again.
    pub fn transmit(&mut self, slot: u32, out: &mut Vec<u8>, cap: usize) -> bool {
        let Some(entry) = self.slots[slot as usize].as_mut().filter(|entry| !entry.lost) else {
            return false;
        };
        let some = entry.conn.transmit(out, cap);
        entry.answered |= some;
        some
    }

    /// Whether nothing more is to be said on the socket, also not what was handed to it.
    pub fn is_lost(&self, slot: u32) -> bool {
        self.slots[slot as usize].as_ref().is_none_or(|entry| entry.lost)
    }

    /// How long a write may take, nanoseconds.
    pub fn write_ns(&self) -> u64 {
        self.config.deadlines.write.0
    }

    /// Whether the socket is to be read.
    pub fn wants_read(&self, slot: u32) -> bool {
        self.slots[slot as usize]
            .as_ref()
            .is_some_and(|entry| !entry.lost && entry.conn.wants_read())
    }

    /// Whether the socket's write side is to be shut down.
    pub fn wants_shutdown(&self, slot: u32) -> bool {
        self.slots[slot as usize]
            .as_ref()
            .is_some_and(|entry| entry.conn.wants_shutdown())
    }

    /// Whether the socket is to be closed.
    pub fn is_closed(&self, slot: u32) -> bool {
        self.slots[slot as usize]
            .as_ref()
            .is_none_or(|entry| entry.lost || entry.conn.is_closed())
    }

    /// The socket is closed; the slot is free.
    pub fn close(&mut self, slot: u32) {
        if let Some(entry) = self.slots[slot as usize].take() {
            entry
                .slow
                .into_iter()
                .for_each(|key| self.edge.cancel(key, clock::now_ns()));
            self.generations[slot as usize] = self.generations[slot as usize].wrapping_add(1);
            self.free.push(slot);
            self.open -= 1;
            self.seat.closed();
            self.shared.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Shows this turn's commands to the shards: one bell each, if it sleeps.
    pub fn ring_bells(&mut self) {
        self.edge.port.ring_bells();
    }

    /// About to sleep; false when there is something to do.
    pub fn prepare_sleep(&mut self) -> bool {
        let has_work = !self.dirty.is_empty() || !self.postponed.is_empty() || self.has_refusal_due();
        if has_work || !self.edge.port.prepare_sleep() {
            return false;
        }
        // The flag of the bell is up: whoever gives this thread a socket or an answer after this look rings it.
        let arrived = self.seat.has_arrivals() || self.edge.lane.as_mut().is_some_and(SlowLane::has_events);
        if arrived {
            self.edge.port.woke();
        }
        !arrived
    }

    /// Awake again, in a shell whose ring reads the bell itself.
    pub fn disarm(&mut self) {
        self.edge.port.disarm();
    }

    /// Awake again, in a shell that only polls the bell.
    pub fn woke(&mut self) {
        self.edge.port.woke();
    }

    /// How often the ring's completion queue has overflowed, as the shell sees it.
    pub fn overflows(&mut self, count: u32) {
        self.edge.stats.cq_overflows.set(u64::from(count));
    }

    /// The eventfd that the shards ring.
    pub fn bell_fd(&self) -> RawFd {
        self.edge.port.bell_fd()
    }

    /// Whether it is on its way out.
    pub fn is_draining(&self) -> bool {
        self.drain_until_ns.is_some()
    }

    /// Nothing is left: no connection, no request at a shard.
    pub fn is_drained(&self) -> bool {
        self.is_draining() && self.open == 0 && self.edge.inflight.is_empty()
    }
}
