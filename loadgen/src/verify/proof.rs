//! The steps of a proof: settle what is unknown, read back, check, and look into the log.

use std::collections::HashMap;
use std::path::Path;

use super::api::Asker;
use super::{Evidence, Findings, SkuEvidence, facts, log, log_replay, store};
use crate::ledger::Ledger;

/// How far a proof goes.
pub struct Scope<'a> {
    /// Orders read back; an even sample beyond.
    pub read_back: usize,
    /// Acknowledged keys that are sent once more.
    pub again: usize,
    /// The tidegate program and the data directory, to check the log.
    pub log: Option<(&'a Path, &'a Path)>,
    /// Everyone shares one token.
    pub one_buyer: bool,
    /// Nobody else uses the gateway.
    pub exclusive: bool,
}

/// Proves what the ledger says, at a gateway that is up and has nothing in flight.
pub fn prove(
    asker: &Asker<'_>,
    ledger: &mut Ledger,
    names: &[String],
    skus: &mut [SkuEvidence],
    scope: &Scope<'_>,
) -> Result<Findings, String> {
    let mut seen = HashMap::new();
    // The end is read last, so what stands here until then does not matter.
    let facts = facts::gather(&evidence(ledger, names, skus, &seen, scope, 0));
    asker.settle(ledger, names, &facts, scope.again)?;
    let facts = facts::gather(&evidence(ledger, names, skus, &seen, scope, 0));
    asker.orders(ledger, &facts, scope.read_back, &mut seen)?;
    let read_at_ms = asker.clock.unix_ms();
    let end = asker.settled_stock(names)?;
    for (sku, end) in skus.iter_mut().zip(end) {
        sku.end = end;
    }
    let evidence = evidence(ledger, names, skus, &seen, scope, read_at_ms);
    let mut findings = super::check(&evidence);
    let left = facts::gather(&evidence);
    let unknown = left.iter().filter(|f| f.unknown).count();
    if unknown > 0 {
        findings.fault(4, || {
            format!("{unknown} keys got no definite answer, though asked again")
        });
    }
    match scope.log {
        Some((program, dir)) => {
            // A segment that the store has may go while it is read: then the next look is whole.
            let mut dump = log::dump(program, dir)?;
            if dump.complaint.is_some() {
                dump = log::dump(program, dir)?;
            }
            if let Some(complaint) = dump.complaint {
                findings.fault(3, || complaint);
            }
            let prefix = asker.users.prefix();
            // The log first, then the store: what the log let go of in between, the store has.
            match store::dump(program, dir)? {
                Some(stored) => {
                    store::compare(&stored, &dump.shards, &evidence, &left, prefix, &mut findings);
                }
                None => findings
                    .notes
                    .push("there is no store: the log was checked alone".into()),
            }
            if store::is_whole(&dump.shards) {
                let replay = log_replay::replay(&dump.shards, &mut findings);
                log_replay::compare(&replay, &evidence, &left, prefix, scope.exclusive, &mut findings);
            } else {
                findings.notes.push(
                    "the log no longer begins with the first entry, the store has it: it was not replayed"
                        .into(),
                );
            }
        }
        None => findings
            .notes
            .push("the log was not checked: give --data DIR --tidegate PROGRAM".into()),
    }
    Ok(findings)
}

fn evidence<'a>(
    ledger: &'a Ledger,
    names: &'a [String],
    skus: &'a [SkuEvidence],
    seen: &'a HashMap<crate::ledger::RecordId, super::OrderSeen>,
    scope: &Scope<'_>,
    read_at_ms: u64,
) -> Evidence<'a> {
    Evidence {
        ledger,
        names,
        skus,
        seen,
        one_buyer: scope.one_buyer,
        read_at_ms,
        exclusive: scope.exclusive,
    }
}
