//! Invariants 1, 2, 3 and 8 on the sums: what is held and sold is what was acknowledged.

use std::collections::HashMap;

use super::facts::Facts;
use super::{Evidence, Findings, name};

/// Compares each SKU's stock before and after with what clients were told.
pub fn check(evidence: &Evidence<'_>, facts: &[Facts], findings: &mut Findings) {
    let count = evidence.skus.len();
    let (mut certain, mut possible) = (vec![0_u64; count], vec![0_u64; count]);
    for f in facts {
        let record = &evidence.ledger.records[f.origin as usize];
        for line in evidence.ledger.lines(record) {
            let sku = usize::from(line.sku);
            certain[sku] += if f.is_certain() { u64::from(line.qty) } else { 0 };
            possible[sku] += if f.is_possible() { u64::from(line.qty) } else { 0 };
        }
    }
    for (id, sku) in evidence.skus.iter().enumerate() {
        let (base, end) = (&sku.base, &sku.end);
        let sku_name = name(evidence, id as u16);
        for stock in [base, end] {
            findings.check(1, stock.adds_up(), || {
                format!("{sku_name}: {stock:?} does not add up")
            });
        }
        let paid = base.sold.unwrap_or(0);
        findings.check(2, paid + certain[id] <= end.stocked.max(base.stocked), || {
            format!(
                "{sku_name}: {} sold before and {} acknowledged, of {}",
                paid, certain[id], end.stocked
            )
        });
        // What was held before the run may have expired in it.
        findings.check(3, end.committed() >= paid + certain[id], || {
            format!(
                "{sku_name}: {} acknowledged and {paid} sold before, but only {} are held and sold",
                certain[id],
                end.committed()
            )
        });
        if evidence.exclusive {
            findings.check(8, end.committed() <= base.committed() + possible[id], || {
                format!(
                    "{sku_name}: {} held and sold, {} before, and only {} can be explained by orders",
                    end.committed(),
                    base.committed(),
                    possible[id]
                )
            });
            let held = base.held.unwrap_or(0);
            findings.check(
                3,
                held > 0 || end.committed() >= base.committed() + certain[id],
                || format!("{sku_name}: acknowledged orders hold no stock"),
            );
        }
    }
    buyers(evidence, facts, findings);
}

fn buyers(evidence: &Evidence<'_>, facts: &[Facts], findings: &mut Findings) {
    if evidence.skus.iter().all(|s| s.limit.is_none()) {
        return;
    }
    let mut bought: HashMap<(u32, &str), u64> = HashMap::new();
    for f in facts.iter().filter(|f| f.is_certain()) {
        let record = &evidence.ledger.records[f.origin as usize];
        let buyer = if evidence.one_buyer { 0 } else { record.user };
        for line in evidence.ledger.lines(record) {
            if let Some((limit, counts)) = &evidence.skus[usize::from(line.sku)].limit {
                let sum = bought.entry((buyer, counts)).or_default();
                *sum += u64::from(line.qty);
                findings.check(2, *sum <= u64::from(*limit), || {
                    format!("user {buyer} has {sum} of {counts}, over the limit of {limit}")
                });
            }
        }
    }
}
