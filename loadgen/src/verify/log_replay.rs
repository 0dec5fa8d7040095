//! Goes over the offline log entry by entry: invariants 1, 2, 6, 7 and 8 at every op, then 3, 4 and 8 against what clients saw.

use std::collections::{BTreeMap, HashMap};

use super::facts::Facts;
use super::log::{Entry, LogLine, Shards};
use super::path::{Path, State, is_step};
use super::{Evidence, Findings, name};

struct Order {
    path: Path,
    lines: Vec<LogLine>,
    user: String,
    key: String,
}

#[derive(Default)]
struct Units {
    stocked: u64,
    taken: u64,
}

/// The shop as the log alone tells it.
#[derive(Default)]
pub struct Replay {
    orders: HashMap<u64, Order>,
    /// The shard of each SKU, known from the entry that made it.
    homes: HashMap<String, u16>,
    units: BTreeMap<String, Units>,
    holds: HashMap<(u16, u64, u8), Vec<LogLine>>,
}

/// Replays every shard.
pub fn replay(shards: &Shards, findings: &mut Findings) -> Replay {
    let mut replay = Replay::default();
    for entries in shards.values() {
        for entry in entries.iter().filter(|e| e.kind == "sku_put") {
            if let Some(sku) = &entry.sku {
                replay.homes.insert(sku.clone(), entry.shard);
            }
        }
    }
    for (shard, entries) in shards {
        let (mut last_op, mut last_id) = (None, 0);
        for entry in entries {
            let expected = last_op.map_or(entry.op, |op: u64| op + 1);
            findings.check(3, entry.op == expected, || {
                format!(
                    "shard {shard}: op {} follows op {} in the log",
                    entry.op,
                    expected - 1
                )
            });
            last_op = Some(entry.op);
            if let ("placed" | "gathering", Some(id)) = (entry.kind.as_str(), entry.order_id()) {
                findings.check(6, id > last_id, || {
                    format!("shard {shard}: id {id} follows {last_id} in the log")
                });
                last_id = last_id.max(id);
            }
            replay.apply(entry, findings);
        }
    }
    replay
}

impl Order {
    /// Whether it is an order that its client may have been told of.
    fn is_made(&self) -> bool {
        self.path.state().is_some_and(|state| state.status().is_some())
    }
}

impl Replay {
    fn apply(&mut self, entry: &Entry, findings: &mut Findings) {
        match (entry.kind.as_str(), entry.order_id()) {
            ("sku_put" | "stock_changed", _) => self.stocked(entry, findings),
            ("placed" | "gathering", Some(id)) => self.begin(entry, id, findings),
            ("hold", Some(id)) => self.hold(entry, id, findings),
            ("settled", Some(id)) => self.settled(entry, id, findings),
            (kind, Some(id)) if is_step(kind) => self.step(entry, id, findings),
            _ => {}
        }
    }

    fn stocked(&mut self, entry: &Entry, findings: &mut Findings) {
        let (Some(sku), Some(stocked)) = (&entry.sku, entry.stocked) else {
            return;
        };
        let units = self.units.entry(sku.clone()).or_default();
        units.stocked = stocked;
        findings.check(2, units.taken <= stocked, || {
            format!(
                "{sku}: stock was set to {stocked} with {} held and sold",
                units.taken
            )
        });
    }

    fn begin(&mut self, entry: &Entry, id: u64, findings: &mut Findings) {
        let mut path = Path::default();
        // From the beginning both kinds are steps.
        _ = path.step(&entry.step());
        let mut lines = entry.lines.clone();
        lines.sort();
        let order = Order {
            path,
            lines,
            user: entry.user.clone().unwrap_or_default(),
            key: entry.key.clone().unwrap_or_default(),
        };
        let lines = order.lines.clone();
        let is_new = self.orders.insert(id, order).is_none();
        findings.check(6, is_new, || format!("order id {id} is in the log twice"));
        self.take(entry, &lines, findings);
    }

    /// Takes those of the lines that are of the entry's shard.
    fn take(&mut self, entry: &Entry, lines: &[LogLine], findings: &mut Findings) {
        for line in lines
            .iter()
            .filter(|l| self.homes.get(&l.sku) == Some(&entry.shard))
        {
            let units = self.units.entry(line.sku.clone()).or_default();
            units.taken += line.qty;
            findings.check(2, units.taken <= units.stocked, || {
                format!(
                    "{}: {} of {} units taken at shard {} op {}",
                    line.sku, units.taken, units.stocked, entry.shard, entry.op
                )
            });
        }
    }

    fn give_back(&mut self, entry: &Entry, lines: &[LogLine], findings: &mut Findings) {
        for line in lines
            .iter()
            .filter(|l| self.homes.get(&l.sku) == Some(&entry.shard))
        {
            let units = self.units.entry(line.sku.clone()).or_default();
            findings.check(1, units.taken >= line.qty, || {
                format!(
                    "{}: more given back than taken at shard {} op {}",
                    line.sku, entry.shard, entry.op
                )
            });
            units.taken = units.taken.saturating_sub(line.qty);
        }
    }

    fn hold(&mut self, entry: &Entry, id: u64, findings: &mut Findings) {
        let hold = (entry.shard, id, entry.attempt.unwrap_or(1));
        let is_new = self.holds.insert(hold, entry.lines.clone()).is_none();
        findings.check(7, is_new, || {
            format!("order {id}: held twice at shard {} op {}", entry.shard, entry.op)
        });
        self.take(entry, &entry.lines, findings);
    }

