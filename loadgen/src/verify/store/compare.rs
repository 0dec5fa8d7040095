//! Holds the store against what clients saw and against the log: each acknowledged order is there exactly once with the same fields, or still in
//! the log, and where it stands is where its steps lead.

use std::collections::HashMap;

use super::Stored;
use crate::ledger::Record;
use crate::verify::facts::{End, Facts};
use crate::verify::log::{Entry, LogLine, Shards};
use crate::verify::path::{Path, State, is_step};
use crate::verify::{Evidence, Findings, cost, ids, name};

/// What is compared. The log was read before the store: what it let go of in between, the store has.
pub struct Sides<'a> {
    /// The store's orders.
    pub stored: &'a [Stored],
    /// The rest of the log.
    pub log: &'a Shards,
    /// What clients saw.
    pub evidence: &'a Evidence<'a>,
    /// The same, by key.
    pub facts: &'a [Facts],
    /// What this run's users are called.
    pub prefix: &'a str,
    /// The store was read when it had all that this log shows.
    pub caught_up: bool,
}

/// Compares every order of the store, and every acknowledged one.
pub fn compare(sides: &Sides<'_>, findings: &mut Findings) {
    let mut by_id: HashMap<u64, &Stored> = HashMap::with_capacity(sides.stored.len());
    for order in sides.stored {
        let id = order.order.parse().unwrap_or(0);
        let twice = by_id.insert(id, order).is_some();
        findings.check(3, !twice && id != 0, || {
            format!("order {} is in the store twice, or is no id", order.order)
        });
    }
    let logged = steps_of(sides.log);
    let mut ways: HashMap<u64, Way> = HashMap::with_capacity(by_id.len());
    for (&id, order) in &by_id {
        let entries = logged.get(&id).map_or(&[][..], Vec::as_slice);
        ways.insert(id, sides.way(order, entries, findings));
    }
    for fact in sides.facts.iter().filter(|fact| fact.order != 0) {
        let entries = logged.get(&fact.order).map_or(&[][..], Vec::as_slice);
        match by_id.get(&fact.order) {
            Some(order) => {
                sides.fields(fact, order, findings);
                sides.ends(fact, &ways[&fact.order], findings);
            }
            None => sides.missing(fact, entries, findings),
        }
    }
}

/// The steps of each order that the log still has, in the order of their ops.
fn steps_of(log: &Shards) -> HashMap<u64, Vec<&Entry>> {
    let mut steps: HashMap<u64, Vec<&Entry>> = HashMap::new();
    for entry in log.values().flatten().filter(|entry| is_step(&entry.kind)) {
        match entry.order_id() {
            // What other shards log about an order is no step of its history.
            Some(id) if ids::shard(id) == entry.shard => steps.entry(id).or_default().push(entry),
            _ => {}
        }
    }
    steps
}

/// The way of an order: every status that clients may have been told, the last one at the end.
#[derive(Default)]
struct Way {
    statuses: Vec<&'static str>,
}

impl Way {
    fn add(&mut self, state: Option<State>) {
        if let Some(status) = state.and_then(State::status)
            && self.statuses.last() != Some(&status)
        {
            self.statuses.push(status);
        }
    }
}

