//! Proves a run was correct: the invariants of the shop, checked on what clients saw, on what the API says afterwards and on the
//! offline log.
//!
//! Numbers are those of the published list: 1 stock adds up, 2 nothing sold twice and limits hold, 3 no acknowledged order
//! lost, 4 a lost answer made zero or one order and a key has one order, 6 ids unique and rising per shard, 7 every hold ends once,
//! 8 all lines or none, 9 an order's history is a path in the state table, 12 the store catches up after a fault, 14 one order of events per SKU explains what every client saw.

pub mod api;
mod cost;
pub mod facts;
pub mod feed;
pub mod history;
pub mod ids;
pub mod log;
pub mod log_replay;
pub mod orders;
pub mod path;
pub mod proof;
pub mod steps;
pub mod stock;
pub mod store;

use std::collections::{BTreeMap, HashMap};

use crate::ledger::{Ledger, RecordId, Stock};
use crate::limits::FAULTS_SHOWN_MAX;

/// Something that must never be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Number of the invariant.
    pub invariant: u8,
    /// What was seen.
    pub what: String,
}

/// What the checks found and how much they looked at.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// The first faults.
    pub faults: Vec<Fault>,
    /// Faults in all, per invariant.
    pub counts: BTreeMap<u8, u64>,
    /// Facts checked, per invariant.
    pub checked: BTreeMap<u8, u64>,
    /// What could not be checked, for people.
    pub notes: Vec<String>,
}

impl Findings {
    /// Adds a fault.
    pub fn fault(&mut self, invariant: u8, what: impl FnOnce() -> String) {
        *self.counts.entry(invariant).or_default() += 1;
        if self.faults.len() < FAULTS_SHOWN_MAX {
            self.faults.push(Fault {
                invariant,
                what: what(),
            });
        }
    }

    /// Counts a fact that was looked at, and adds a fault unless it holds.
    pub fn check(&mut self, invariant: u8, holds: bool, what: impl FnOnce() -> String) {
        *self.checked.entry(invariant).or_default() += 1;
        if !holds {
            self.fault(invariant, what);
        }
    }

    /// Whether nothing wrong was found.
    pub fn is_clean(&self) -> bool {
        self.counts.is_empty()
    }
}

/// A SKU as the run found and left it.
#[derive(Clone, Debug, Default)]
pub struct SkuEvidence {
    /// Before the run.
    pub base: Stock,
    /// After it, with nothing in flight.
    pub end: Stock,
    /// Units a buyer may have, and the SKU or group that counts together.
    pub limit: Option<(u32, String)>,
    /// What a unit costs, in minor units, and the currency; `None` where the shop does not say.
    pub price: Option<(u64, String)>,
}

/// An order as it was read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderSeen {
    /// HTTP status of the read.
    pub http: u16,
    /// Its id.
    pub order: u64,
    /// Its status word.
    pub status: String,
    /// Its lines, sorted by SKU.
    pub lines: Vec<(String, u64)>,
    /// Its deadline in Unix ms, when it was told.
    pub pay_by: Option<u64>,
    /// What it costs, in minor units, when it was told.
    pub total: Option<u64>,
    /// ISO 4217 letters, when they were told.
    pub currency: Option<String>,
}

/// Everything the checks look at.
pub struct Evidence<'a> {
    /// What clients did and saw.
    pub ledger: &'a Ledger,
    /// SKU names, by id.
    pub names: &'a [String],
    /// SKUs, by id.
    pub skus: &'a [SkuEvidence],
    /// Orders that were read back, by the record that made them.
    pub seen: &'a HashMap<RecordId, OrderSeen>,
    /// Everyone shares one token, and so one buyer.
    pub one_buyer: bool,
    /// Unix ms when orders were read back.
    pub read_at_ms: u64,
    /// Nobody else used the gateway, so sums must match exactly.
    pub exclusive: bool,
}

/// Runs every check that needs no log.
pub fn check(evidence: &Evidence<'_>) -> Findings {
    let mut findings = Findings::default();
    let facts = facts::gather(evidence);
    ids::check(evidence, &facts, &mut findings);
    orders::check(evidence, &facts, &mut findings);
    stock::check(evidence, &facts, &mut findings);
    history::check(evidence, &facts, &mut findings);
    findings
}

/// Seven checks name units this way.
fn name<'a>(evidence: &Evidence<'a>, sku: crate::skus::SkuId) -> &'a str {
    evidence.names.get(usize::from(sku)).map_or("?", String::as_str)
}