    fn settled(&mut self, entry: &Entry, id: u64, findings: &mut Findings) {
        let held = self.holds.remove(&(entry.shard, id, entry.attempt.unwrap_or(1)));
        findings.check(7, held.is_some(), || {
            format!(
                "order {id}: a hold that is not there ends at shard {} op {}",
                entry.shard, entry.op
            )
        });
        if let (Some(lines), Some("released")) = (held, entry.fate.as_deref()) {
            self.give_back(entry, &lines, findings);
        }
    }

    /// Moves an order along the state table.
    fn step(&mut self, entry: &Entry, id: u64, findings: &mut Findings) {
        let place = || format!("at shard {} op {}", entry.shard, entry.op);
        let Some(order) = self.orders.get_mut(&id) else {
            findings.fault(7, || {
                format!("order {id}: {} {} before it was made", entry.kind, place())
            });
            return;
        };
        let was_taken = order.path.state().is_some_and(State::takes);
        let is_taken = match order.path.step(&entry.step()) {
            Ok(state) => state.takes(),
            Err(why) => return findings.fault(7, || format!("order {id}, {}: {why}", place())),
        };
        let lines = order.lines.clone();
        match (was_taken, is_taken) {
            (true, false) => self.give_back(entry, &lines, findings),
            (false, true) => self.take(entry, &lines, findings),
            _ => {}
        }
        *findings.checked.entry(7).or_default() += 1;
    }
}

/// Compares the log with what clients saw. With `at_rest`, the API's stock was read with nothing in flight.
pub fn compare(
    replay: &Replay,
    evidence: &Evidence<'_>,
    facts: &[Facts],
    prefix: &str,
    at_rest: bool,
    findings: &mut Findings,
) {
    let mut claimed: HashMap<u64, ()> = HashMap::with_capacity(facts.len());
    // Orders that may exist without a client knowing: unknown outcomes, by who and what.
    let mut maybe: HashMap<(String, Vec<LogLine>), u32> = HashMap::new();
    for f in facts {
        let record = &evidence.ledger.records[f.origin as usize];
        let mut lines: Vec<LogLine> = evidence
            .ledger
            .lines(record)
            .iter()
            .map(|l| LogLine {
                sku: name(evidence, l.sku).to_string(),
                qty: u64::from(l.qty),
            })
            .collect();
        lines.sort();
        if f.order == 0 {
            if f.unknown {
                *maybe
                    .entry((subject(evidence, prefix, record.user), lines))
                    .or_default() += 1;
            }
            continue;
        }
        claimed.insert(f.order, ());
        let Some(order) = replay.orders.get(&f.order) else {
            findings.fault(3, || {
                format!("order {} was acknowledged and is not in the log", f.order)
            });
            continue;
        };
        findings.check(3, order.is_made(), || {
            format!(
                "order {} was acknowledged and is {:?} in the log",
                f.order,
                order.path.state()
            )
        });
        findings.check(8, order.lines == lines, || {
            format!(
                "order {} was placed with {lines:?} and is logged with {:?}",
                f.order, order.lines
            )
        });
        let user = subject(evidence, prefix, record.user);
        findings.check(3, order.user == user, || {
            format!("order {} of {user} is logged for {}", f.order, order.user)
        });
    }
    unclaimed(replay, &claimed, maybe, prefix, findings);
    keys(replay, findings);
    if at_rest {
        sums(replay, evidence, findings);
    }
}

fn subject(evidence: &Evidence<'_>, prefix: &str, user: u32) -> String {
    format!("{prefix}{}", if evidence.one_buyer { 0 } else { user })
}

/// Orders of this run in the log that no client was told of.
fn unclaimed(
    replay: &Replay,
    claimed: &HashMap<u64, ()>,
    mut maybe: HashMap<(String, Vec<LogLine>), u32>,
    prefix: &str,
    findings: &mut Findings,
) {
    for (id, order) in &replay.orders {
        if !order.is_made() || !order.user.starts_with(prefix) || claimed.contains_key(id) {
            continue;
        }
        match maybe.get_mut(&(order.user.clone(), order.lines.clone())) {
            Some(n) if *n > 0 => *n -= 1,
            _ => findings.fault(4, || {
                format!(
                    "order {id} of {} is in the log and nobody was told of it",
                    order.user
                )
            }),
        }
    }
}

/// One key, one order.
fn keys(replay: &Replay, findings: &mut Findings) {
    let mut seen: HashMap<&str, u64> = HashMap::with_capacity(replay.orders.len());
    for (&id, order) in &replay.orders {
        if order.path.state() == Some(State::Aborted) || order.key.is_empty() {
            continue;
        }
        let other = seen.insert(&order.key, id);
        findings.check(4, other.is_none(), || {
            format!("orders {id} and {} have the same key", other.unwrap_or(0))
        });
    }
}

/// What the API says is held and sold is what the log's orders have.
fn sums(replay: &Replay, evidence: &Evidence<'_>, findings: &mut Findings) {
    let mut live: HashMap<&str, u64> = HashMap::new();
    for order in replay
        .orders
        .values()
        .filter(|o| o.path.state().is_some_and(State::takes))
    {
        for line in &order.lines {
            *live.entry(line.sku.as_str()).or_default() += line.qty;
        }
    }
    for (id, sku) in evidence.skus.iter().enumerate() {
        let sku_name = name(evidence, id as u16);
        let Some(units) = replay.units.get(sku_name) else {
            continue;
        };
        let orders = live.get(sku_name).copied().unwrap_or(0);
        findings.check(8, units.taken == orders, || {
            format!(
                "{sku_name}: shards hold and sold {} units, orders have {orders}",
                units.taken
            )
        });
        findings.check(
            1,
            units.taken == sku.end.committed() && units.stocked == sku.end.stocked,
            || {
                format!(
                    "{sku_name}: the log has {} of {} taken, the API says {:?}",
                    units.taken, units.stocked, sku.end
                )
            },
        );
    }
}

#[cfg(test)]
mod tests;
