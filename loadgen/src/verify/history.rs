//! Invariant 14: one order of events per SKU explains what every client saw.
//!
//! An order takes effect somewhere between its first send and its first acknowledgement. So at every moment some units are
//! certainly taken (acknowledged before, no cancel sent yet) and some possibly (sent before, not certainly given back). Every
//! answer must be explained by some state between the two, somewhere within the answer's own interval. Unknown outcomes count as
//! possible, never as certain.

use std::collections::HashMap;

use super::facts::{End, Facts};
use super::steps::Steps;
use super::{Evidence, Findings, name};
use crate::ledger::{Kind, Outcome, Stock};

/// An order over several shards that was refused may have held some lines for a while, and they are given back lazily.
const LAZY_RELEASE_NS: u64 = 5_000_000_000;

/// A stock read may be this much older than its request: it comes from a snapshot that may also be cached for a second.
const STOCK_AGE_NS: u64 = 2_000_000_000;

/// What is known of a SKU over time.
struct Known {
    certain: Steps,
    possible: Steps,
}

/// Checks every acknowledgement, every "sold out" and every stock read.
pub fn check(evidence: &Evidence<'_>, facts: &[Facts], findings: &mut Findings) {
    let known = know(evidence, facts);
    // Orders that expire give their units back at a time no client saw, so "certain" would not be.
    let expires = facts.iter().any(|f| f.expired);
    if expires {
        findings
            .notes
            .push("orders expired in the run: upper bounds of invariant 14 were not checked".into());
    }
    for (id, sku) in evidence.skus.iter().enumerate() {
        let stocked = sku.base.stocked.max(sku.end.stocked) as i64;
        let most = known[id].certain.highest() + sku.base.sold.unwrap_or(0) as i64;
        findings.check(14, expires || most <= stocked, || {
            format!(
                "{}: {most} units were certainly taken at one moment, of {stocked}",
                name(evidence, id as u16)
            )
        });
    }
    sold_out(evidence, &known, findings);
    stock_reads(evidence, &known, expires, findings);
    same_op(evidence, findings);
}

fn know(evidence: &Evidence<'_>, facts: &[Facts]) -> Vec<Known> {
    let count = evidence.skus.len();
    let mut certain: Vec<Vec<(u64, i64)>> = vec![Vec::new(); count];
    let mut possible: Vec<Vec<(u64, i64)>> = vec![Vec::new(); count];
    for f in facts {
        let record = &evidence.ledger.records[f.origin as usize];
        let lines = evidence.ledger.lines(record);
        let is_order = f.order != 0 || f.unknown;
        for line in lines {
            let (sku, qty) = (usize::from(line.sku), i64::from(line.qty));
            if is_order {
                possible[sku].push((f.sent, qty));
                // A cancel whose answer was lost gave the units back at a time nobody knows: they stay possible.
                if f.end == End::Cancelled && f.cancel_done != u64::MAX {
                    possible[sku].push((f.cancel_done.saturating_add(lazy(lines.len())), -qty));
                }
            } else if lines.len() > 1 {
                possible[sku].push((f.sent, qty));
                possible[sku].push((f.last.saturating_add(LAZY_RELEASE_NS), -qty));
            }
            if f.order != 0 && f.made != u64::MAX {
                certain[sku].push((f.made, qty));
                if f.cancel_sent != u64::MAX {
                    // It may be given back as soon as the cancel was sent; not before it was taken.
                    certain[sku].push((f.cancel_sent.max(f.made), -qty));
                }
            }
        }
    }
    let both = certain.into_iter().zip(possible);
    both.map(|(c, p)| Known {
        certain: Steps::new(c, false),
        possible: Steps::new(p, true),
    })
    .collect()
}

/// Only the home shard's lines are given back at the cancel's answer.
fn lazy(lines: usize) -> u64 {
    if lines > 1 { LAZY_RELEASE_NS } else { 0 }
}

fn sold_out(evidence: &Evidence<'_>, known: &[Known], findings: &mut Findings) {
    for record in &evidence.ledger.records {
        let [line] = evidence.ledger.lines(record) else {
            continue;
        };
        if record.kind != Kind::Place || record.outcome != Outcome::SoldOut {
            continue;
        }
        let sku = &evidence.skus[usize::from(line.sku)];
        let taken = known[usize::from(line.sku)]
            .possible
            .range(record.sent, record.answered)
            .1;
        let most = taken + sku.base.committed() as i64;
        let stocked = sku.base.stocked.min(sku.end.stocked) as i64;
        findings.check(14, most + i64::from(line.qty) > stocked, || {
            format!(
                "{}: sold out was answered while at most {most} of {stocked} can have been taken",
                name(evidence, line.sku)
            )
        });
    }
}

fn stock_reads(evidence: &Evidence<'_>, known: &[Known], expires: bool, findings: &mut Findings) {
    for seen in &evidence.ledger.stock_seen {
        let (sku, record) = (
            usize::from(seen.sku),
            &evidence.ledger.records[seen.record as usize],
        );
        let stock = &seen.stock;
        findings.check(1, stock.adds_up(), || {
            format!("{}: {stock:?} does not add up", name(evidence, seen.sku))
        });
        let base = &evidence.skus[sku].base;
        let from = record.sent.saturating_sub(STOCK_AGE_NS);
        let most = known[sku].possible.range(from, record.answered).1 + base.committed() as i64;
        let least = known[sku].certain.range(from, record.answered).0 + base.sold.unwrap_or(0) as i64;
        let taken = stock.committed() as i64;
        findings.check(14, taken <= most && (expires || taken >= least), || {
            format!(
                "{}: a read said {taken} were taken when it must be {least} to {most}",
                name(evidence, seen.sku)
            )
        });
    }
}

/// One op has one stock, and reads over one connection never go back.
fn same_op(evidence: &Evidence<'_>, findings: &mut Findings) {
    let mut at_op: HashMap<(u16, u64), Stock> = HashMap::new();
    let mut last: HashMap<(u16, u32), u64> = HashMap::new();
    for seen in &evidence.ledger.stock_seen {
        if seen.stock.op == 0 {
            continue;
        }
        let other = *at_op.entry((seen.sku, seen.stock.op)).or_insert(seen.stock);
        findings.check(
            14,
            (other.available, other.stocked) == (seen.stock.available, seen.stock.stocked),
            || {
                format!(
                    "{}: op {} was read as {other:?} and as {:?}",
                    name(evidence, seen.sku),
                    seen.stock.op,
                    seen.stock
                )
            },
        );
        let before = last
            .insert((seen.sku, seen.connection), seen.stock.op)
            .unwrap_or(0);
        findings.check(14, before <= seen.stock.op, || {
            format!(
                "{}: op {} was read after op {before} over one connection",
                name(evidence, seen.sku),
                seen.stock.op
            )
        });
    }
}
