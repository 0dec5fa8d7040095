//! Reads the store through `tidegate store dump` and holds it against what clients saw: each acknowledged order is there exactly once with
//! the same fields, or still in the log.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::facts::Facts;
use super::log::{LogLine, Shards};
use super::{Evidence, Findings, name};

/// An order as the store has it.
#[derive(Clone, Debug, Deserialize)]
pub struct Stored {
    /// Its id, as text.
    pub order: String,
    /// The token's subject.
    pub user: String,
    /// Its lines, sorted by SKU.
    pub lines: Vec<LogLine>,
}

/// Runs `tidegate store dump DIR`. `None`: the directory has no store.
pub fn dump(program: &Path, dir: &Path) -> Result<Option<Vec<Stored>>, String> {
    if !dir.join("store.db").exists() {
        return Ok(None);
    }
    let mut child = Command::new(program)
        .args(["store", "dump"])
        .arg(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| format!("{}: {e}; build it, or name it with --tidegate", program.display()))?;
    let orders = child
        .stdout
        .take()
        .map_or_else(|| Ok(Vec::new()), |out| parse(BufReader::new(out)));
    let status = child.wait().map_err(|e| format!("{}: {e}", program.display()))?;
    match status.success() {
        true => orders.map(Some),
        false => Err(format!(
            "{} store dump: {status}; what it said is above",
            program.display()
        )),
    }
}

/// Parses a dump's lines.
pub fn parse(lines: impl BufRead) -> Result<Vec<Stored>, String> {
    let parsed = lines.lines().enumerate().map(|(n, line)| {
        let line = line.map_err(|e| format!("store dump: {e}"))?;
        serde_json::from_str(&line).map_err(|e| format!("store dump, line {}: {e}: {line}", n + 1))
    });
    parsed.collect()
}

/// Whether the log still begins with each shard's first operation. What the store has, it may have let go of.
pub fn is_whole(log: &Shards) -> bool {
    log.values()
        .all(|entries| entries.first().is_none_or(|first| first.op == 1))
}

/// Compares store and rest of the log with what clients saw.
pub fn compare(
    stored: &[Stored],
    log: &Shards,
    evidence: &Evidence<'_>,
    facts: &[Facts],
    prefix: &str,
    findings: &mut Findings,
) {
    let mut by_id: HashMap<u64, &Stored> = HashMap::with_capacity(stored.len());
    for order in stored {
        let id = order.order.parse().unwrap_or(0);
        let twice = by_id.insert(id, order).is_some();
        findings.check(3, !twice && id != 0, || {
            format!("order {} is in the store twice, or is no id", order.order)
        });
    }
    let logged: HashSet<u64> = log
        .values()
        .flatten()
        .filter(|entry| matches!(entry.kind.as_str(), "placed" | "committed"))
        .filter_map(|entry| entry.order.as_ref()?.parse().ok())
        .collect();
    for fact in facts.iter().filter(|fact| fact.order != 0) {
        let Some(order) = by_id.get(&fact.order) else {
            findings.check(3, logged.contains(&fact.order), || {
                format!(
                    "order {} was acknowledged and is neither in the store nor in the log",
                    fact.order
                )
            });
            continue;
        };
        let record = &evidence.ledger.records[fact.origin as usize];
        let user = format!("{prefix}{}", if evidence.one_buyer { 0 } else { record.user });
        findings.check(3, order.user == user, || {
            format!(
                "order {} of {user} is in the store for {}",
                fact.order, order.user
            )
        });
        let mut lines: Vec<LogLine> = evidence
            .ledger
            .lines(record)
            .iter()
            .map(|line| LogLine {
                sku: name(evidence, line.sku).to_string(),
                qty: u64::from(line.qty),
            })
            .collect();
        lines.sort();
        findings.check(8, order.lines == lines, || {
            format!(
                "order {} was placed with {lines:?} and is stored with {:?}",
                fact.order, order.lines
            )
        });
    }
}

#[cfg(test)]
mod tests;