impl Sides<'_> {
    /// Goes along an order's history in the store, and then along what the log has beyond it.
    fn way(&self, order: &Stored, entries: &[&Entry], findings: &mut Findings) -> Way {
        let (mut path, mut way, mut last) = (Path::default(), Way::default(), 0);
        for step in &order.history {
            let went = path.step(&step.step());
            findings.check(9, went.is_ok() && step.op > last, || {
                let why = went
                    .as_ref()
                    .err()
                    .cloned()
                    .unwrap_or_else(|| "ops do not rise".into());
                format!(
                    "order {} in the store, shard {} op {}: {why}",
                    order.order, step.shard, step.op
                )
            });
            if let Some(entry) = at(self.log, step.shard, step.op) {
                let same = entry.kind == step.kind && entry.order.as_deref() == Some(&order.order);
                findings.check(9, same, || {
                    format!(
                        "order {}: the store has {} at shard {} op {}, and the log has {} of {:?} there",
                        order.order, step.kind, step.shard, step.op, entry.kind, entry.order
                    )
                });
            }
            way.add(path.state());
            last = last.max(step.op);
        }
        let status = path.state().and_then(State::status);
        findings.check(9, status == Some(&order.status), || {
            format!(
                "order {} is {} in the store, and its history leads to {status:?}",
                order.order, order.status
            )
        });
        self.beyond(order, last, entries, &mut path, &mut way, findings);
        way
    }

    /// Goes along the entries that the store does not have yet, if it may lack any.
    fn beyond(
        &self,
        order: &Stored,
        last: u64,
        entries: &[&Entry],
        path: &mut Path,
        way: &mut Way,
        findings: &mut Findings,
    ) {
        for entry in entries {
            if entry.op <= last {
                let has = order.history.iter().any(|step| step.op == entry.op);
                findings.check(9, has, || {
                    format!(
                        "order {}: the log has {} at shard {} op {}, and the store has later steps but not this one",
                        order.order, entry.kind, entry.shard, entry.op
                    )
                });
                continue;
            }
            findings.check(12, !self.caught_up, || {
                format!(
                    "order {}: the log has {} at shard {} op {}, and the store, which has caught up, has not",
                    order.order, entry.kind, entry.shard, entry.op
                )
            });
            if let Err(why) = path.step(&entry.step()) {
                findings.fault(9, || {
                    format!(
                        "order {}, shard {} op {}: {why}, by the store's history before it",
                        order.order, entry.shard, entry.op
                    )
                });
            }
            way.add(path.state());
        }
    }

    /// An acknowledged order that the store does not have must be in the log whole.
    fn missing(&self, fact: &Facts, entries: &[&Entry], findings: &mut Findings) {
        let logged = entries
            .iter()
            .any(|entry| matches!(entry.kind.as_str(), "placed" | "committed"));
        findings.check(3, logged && !self.caught_up, || {
            let and = if logged {
                "in the log, and not in the store, which has caught up"
            } else {
                "neither in the store nor in the log"
            };
            format!("order {} was acknowledged and is {and}", fact.order)
        });
        if !logged {
            return;
        }
        let (mut path, mut way) = (Path::default(), Way::default());
        for entry in entries {
            if let Err(why) = path.step(&entry.step()) {
                findings.fault(9, || {
                    format!(
                        "order {}, shard {} op {}: {why}",
                        fact.order, entry.shard, entry.op
                    )
                });
            }
            way.add(path.state());
        }
        self.ends(fact, &way, findings);
    }

    /// Whose it is, what is ordered, what it costs.
    fn fields(&self, fact: &Facts, order: &Stored, findings: &mut Findings) {
        let evidence = self.evidence;
        let record = &evidence.ledger.records[fact.origin as usize];
        let user = format!(
            "{}{}",
            self.prefix,
            if evidence.one_buyer { 0 } else { record.user }
        );
        findings.check(3, order.user == user, || {
            format!(
                "order {} of {user} is in the store for {}",
                fact.order, order.user
            )
        });
        let lines = lines(evidence, record);
        findings.check(8, order.lines == lines, || {
            format!(
                "order {} was placed with {lines:?} and is stored with {:?}",
                fact.order, order.lines
            )
        });
        let mut costs = |who: &str, total: u64, currency: &str| {
            findings.check(3, order.total == total && order.currency == currency, || {
                format!(
                    "order {} costs {total} {currency} by {who}, and {} {} by the store",
                    fact.order, order.total, order.currency
                )
            });
        };
        if let Some((total, currency)) = cost::of(evidence, record) {
            costs("its lines and their prices", total, currency);
        }
        let seen = evidence.seen.get(&fact.origin);
        if let Some((total, currency)) = seen.and_then(|seen| Some((seen.total?, seen.currency.as_ref()?))) {
            costs("what the API said", total, currency);
        }
        let made = order
            .history
            .iter()
            .filter(|step| matches!(step.kind.as_str(), "placed" | "committed"));
        for step in made {
            let entry = at(self.log, step.shard, step.op);
            if let Some((total, currency)) =
                entry.and_then(|entry| Some((entry.total?, entry.currency.as_ref()?)))
            {
                costs("the log", total, currency);
            }
        }
    }

    /// What clients were told last is on the order's way, and where the way ends is where they may have brought it.
    fn ends(&self, fact: &Facts, way: &Way, findings: &mut Findings) {
        let seen = self
            .evidence
            .seen
            .get(&fact.origin)
            .filter(|seen| seen.http == 200);
        let told = match (seen, fact.end) {
            (Some(seen), _) => seen.status.as_str(),
            (None, End::Cancelled) => "cancelled",
            (None, End::Confirmed) => "confirmed",
            (None, End::Open | End::Maybe) => "pending",
        };
        findings.check(3, way.statuses.contains(&told), || {
            format!(
                "order {}: clients were last told {told}, and by the steps of store and log it was {:?}",
                fact.order, way.statuses
            )
        });
        let end = way.statuses.last().copied().unwrap_or("no order");
        let lawful = match fact.end {
            End::Cancelled => end == "cancelled",
            End::Confirmed => end == "confirmed",
            End::Open => matches!(end, "pending" | "expired") || !self.evidence.exclusive,
            End::Maybe => true,
        };
        findings.check(3, lawful, || {
            format!(
                "order {} ends as {end} by the steps of store and log, and clients know {:?}",
                fact.order, fact.end
            )
        });
    }
}

fn lines(evidence: &Evidence<'_>, record: &Record) -> Vec<LogLine> {
    let lines = evidence.ledger.lines(record).iter().map(|line| LogLine {
        sku: name(evidence, line.sku).to_string(),
        qty: u64::from(line.qty),
    });
    let mut lines: Vec<LogLine> = lines.collect();
    lines.sort();
    lines
}

/// The entry at an op of a shard, if the log still has it.
fn at(log: &Shards, shard: u16, op: u64) -> Option<&Entry> {
    let entries = log.get(&shard)?;
    let index = entries.binary_search_by_key(&op, |entry| entry.op).ok()?;
    entries.get(index)
}
