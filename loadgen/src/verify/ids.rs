//! Invariants 4 and 6: a key has one order; ids are unique and rise per shard.

use std::collections::HashMap;

use super::facts::Facts;
use super::{Evidence, Findings};
use crate::ledger::{Kind, Outcome};

/// The shard in an id: 41 bits of time, 10 of shard, 12 of sequence.
pub(super) fn shard(order: u64) -> u16 {
    ((order >> 12) & 0x3ff) as u16
}

/// Looks at every acknowledged id.
pub fn check(evidence: &Evidence<'_>, facts: &[Facts], findings: &mut Findings) {
    let mut owners: HashMap<u64, u32> = HashMap::with_capacity(facts.len());
    let mut shards: HashMap<u16, Vec<(u64, u64, u64)>> = HashMap::new();
    for f in facts {
        if f.made == u64::MAX {
            continue;
        }
        findings.check(4, f.second.is_none(), || {
            format!(
                "key {} has two orders: {} and {}",
                key(evidence, f.origin),
                f.order,
                f.second.unwrap_or(0)
            )
        });
        if f.order == 0 {
            findings.fault(4, || {
                format!("201 without an order id for key {}", key(evidence, f.origin))
            });
            continue;
        }
        if let Some(other) = owners.insert(f.order, f.origin) {
            findings.fault(6, || {
                format!(
                    "order id {} was given twice: keys {} and {}",
                    f.order,
                    key(evidence, other),
                    key(evidence, f.origin)
                )
            });
        }
        shards
            .entry(shard(f.order))
            .or_default()
            .push((f.sent, f.made, f.order));
    }
    repeats(evidence, facts, findings);
    for orders in shards.values_mut() {
        rising(orders, findings);
    }
}

/// A key whose order was acknowledged gets that order again, never a refusal.
fn repeats(evidence: &Evidence<'_>, facts: &[Facts], findings: &mut Findings) {
    let made: HashMap<u32, u64> = facts
        .iter()
        .filter(|f| f.order != 0)
        .map(|f| (f.origin, f.made))
        .collect();
    for record in evidence.ledger.records.iter().filter(|r| r.kind == Kind::Place) {
        let refused = matches!(
            record.outcome,
            Outcome::SoldOut | Outcome::LimitReached | Outcome::Refused
        );
        let after = made.get(&record.origin).is_some_and(|&made| made < record.sent);
        if after {
            findings.check(4, !refused, || {
                format!(
                    "key {} has an order and was refused with {}",
                    key(evidence, record.origin),
                    record.status
                )
            });
        } else if record.status == 422 {
            findings.fault(4, || {
                format!(
                    "key {} was never used with another body",
                    key(evidence, record.origin)
                )
            });
        }
    }
}

/// An order that was answered before another was sent has the lower id.
fn rising(orders: &mut [(u64, u64, u64)], findings: &mut Findings) {
    let mut answered: Vec<(u64, u64)> = orders.iter().map(|&(_, made, id)| (made, id)).collect();
    answered.sort_unstable();
    orders.sort_unstable();
    let (mut next, mut highest) = (0, 0);
    for &(sent, _, id) in orders.iter() {
        while next < answered.len() && answered[next].0 < sent {
            highest = highest.max(answered[next].1);
            next += 1;
        }
        findings.check(6, id > highest, || {
            format!(
                "shard {}: id {id} was given after {highest} was answered",
                shard(id)
            )
        });
    }
}

fn key(evidence: &Evidence<'_>, origin: u32) -> String {
    let mut key = Vec::new();
    evidence.ledger.write_key(origin, &mut key);
    String::from_utf8_lossy(&key).into_owned()
}
