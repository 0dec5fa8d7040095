//! What is known of each order, put together from all requests about it.

use crate::ledger::{Kind, Outcome, RecordId};

use super::Evidence;

/// How an order is known to have ended, as far as its clients can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Nobody tried to end it.
    Open,
    /// A cancel was answered 2xx.
    Cancelled,
    /// A confirmation was answered 2xx.
    Confirmed,
    /// A cancel or a confirmation was tried, and its outcome is unknown.
    Maybe,
}

/// One key and what is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The first record with the key.
    pub origin: RecordId,
    /// The order; 0 when none was acknowledged.
    pub order: u64,
    /// The first send of the key.
    pub sent: u64,
    /// The first acknowledgement; `u64::MAX` without one.
    pub made: u64,
    /// The last answer or loss.
    pub last: u64,
    /// An attempt's outcome is unknown and no later one settled it.
    pub unknown: bool,
    /// Another order was acknowledged for the same key.
    pub second: Option<u64>,
    /// How it ended.
    pub end: End,
    /// First send of a cancel; `u64::MAX` without one.
    pub cancel_sent: u64,
    /// The cancel's 2xx; `u64::MAX` without one.
    pub cancel_done: u64,
    /// Expired, by what was read back.
    pub expired: bool,
    /// Others expired, it is unpaid, and nobody looked: it may have expired too.
    pub maybe_expired: bool,
}

impl Facts {
    /// Acknowledged, and nothing says that it ended unpaid or might have.
    pub fn is_certain(&self) -> bool {
        self.order != 0
            && !self.expired
            && !self.maybe_expired
            && matches!(self.end, End::Open | End::Confirmed)
    }

    /// Its units may be held or sold.
    pub fn is_possible(&self) -> bool {
        (self.order != 0 && !self.expired && self.end != End::Cancelled) || (self.order == 0 && self.unknown)
    }
}

/// Goes over all records once; facts come in the order of their first records.
pub fn gather(evidence: &Evidence<'_>) -> Vec<Facts> {
    let records = &evidence.ledger.records;
    let mut index = vec![u32::MAX; records.len()];
    let mut all: Vec<Facts> = Vec::new();
    for (id, record) in records.iter().enumerate() {
        if record.kind == Kind::ReadStock || record.kind == Kind::ReadOrder {
            continue;
        }
        let origin = record.origin as usize;
        if index[origin] == u32::MAX {
            index[origin] = all.len() as u32;
            all.push(new(id as RecordId, record.sent));
        }
        let facts = &mut all[index[origin] as usize];
        let answered = if record.outcome == Outcome::Waiting {
            u64::MAX
        } else {
            record.answered
        };
        match record.kind {
            Kind::Place => {
                facts.last = facts.last.max(answered);
                place(facts, record.outcome, record.order, answered);
            }
            Kind::Cancel => {
                facts.cancel_sent = facts.cancel_sent.min(record.sent);
                end(facts, record.outcome, End::Cancelled);
                if record.outcome == Outcome::Done {
                    facts.cancel_done = facts.cancel_done.min(answered);
                }
            }
            Kind::Confirm => end(facts, record.outcome, End::Confirmed),
            Kind::ReadStock | Kind::ReadOrder => {}
        }
    }
    for facts in &mut all {
        if let Some(seen) = evidence.seen.get(&facts.origin) {
            settle(facts, &seen.status);
        }
    }
    if all.iter().any(|f| f.expired) {
        for facts in &mut all {
            facts.maybe_expired = facts.end == End::Open && !evidence.seen.contains_key(&facts.origin);
        }
    }
    all
}

fn new(origin: RecordId, sent: u64) -> Facts {
    Facts {
        origin,
        order: 0,
        sent,
        made: u64::MAX,
        last: 0,
        unknown: false,
        second: None,
        end: End::Open,
        cancel_sent: u64::MAX,
        cancel_done: u64::MAX,
        expired: false,
        maybe_expired: false,
    }
}

fn place(facts: &mut Facts, outcome: Outcome, order: u64, answered: u64) {
    match outcome {
        Outcome::Made => {
            facts.made = facts.made.min(answered);
            facts.unknown = false;
            if facts.order == 0 {
                facts.order = order;
            } else if facts.order != order {
                facts.second = Some(order);
            }
        }
        Outcome::Unknown | Outcome::Waiting => facts.unknown |= facts.order == 0,
        // A definite no for a key settles what was unknown before.
        Outcome::SoldOut | Outcome::LimitReached | Outcome::Refused => facts.unknown = false,
        Outcome::Shed | Outcome::Done => {}
    }
}

fn end(facts: &mut Facts, outcome: Outcome, how: End) {
    match outcome {
        Outcome::Done => facts.end = how,
        Outcome::Unknown | Outcome::Waiting if facts.end == End::Open => facts.end = End::Maybe,
        _ => {}
    }
}

fn settle(facts: &mut Facts, status: &str) {
    facts.expired = status == "expired";
    if facts.end == End::Maybe {
        match status {
            "cancelled" => facts.end = End::Cancelled,
            "confirmed" => facts.end = End::Confirmed,
            "pending" => facts.end = End::Open,
            _ => {}
        }
    }
}
