//! A net thread's end: requests in, events out.

use std::os::fd::RawFd;
use std::sync::Arc;

use tidegate_link::{Bell, NetEnd};
use tidegate_shard_core::{Command, Outcome, ShardId};

use crate::shared::Shared;
use crate::stats::ThreadStats;

pub use tidegate_node::{StockRow, Unavailable};

/// One command for one shard.
#[derive(Debug)]
pub struct Request {
    /// The caller's own number; comes back with the answer.
    pub ticket: u64,
    /// CLOCK_MONOTONIC nanoseconds of the request's first byte: what shedding counts from.
    pub at_ns: u64,
    /// Where it goes ([`tidegate_shard_core::home_shard`]).
    pub shard: ShardId,
    /// What is asked.
    pub command: Command,
}

/// How a request ended.
#[derive(Debug)]
pub enum Answer {
    /// The shard's answer; what it depends on is durable.
    Decided(Outcome),
    /// The shard was not asked; the reason says whether something may be reserved.
    Unavailable(Unavailable),
    /// It had waited too long; the shard never saw it and nothing is reserved.
    Shed,
}

impl From<tidegate_node::Answer> for Answer {
    fn from(answer: tidegate_node::Answer) -> Answer {
        match answer {
            tidegate_node::Answer::Decided(outcome) => Answer::Decided(outcome),
            tidegate_node::Answer::Unavailable(why) => Answer::Unavailable(why),
        }
    }
}

/// Where a request's time went, in nanoseconds, at most 4.2 s each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StageTimes {
    /// First byte to its turn at the shard.
    pub queued_ns: u32,
    /// Its turn to decided.
    pub decided_ns: u32,
    /// Decided to durable.
    pub committed_ns: u32,
}

/// What a shard thread tells a net thread.
#[derive(Debug)]
pub enum Event {
    /// The answer to a request; exactly one for each, in no order.
    Reply {
        /// The request's.
        ticket: u64,
        /// How it ended.
        answer: Answer,
        /// Where its time went.
        times: StageTimes,
    },
    /// A SKU's durable figures, for the stock view. Rows of one SKU come in the order of their ops; of
    /// several changes within `stock_every_ms` only the last may come.
    Stock(StockRow),
}

/// A net thread's connection to all shard threads. Belongs to that thread.
#[derive(Debug)]
pub struct NetPort {
    end: NetEnd<Request, Event>,
    shared: Arc<Shared>,
    /// Requests under way at each shard thread: reply slots that are taken.
    under_way: Vec<usize>,
    /// Shard threads that were sent something since this thread last fell asleep.
    fed: Vec<bool>,
    /// The ring that `try_recv` looks at next.
    next: usize,
}

impl NetPort {
    pub(crate) fn new(end: NetEnd<Request, Event>, shared: Arc<Shared>) -> NetPort {
        let threads = end.to_shards.len();
        NetPort {
            end,
            shared,
            under_way: vec![0; threads],
            fed: vec![false; threads],
            next: 0,
        }
    }

    /// Hands a request to its shard thread and reserves the slot of its reply. Gives the request back when
    /// that thread already has [`credits`](crate::HostConfig::credits) requests of this net thread, or when
    /// the host has failed or stopped. The shard sees it after [`ring_bells`](Self::ring_bells).
    #[inline]
    #[expect(
        clippy::result_large_err,
        reason = "the request is given back, not boxed: it is the hot path"
    )]
    pub fn try_send(&mut self, request: Request) -> Result<(), Request> {
        let thread = self.shared.thread_of(request.shard);
        if self.under_way[thread] >= self.shared.credits || !self.shared.is_serving() {
            return Err(request);
        }
        self.end.to_shards[thread].push(request)?;
        self.under_way[thread] += 1;
        Ok(())
    }

    /// Once a turn: shows what was sent to the shard threads and wakes those that sleep.
    #[inline]
    pub fn ring_bells(&mut self) {
        let ends = self.end.to_shards.iter_mut().zip(&self.end.shard_bells);
        for ((ring, bell), fed) in ends.zip(&mut self.fed) {
            if ring.publish() {
                bell.ring();
                *fed = true;
            }
        }
    }

    /// The next event, if there is one.
    #[inline]
    pub fn try_recv(&mut self) -> Option<Event> {
        let threads = self.end.from_shards.len();
        for _ in 0..threads {
            let thread = self.next;
            if let Some(event) = self.end.from_shards[thread].pop() {
                if matches!(event, Event::Reply { .. }) {
                    self.under_way[thread] -= 1;
                }
                return Some(event);
            }
            self.next = (thread + 1) % threads;
        }
        None
    }

    /// Requests that have no answer yet.
    pub fn in_flight(&self) -> usize {
        self.under_way.iter().sum()
    }

    /// About to sleep. True: no event is waiting, and the next one makes [`bell_fd`](Self::bell_fd)
    /// readable. False: there are events, do not sleep. Call it only when there is nothing else to do either:
    /// a shard thread that holds its batch open while net threads work takes this for "no more to come".
    pub fn prepare_sleep(&mut self) -> bool {
        self.end.bell.prepare_sleep();
        let empty = self.end.from_shards.iter_mut().all(|ring| ring.is_empty());
        if !empty {
            self.end.bell.woke();
            return false;
        }
        for (bell, fed) in self.end.shard_bells.iter().zip(&mut self.fed) {
            if std::mem::take(fed) {
                bell.ring_done();
            }
        }
        true
    }

    /// Awake again, for whatever reason. Takes a ring off the eventfd if there was one.
    pub fn woke(&mut self) {
        self.end.bell.woke();
    }

    /// As [`woke`](Self::woke), when the net thread's own poller reads the eventfd (a posted io_uring read).
    pub fn disarm(&mut self) {
        self.end.bell.disarm();
    }

    /// Sleeps until an event may be there, or the time-out; for threads without a poller of their own.
    pub fn wait(&mut self, timeout: std::time::Duration) {
        if self.prepare_sleep() {
            self.end.bell.wait(Some(timeout));
        }
    }

    /// The eventfd that becomes readable when this thread is rung. Stays the host's: do not close it.
    pub fn bell_fd(&self) -> RawFd {
        self.end.bell.fd().expect("the mesh gives net threads an eventfd")
    }

    /// What wakes this thread, for others that have something for it.
    pub fn bell(&self) -> Arc<Bell> {
        Arc::clone(&self.end.bell)
    }

    /// Number of shards of the data directory.
    pub fn shards(&self) -> u16 {
        self.shared.shards()
    }

    /// The shard thread that owns a shard.
    pub fn thread_of(&self, shard: ShardId) -> usize {
        self.shared.thread_of(shard)
    }

    /// The figures of each shard thread, by index ([`thread_of`](Self::thread_of)).
    pub fn stats(&self) -> &[Arc<ThreadStats>] {
        &self.shared.stats
    }

    /// False once the log failed or the host stops: nothing more is accepted.
    pub fn is_serving(&self) -> bool {
        self.shared.is_serving()
    }
}
