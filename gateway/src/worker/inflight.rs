//! Requests that wait for a shard: where the answer goes, and until when.

use tidegate_conn::ExchangeId;

use crate::recorder::Known;
use crate::worker::request_id::RequestId;
use crate::worker::slow_lane::OrderRead;

/// A request on its way. Its [`ticket`](Inflight::begin) travels with the command.
pub struct Waiting {
    /// The connection's slot and the slot's generation.
    pub slot: u32,
    /// A slot is used again; an answer to its former connection must not reach the new one.
    pub slot_generation: u32,
    /// Which request of the connection.
    pub exchange: ExchangeId,
    /// For the metrics by route.
    pub route: u8,
    /// First byte of the head, monotonic nanoseconds.
    pub first_byte_ns: u64,
    /// When its last byte arrived: its stages are counted from here.
    pub whole_ns: u64,
    /// When the wait ends in 504.
    pub deadline_ns: u64,
    /// Echoed in the answer.
    pub request_id: RequestId,
    /// The order that the backoffice is asked for when the shard does not know it.
    pub read: Option<Box<OrderRead>>,
    /// For the recorder.
    pub known: Known,
}

struct Entry {
    generation: u32,
    waiting: Option<Waiting>,
}

/// The table of waiting requests of one thread, bounded by the reply ring's credits.
pub struct Inflight {
    entries: Vec<Entry>,
    free: Vec<u32>,
}

impl Inflight {
    /// Room for `capacity` requests.
    pub fn new(capacity: usize) -> Inflight {
        let capacity = u32::try_from(capacity).expect("far fewer than 2^32 requests wait");
        Inflight {
            entries: (0..capacity)
                .map(|_| Entry {
                    generation: 0,
                    waiting: None,
                })
                .collect(),
            free: (0..capacity).rev().collect(),
        }
    }

    /// Notes a request; `None` when the table is full.
    pub fn begin(&mut self, waiting: Waiting) -> Option<u64> {
        let index = self.free.pop()?;
        let entry = &mut self.entries[index as usize];
        debug_assert!(entry.waiting.is_none());
        entry.waiting = Some(waiting);
        Some(u64::from(entry.generation) << 32 | u64::from(index))
    }

    /// Takes the request of a ticket, unless its wait has ended.
    pub fn finish(&mut self, ticket: u64) -> Option<Waiting> {
        let (generation, index) = ((ticket >> 32) as u32, ticket as u32);
        let entry = self.entries.get_mut(index as usize)?;
        if entry.generation != generation {
            return None;
        }
        let waiting = entry.waiting.take()?;
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(index);
        Some(waiting)
    }

    /// Ends the waits that have passed their deadline.
    pub fn expire(&mut self, now_ns: u64, mut each: impl FnMut(Waiting)) {
        for index in 0..self.entries.len() {
            let entry = &mut self.entries[index];
            if entry.waiting.as_ref().is_some_and(|w| w.deadline_ns <= now_ns) {
                let ticket = u64::from(entry.generation) << 32 | index as u64;
                if let Some(waiting) = self.finish(ticket) {
                    each(waiting);
                }
            }
        }
    }

    /// Requests that wait now.
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
