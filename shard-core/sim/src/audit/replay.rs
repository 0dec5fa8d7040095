//! The end: all entries again, on fresh shards.

use tidegate_shard_core::{Caller, Input, Reply, Shard};

use super::*;
use crate::plan::GRACE_MS;

/// An order may outlive its deadline by this, in ms: the grace after a start, a closing, and slow turns.
const SLACK_MS: u64 = GRACE_MS + 1_500;

impl Audit {
    /// Everything that can only be said when all is quiet.
    pub fn finish(&self, machine: &Machine, now: Millis) -> Result<(), Broken> {
        for history in 0..self.plan.shards {
            self.replay(ShardId(history), machine)?;
        }
        self.check_orders(machine, now)?;
        self.check_sums(machine)
    }

    /// Rules 13 and 14: a replay gives the same state, and every answer was true at its op.
    fn replay(&self, id: ShardId, machine: &Machine) -> Result<(), Broken> {
        let history = &self.shards[usize::from(id.0)];
        let config = self.plan.open_config(3, 0).shard_config(id.0, self.plan.shards);
        let mut shard = Shard::new(config.clone());
        let mut claims: Vec<&(u64, Claim)> = history.claims.iter().collect();
        claims.sort_by_key(|(op, _)| *op);
        let mut claims = claims.into_iter().peekable();
        for op in 0..=history.entries.len() as u64 {
            if let Some((entry, _)) = op.checked_sub(1).map(|at| &history.entries[at as usize]) {
                shard
                    .check_digest(entry)
                    .map_err(|error| format!("shard {id}: {error}"))?;
                shard.apply(entry);
            }
            while let Some((_, claim)) = claims.next_if(|(at, _)| *at == op) {
                check_claim(&shard, claim).map_err(|broken| format!("shard {id}, op {op}: {broken}"))?;
            }
        }
        if let Some((op, claim)) = claims.next() {
            return Err(format!(
                "shard {id}: an answer at op {op} is of no durable past: {claim:?}"
            ));
        }
        let live = machine.node_of(id).shard(id).expect("the node has the shard");
        let (mut replayed, mut served) = (Vec::new(), Vec::new());
        shard.snapshot(&mut replayed);
        live.snapshot(&mut served);
        if live.op() != shard.op() || live.digest() != shard.digest() || replayed != served {
            return Err(format!(
                "shard {id}: replayed to op {}, serves op {}",
                shard.op(),
                live.op()
            ));
        }
        let again = Shard::restore(config, &replayed).map_err(|error| format!("shard {id}: {error:?}"))?;
        if again.digest() != live.digest() {
            return Err(format!("shard {id}: its snapshot restores to another digest"));
        }
        again
            .check_invariants()
            .map_err(|broken| format!("restored shard {id}: {broken}"))
    }

    /// Rules 3 and 7: every order is where its entries left it, and none hangs on past its deadline.
    fn check_orders(&self, machine: &Machine, now: Millis) -> Result<(), Broken> {
        for (&order, fact) in &self.orders {
            let shard = machine
                .node_of(order.shard())
                .shard(order.shard())
                .expect("the node has the shard");
            let read = Command::ReadOrder {
                order,
                caller: Caller::Operator,
            };
            let reply = shard.decide(now, Input::Command(&read)).reply;
            let view = match reply {
                Reply::Now(Outcome::Order(view)) => Some(view),
                _ => None,
            };
            match (fact.standing, view) {
                (Standing::Gathering, _) => return Err(format!("order {order} gathers for ever")),
                (Standing::Stands(status), Some(view)) if view.status == status => {
                    let late = status == OrderStatus::Pending && view.pay_by.after(SLACK_MS) < now;
                    if late {
                        return Err(format!(
                            "order {order} outlives its deadline {} at {now}",
                            view.pay_by
                        ));
                    }
                }
                (Standing::Stands(OrderStatus::Pending), found) | (Standing::Dead, found @ Some(_)) => {
                    return Err(format!(
                        "order {order}: {:?}, but the shard says {found:?}",
                        fact.standing
                    ));
                }
                (Standing::Stands(_), Some(view)) => {
                    return Err(format!(
                        "order {order}: {:?}, but the shard says {view:?}",
                        fact.standing
                    ));
                }
                (Standing::Stands(_) | Standing::Dead, None) => {}
            }
        }
        Ok(())
    }

    /// Rules 1, 2 and 8: what is held and sold is what the orders hold and bought, on every shard they touch.
    fn check_sums(&self, machine: &Machine) -> Result<(), Broken> {
        let mut sums: HashMap<SkuName, (u64, u64)> = HashMap::new();
        for fact in self.orders.values() {
            for line in &fact.lines {
                let (held, sold) = sums.entry(line.sku).or_default();
                match fact.standing {
                    Standing::Stands(OrderStatus::Pending) => *held += u64::from(line.qty),
                    Standing::Stands(OrderStatus::Confirmed) => *sold += u64::from(line.qty),
                    _ => {}
                }
            }
        }
        for shard in machine.threads.iter().flat_map(|thread| thread.node.shards()) {
            for stock in shard.skus() {
                let (held, sold) = sums.get(&stock.sku).copied().unwrap_or_default();
                if (stock.held, stock.sold) != (held, sold) {
                    return Err(format!(
                        "{} has {} held and {} sold; its orders make that {held} and {sold}",
                        stock.sku, stock.held, stock.sold
                    ));
                }
            }
        }
        Ok(())
    }
}

fn check_claim(shard: &Shard, claim: &Claim) -> Result<(), Broken> {
    match claim {
        Claim::Stock(view) => {
            let found = shard.stock(&view.sku);
            if found != Some(*view) {
                return Err(format!("the answer {view:?} was not so: {found:?}"));
            }
        }
        Claim::SoldOut { sku, qty } => {
            let available = shard.stock(sku).map_or(0, |stock| stock.available);
            if available >= u64::from(*qty) {
                return Err(format!(
                    "{sku} was sold out for {qty}, and {available} were available"
                ));
            }
        }
        Claim::Order(view) => {
            let read = Command::ReadOrder {
                order: view.id,
                caller: Caller::Operator,
            };
            let reply = shard.decide(shard.time(), Input::Command(&read)).reply;
            let Reply::Now(Outcome::Order(found)) = reply else {
                return Err(format!("the answer {view:?} was not so: {reply:?}"));
            };
            if (tidegate_shard_core::OrderView {
                repeated: false,
                ..found.clone()
            }) != **view
            {
                return Err(format!("the answer {view:?} was not so: {found:?}"));
            }
        }
    }
    Ok(())
}
