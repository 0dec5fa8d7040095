//! A batch's entries folded into rows: what the store had is read once, each row that changed is written once.

use std::collections::btree_map::Entry as Slot;
use std::collections::{BTreeMap, BTreeSet};

use tidegate_follow::{Change, Mark, OrderRow, Step};
use tidegate_shard_core::entry::{Entry, Placed};
use tidegate_shard_core::{Millis, OrderId, SkuName};

use crate::columns::SkuRow;

/// An entry with the mark of its record.
pub(crate) type Marked = (Mark, Entry);

/// A step of history, by order and op.
#[derive(Debug)]
pub(crate) struct StepRow {
    pub(crate) shard: u16,
    pub(crate) at: Millis,
    pub(crate) kind: &'static str,
    pub(crate) detail: Option<String>,
}

/// A row, and what is to be done with it.
#[derive(Debug)]
pub(crate) struct Held<T> {
    pub(crate) row: T,
    /// Of the record that changed it last; none when it is as it was read.
    pub(crate) changed: Option<Mark>,
    /// It is not in the store yet.
    pub(crate) new: bool,
}

/// What a batch makes of the rows.
#[derive(Debug, Default)]
pub(crate) struct Fold {
    pub(crate) orders: BTreeMap<OrderId, Held<OrderRow>>,
    pub(crate) skus: BTreeMap<SkuName, Held<SkuRow>>,
    pub(crate) history: BTreeMap<(OrderId, u64), (Mark, StepRow)>,
    /// Orders whose rows go, before anything is written.
    pub(crate) drops: BTreeMap<OrderId, Mark>,
}

/// An order was placed twice.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Twice {
    pub(crate) mark: Mark,
    pub(crate) order: OrderId,
}

/// The orders and SKUs whose rows the entries change without having made them.
pub(crate) fn needed(entries: &[Marked]) -> (BTreeSet<OrderId>, BTreeSet<SkuName>) {
    let (mut orders, mut skus) = (BTreeSet::new(), BTreeSet::new());
    let (mut placed, mut put) = (BTreeSet::new(), BTreeSet::new());
    for change in entries.iter().filter_map(|(_, entry)| Change::of(entry)) {
        match change {
            Change::Placed { order, .. } => _ = placed.insert(order.order),
            Change::Committed { order, .. }
            | Change::Status { order, .. }
            | Change::RefundDue { order, .. } => {
                if !placed.contains(&order) {
                    orders.insert(order);
                }
            }
            // It goes, whatever is in it.
            Change::Dropped { .. } => {}
            Change::Sku { put: sku, .. } => _ = put.insert(sku.sku),
            Change::Stock { changed, .. } => {
                if !put.contains(&changed.sku) {
                    skus.insert(changed.sku);
                }
            }
        }
    }
    (orders, skus)
}

impl Fold {
    /// Begins with the rows that were read.
    pub(crate) fn on(orders: Vec<OrderRow>, skus: Vec<SkuRow>) -> Fold {
        Fold {
            orders: orders.into_iter().map(|row| (row.order, read(row))).collect(),
            skus: skus.into_iter().map(|row| (row.put.sku, read(row))).collect(),
            ..Fold::default()
        }
    }

    /// Takes an entry in, after those before it.
    pub(crate) fn take(&mut self, mark: Mark, entry: &Entry) -> Result<(), Twice> {
        if let Some(step) = Step::of(mark.shard, entry) {
            let row = StepRow {
                shard: mark.shard,
                at: entry.at,
                kind: step.kind,
                detail: step.detail.map(|detail| detail.to_string()),
            };
            self.history.insert((step.order, mark.op), (mark, row));
        }
        let Some(change) = Change::of(entry) else {
            return Ok(());
        };
        match change {
            Change::Placed { order, at, gathering } => return self.place(mark, order, at, gathering),
            Change::Dropped { order } => self.drop_order(mark, order),
            Change::Committed { order, .. }
            | Change::Status { order, .. }
            | Change::RefundDue { order, .. } => {
                // An order that the store never had is not made by its end.
                if let Some(held) = self.orders.get_mut(&order) {
                    held.row.take(&change);
                    held.changed = Some(mark);
                }
            }
            Change::Sku { put, at } => {
                let row = SkuRow {
                    put: put.clone(),
                    changed_at: at,
                };
                self.skus.insert(put.sku, made(row, mark));
            }
            Change::Stock { changed, at } => {
                if let Some(held) = self.skus.get_mut(&changed.sku) {
                    (held.row.put.stocked, held.row.changed_at) = (changed.stocked, at);
                    held.changed = Some(mark);
                }
            }
        }
        Ok(())
    }

