//! The steps of a proof: settle what is unknown, read back, check, and look into the log.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use super::api::Asker;
use super::facts::Facts;
use super::feed::{self, Patience, Waited};
use super::{Evidence, Findings, SkuEvidence, facts, log, log_replay, store};
use crate::ledger::Ledger;

/// How far a proof goes.
pub struct Scope<'a> {
    /// Orders read back; an even sample beyond.
    pub read_back: usize,
    /// Acknowledged keys that are sent once more.
    pub again: usize,
    /// What the gateway left on the disk, to be checked too.
    pub disk: Option<Disk<'a>>,
    /// Everyone shares one token.
    pub one_buyer: bool,
    /// Nobody else uses the gateway.
    pub exclusive: bool,
}

/// Where the gateway's log and store are.
#[derive(Clone, Copy)]
pub struct Disk<'a> {
    /// The tidegate program, which reads them.
    pub program: &'a Path,
    /// The data directory.
    pub data: &'a Path,
    /// The store's file, if it is not where it is by default.
    pub store: Option<&'a Path>,
    /// The admin address of a gateway whose store must catch up with the log (invariant 12).
    pub catches_up: Option<SocketAddr>,
    /// The backoffice in a process of its own, which has the store.
    pub behind: Option<Behind<'a>>,
}

/// A backoffice in a process of its own.
#[derive(Clone, Copy)]
pub struct Behind<'a> {
    /// The tidegate-backoffice program, which reads the store.
    pub program: &'a Path,
    /// Its configuration.
    pub config: &'a Path,
    /// Its metrics.
    pub admin: SocketAddr,
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
    match &scope.disk {
        Some(disk) => look_at(disk, &evidence, &left, asker.users.prefix(), &mut findings)?,
        None => findings
            .notes
            .push("the log was not checked: give --data DIR --tidegate PROGRAM".into()),
    }
    Ok(findings)
}

/// The log first, then the store: what the log let go of in between, the store has.
fn look_at(
    disk: &Disk<'_>,
    evidence: &Evidence<'_>,
    facts: &[Facts],
    prefix: &str,
    findings: &mut Findings,
) -> Result<(), String> {
    // A segment that the store has may go while it is read: then the next look is whole.
    let mut dump = log::dump(disk.program, disk.data)?;
    if dump.complaint.is_some() {
        dump = log::dump(disk.program, disk.data)?;
    }
    if let Some(complaint) = dump.complaint {
        findings.fault(3, || complaint);
    }
    let caught_up = disk.catches_up.is_some_and(|admin| catch_up(admin, findings));
    let stored = match disk.behind {
        Some(behind) => {
            no_shard_stopped(behind.admin, findings);
            Some(store::dump_behind(behind.program, behind.config)?)
        }
        None => store::dump(disk.program, disk.data, disk.store)?,
    };
    match stored {
        Some(stored) => {
            let sides = store::Sides {
                stored: &stored,
                log: &dump.shards,
                evidence,
                facts,
                prefix,
                caught_up,
            };
            store::compare(&sides, findings);
        }
        None => findings
            .notes
            .push("there is no store: the log was checked alone".into()),
    }
    if store::is_whole(&dump.shards) {
        let replay = log_replay::replay(&dump.shards, findings);
        log_replay::compare(&replay, evidence, facts, prefix, evidence.exclusive, findings);
    } else {
        findings.notes.push(
            "the log no longer begins with the first entry, the store has it: it was not replayed".into(),
        );
    }
    Ok(())
}

/// Waits until the store has what the log had just now; whether it has.
fn catch_up(admin: SocketAddr, findings: &mut Findings) -> bool {
    let (patience, began) = (Patience::default(), Instant::now());
    let waited = feed::wait(&mut || feed::metrics(admin), patience, &mut |line| {
        println!("waiting for the store: {line}");
    });
    match waited {
        Waited::CaughtUp => {
            println!(
                "the store had all of the log after {:.1} s, of at most {} s",
                began.elapsed().as_secs_f64(),
                patience.most.as_secs()
            );
            findings.check(12, true, String::new);
            true
        }
        Waited::NoFeed => false,
        Waited::Behind(words) => {
            findings.check(12, false, || format!("the store does not catch up: {words}"));
            false
        }
    }
}

/// A shard that the backoffice gave up is a fault, whatever its rows say.
fn no_shard_stopped(admin: SocketAddr, findings: &mut Findings) {
    let stopped = feed::metrics(admin).and_then(|text| feed::stopped(&text));
    findings.check(12, stopped == Ok(0), || match &stopped {
        Ok(shards) => format!("the backoffice has stopped {shards} shards: its log says why"),
        Err(problem) => problem.clone(),
    });
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
