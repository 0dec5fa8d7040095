//! What happens when: events in the order of simulated time.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use tidegate_log::{NewSegment, ShardMark};
use tidegate_node::checkpoint::CheckpointJob;
use tidegate_node::{Answer, Envelope};
use tidegate_shard_core::{Command, ShardId};

use crate::plan::Stop;

/// Something that happens at one moment.
#[derive(Debug)]
pub enum Event {
    /// A client does its next step.
    Client(usize),
    /// A request reaches the machine.
    Request(u64, ShardId, Command),
    /// An answer reaches its client.
    Reply(u64, Answer),
    /// A client stops waiting for an answer.
    Timeout(u64),
    /// The machine stops.
    Stop(Stop),
    /// The machine starts.
    Start,
    /// The wall's clock steps by seconds.
    Step(i64),
    /// The disk is full, or has room again.
    Full(bool),
    /// The store reads what is durable.
    Follow,
    /// The bus takes what is durable.
    Publish,
    /// The bus does not answer, or does again.
    BusDown(bool),
    /// The store stops, or runs again.
    StoreStops(bool),
    /// Something of one life of the machine: without effect when it has stopped since.
    Live(u64, Live),
}

/// What happens to a running machine's thread.
#[derive(Debug)]
pub enum Live {
    /// The thread wakes.
    Turn(usize),
    /// A message arrives.
    Deliver(usize, Envelope),
    /// The batch that is out was written and synced.
    Written(usize),
    /// A segment is to be prepared.
    Prepare(usize, NewSegment),
    /// A checkpoint is to be made.
    Checkpoint(usize, CheckpointJob),
    /// The store's mark for a shard arrives at its node.
    Applied(ShardMark),
    /// The bus's mark for a shard arrives at its node.
    Published(ShardMark),
}

struct Scheduled {
    at: u64,
    /// Events of the same moment happen in the order in which they were planned.
    nth: u64,
    /// Its place in `events`: they are large, and a heap moves what it holds.
    event: usize,
}

/// The events to come.
#[derive(Default)]
pub struct Queue {
    heap: BinaryHeap<Scheduled>,
    events: Vec<Option<Event>>,
    free: Vec<usize>,
    planned: u64,
}

impl Queue {
    /// Plans an event for the moment `at`, in microseconds.
    pub fn plan(&mut self, at: u64, event: Event) {
        self.planned += 1;
        let place = self.free.pop().unwrap_or_else(|| {
            self.events.push(None);
            self.events.len() - 1
        });
        self.events[place] = Some(event);
        self.heap.push(Scheduled {
            at,
            nth: self.planned,
            event: place,
        });
    }

    /// The next event, unless it is after `until`.
    pub fn next(&mut self, until: u64) -> Option<(u64, Event)> {
        if self.heap.peek()?.at > until {
            return None;
        }
        let Scheduled { at, event, .. } = self.heap.pop()?;
        self.free.push(event);
        Some((at, self.events[event].take()?))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Scheduled) -> Ordering {
        // The heap gives its largest: the earliest.
        (other.at, other.nth).cmp(&(self.at, self.nth))
    }
}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Scheduled) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Scheduled) -> bool {
        (self.at, self.nth) == (other.at, other.nth)
    }
}

impl Eq for Scheduled {}