    fn place(&mut self, mark: Mark, placed: &Placed, at: Millis, gathering: bool) -> Result<(), Twice> {
        let row = OrderRow::placed(placed, at, gathering);
        match self.orders.entry(placed.order) {
            Slot::Vacant(slot) => _ = slot.insert(made(row, mark)),
            Slot::Occupied(_) => {
                return Err(Twice {
                    mark,
                    order: placed.order,
                });
            }
        }
        Ok(())
    }

    fn drop_order(&mut self, mark: Mark, order: OrderId) {
        self.orders.remove(&order);
        let steps: Vec<_> = self
            .history
            .range((order, 0)..=(order, u64::MAX))
            .map(|(key, _)| *key)
            .collect();
        for key in steps {
            self.history.remove(&key);
        }
        self.drops.insert(order, mark);
    }
}

fn read<T>(row: T) -> Held<T> {
    Held {
        row,
        changed: None,
        new: false,
    }
}

fn made<T>(row: T, mark: Mark) -> Held<T> {
    Held {
        row,
        changed: Some(mark),
        new: true,
    }
}

#[cfg(test)]
#[path = "../tests/support/shop.rs"]
#[allow(dead_code, reason = "the tests on a server need more of it")]
mod shop;

#[cfg(test)]
mod tests {
    use super::shop::Shop;
    use super::*;
    use tidegate_follow::OrderRows;

    fn a_day() -> Vec<Marked> {
        let mut shop = Shop::new(3, 5);
        for _ in 0..700 {
            shop.act();
        }
        let marked = |record: &tidegate_follow::Record| {
            let entry = Entry::decode(&record.payload).unwrap();
            (record.mark(), entry)
        };
        shop.log.iter().map(marked).collect()
    }

    /// Brings a batch into rows that stand for the store's.
    fn bring_in(store: &mut BTreeMap<OrderId, OrderRow>, batch: &[Marked]) {
        let (orders, _) = needed(batch);
        let loaded = orders.iter().filter_map(|order| store.get(order).cloned());
        let mut fold = Fold::on(loaded.collect(), Vec::new());
        for (mark, entry) in batch {
            fold.take(*mark, entry).unwrap();
        }
        for order in fold.drops.keys() {
            store.remove(order);
        }
        for (order, held) in fold.orders {
            if held.changed.is_some() {
                assert_eq!(store.contains_key(&order), !held.new);
                store.insert(order, held.row);
            }
        }
    }

    #[test]
    fn batches_of_any_size_give_the_rows_of_the_entries_one_by_one() {
        let day = a_day();
        let mut expected = OrderRows::new();
        for (_, entry) in &day {
            expected.apply(entry);
        }
        for size in [1, 2, 7, 100, day.len()] {
            let mut store = BTreeMap::new();
            for batch in day.chunks(size) {
                bring_in(&mut store, batch);
            }
            assert!(expected.iter().eq(store.values()), "{size}");
        }
    }

    #[test]
    fn an_order_that_was_dropped_leaves_no_step_and_one_that_is_placed_twice_is_refused() {
        let day = a_day();
        let gathers = |(_, entry): &&Marked| matches!(Change::of(entry), Some(Change::Dropped { .. }));
        let (_, dropped) = day.iter().find(gathers).unwrap();
        let order = dropped.order().unwrap();
        let about: Vec<Marked> = day
            .iter()
            .filter(|(_, entry)| entry.order() == Some(order))
            .cloned()
            .collect();
        let mut fold = Fold::default();
        fold.take(about[0].0, &about[0].1).unwrap();
        assert!(fold.orders.contains_key(&order) && fold.history.len() == 1);
        let twice = fold.take(about[0].0, &about[0].1).unwrap_err();
        assert_eq!((twice.order, twice.mark), (order, about[0].0));
        for (mark, entry) in &about[1..] {
            fold.take(*mark, entry).unwrap();
        }
        assert!(fold.orders.is_empty() && fold.history.is_empty());
        assert!(fold.drops.contains_key(&order));
    }
}
