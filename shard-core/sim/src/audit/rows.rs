//! The store against what is durable: rules 3, 5 and 9.

use tidegate_follow::{OrderRow, Step};
use tidegate_node::Node;
use tidegate_shard_core::{Caller, Input, OrderView, Reply};

use super::path::At;
use super::*;
use crate::store::Store;

impl Audit {
    /// A start has recovered: every order that somebody was told of is with its shard or, if it ended, in the store. Says how many are in
    /// the store alone.
    pub fn acknowledged_are_there(&self, opened: &Opened, store: &Store) -> Result<u64, Broken> {
        let mut only_stored = 0;
        for (&order, told) in &self.acknowledged {
            let node = opened
                .nodes
                .iter()
                .find(|node| node.shard(order.shard()).is_some());
            let view = node.and_then(|node| view(node, order));
            let held = view.map(|view| (view.lines, view.total));
            let row = store.rows().get(order);
            let row = row.filter(|row| row.status.is_some_and(|status| status != OrderStatus::Pending));
            let stored = row.map(|row| (row.lines.clone(), row.total));
            if held.as_ref() != Some(told) && stored.as_ref() != Some(told) {
                return Err(format!(
                    "order {order} was acknowledged as {told:?}; after the start its shard has {held:?} and the store {stored:?}"
                ));
            }
            only_stored += u64::from(held.is_none());
        }
        Ok(only_stored)
    }

    /// All is quiet: the store has every order once, as its entries and its shard have it, with each step of its history.
    pub fn check_store(&self, machine: &Machine, store: &Store) -> Result<(), Broken> {
        let mut known = 0;
        for (&order, fact) in &self.orders {
            let row = store.rows().get(order);
            let is = row.map(|row| (row.buyer, &row.lines, row.total, row.status));
            let expected = match fact.standing {
                Standing::Stands(status) => Some((fact.buyer, &fact.lines, fact.total, Some(status))),
                Standing::Gathering | Standing::Dead => None,
            };
            if is != expected {
                return Err(format!("order {order} is {expected:?}, and the store has {is:?}"));
            }
            let Some(row) = row else { continue };
            known += 1;
            if let Some(view) = view(machine.node_of(order.shard()), order) {
                check_view(row, &view)?;
            }
        }
        if store.rows().iter().count() != known || store.histories() != known {
            return Err(format!(
                "there are {known} orders, and the store has {} and histories of {}",
                store.rows().iter().count(),
                store.histories()
            ));
        }
        self.check_histories(store)
    }

    /// Rule 9: each history is a path in the state table, without a step twice and without one missing.
    fn check_histories(&self, store: &Store) -> Result<(), Broken> {
        let mut steps: BTreeMap<OrderId, Vec<(u64, Step)>> = BTreeMap::new();
        for (shard, history) in self.shards.iter().enumerate() {
            for (op, (entry, _)) in (1..).zip(&history.entries) {
                if let Some(step) = Step::of(shard as u16, entry) {
                    steps.entry(step.order).or_default().push((op, step));
                }
            }
        }
        for row in store.rows().iter() {
            let (has, logged) = (store.history(row.order), steps.get(&row.order));
            if logged.is_none_or(|logged| logged != has) {
                return Err(format!(
                    "order {}: {logged:?} was logged, and the store has {has:?}",
                    row.order
                ));
            }
            let end = has.iter().try_fold(At::Nowhere, |at, (op, step)| {
                at.after(step)
                    .ok_or_else(|| format!("order {}: {} of op {op} came at {at:?}", row.order, step.kind))
            })?;
            if end.status() != row.status {
                return Err(format!(
                    "order {}: its history ends {end:?}, its row says {:?}",
                    row.order, row.status
                ));
            }
        }
        Ok(())
    }
}

/// A row says what the shard says.
fn check_view(row: &OrderRow, view: &OrderView) -> Result<(), Broken> {
    let stored = (row.status, row.total, row.currency, row.placed_at, row.pay_by);
    let served = (
        Some(view.status),
        view.total,
        view.currency,
        view.created,
        view.pay_by,
    );
    match stored == served {
        true => Ok(()),
        false => Err(format!("the store has {row:?}, and the shard {view:?}")),
    }
}

/// An order as its shard would show it to an operator.
fn view(node: &Node, order: OrderId) -> Option<OrderView> {
    let shard = node.shard(order.shard())?;
    let read = Command::ReadOrder {
        order,
        caller: Caller::Operator,
    };
    match shard.decide(shard.time(), Input::Command(&read)).reply {
        Reply::Now(Outcome::Order(view)) => Some(view),
        _ => None,
    }
}
