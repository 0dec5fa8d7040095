//! Invariants 3, 7 and 8 on the orders that were read back.

use super::facts::{End, Facts};
use super::{Evidence, Findings, cost, name};

/// How long past its deadline an open order may still be seen: expiries are bounded per batch, and nothing expires in the first
/// two minutes after a start.
const EXPIRY_SLACK_MS: u64 = 150_000;

/// Looks at every order that was read back.
pub fn check(evidence: &Evidence<'_>, facts: &[Facts], findings: &mut Findings) {
    for f in facts {
        let Some(seen) = evidence.seen.get(&f.origin) else {
            continue;
        };
        findings.check(3, seen.http == 200 && seen.order == f.order, || {
            format!(
                "order {} was acknowledged and reads back as {} {}",
                f.order, seen.http, seen.order
            )
        });
        if seen.http != 200 {
            continue;
        }
        let record = &evidence.ledger.records[f.origin as usize];
        let mut lines: Vec<(String, u64)> = evidence
            .ledger
            .lines(record)
            .iter()
            .map(|l| (name(evidence, l.sku).to_string(), u64::from(l.qty)))
            .collect();
        lines.sort();
        findings.check(8, seen.lines == lines, || {
            format!(
                "order {} was placed with {lines:?} and reads back with {:?}",
                f.order, seen.lines
            )
        });
        if let (Some((total, currency)), Some(told)) = (cost::of(evidence, record), seen.total) {
            findings.check(
                3,
                told == total && seen.currency.as_deref() == Some(currency),
                || {
                    format!(
                        "order {} costs {total} {currency} and reads back with {told} {:?}",
                        f.order, seen.currency
                    )
                },
            );
        }
        let is_legal = match (f.end, seen.status.as_str()) {
            (End::Cancelled, status) => status == "cancelled",
            (End::Confirmed, status) => status == "confirmed",
            (End::Open, status) => matches!(status, "pending" | "expired"),
            (End::Maybe, _) => true,
        };
        findings.check(7, is_legal, || {
            format!(
                "order {} reads back as {} and clients know {:?}",
                f.order, seen.status, f.end
            )
        });
        if let (Some(pay_by), "pending") = (seen.pay_by, seen.status.as_str()) {
            findings.check(7, pay_by + EXPIRY_SLACK_MS >= evidence.read_at_ms, || {
                format!(
                    "order {} outlives its deadline by {} ms",
                    f.order,
                    evidence.read_at_ms - pay_by
                )
            });
        }
        if seen.status == "expired" {
            findings.check(7, seen.pay_by.is_none_or(|p| p <= evidence.read_at_ms), || {
                format!("order {} expired before its deadline", f.order)
            });
        }
    }
}
