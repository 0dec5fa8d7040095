//! Everything that is kept incrementally, computed again.

use crate::ids::{Buyer, Op};
use crate::order::OrderRow;
use crate::order_state::{ChargeStanding, State};
use crate::shard::Shard;
use crate::stock::has_units;
use std::collections::{BTreeMap, HashSet};

macro_rules! ensure {
    ($holds:expr, $($sentence:tt)+) => {
        if !$holds {
            return Err(format!($($sentence)+));
        }
    };
}

impl Shard {
    /// Recomputes everything that is kept incrementally. O(n): for tests, the simulation, and after a restore.
    ///
    /// # Errors
    /// A sentence about the first thing that is wrong.
    pub fn check_invariants(&self) -> Result<(), String> {
        self.check_stock()?;
        self.check_counts()?;
        self.check_tables()?;
        self.orders.iter().try_for_each(|(_, row)| self.check_order(row))
    }

    /// stocked = available + held + sold, held by someone, sold to someone.
    fn check_stock(&self) -> Result<(), String> {
        let mut held = vec![0u64; self.skus.rows.len()];
        let mut sold = vec![0u64; self.skus.rows.len()];
        for (_, row) in self.orders.iter() {
            for line in row.lines.as_slice() {
                let units = u64::from(line.qty);
                held[line.sku as usize] += if row.state.holds() { units } else { 0 };
                sold[line.sku as usize] += if row.state == State::Confirmed { units } else { 0 };
            }
        }
        for (_, hold) in self.holds.rows() {
            hold.lines
                .iter()
                .for_each(|line| held[line.sku as usize] += u64::from(line.qty));
        }
        for (slot, row) in self.skus.rows.iter().enumerate() {
            let name = &row.name;
            ensure!(
                row.held == held[slot],
                "{name}: {} held, orders hold {}",
                row.held,
                held[slot]
            );
            // Orders of other shards and forgotten ones have more.
            ensure!(
                row.sold >= sold[slot],
                "{name}: {} sold, orders have {}",
                row.sold,
                sold[slot]
            );
            let committed = row.held.checked_add(row.sold);
            ensure!(
                committed.is_some_and(|units| units <= row.stocked),
                "{name}: oversold: {row:?}"
            );
        }
        Ok(())
    }

    /// No buyer has more units than are counted, and counts add up.
    fn check_counts(&self) -> Result<(), String> {
        let mut units: BTreeMap<(u64, Buyer), (u32, u64)> = BTreeMap::new();
        let orders = self.orders.iter().filter(|(_, row)| has_units(row));
        let own = orders.map(|(_, row)| (row.buyer, row.lines.as_slice()));
        let others = self.holds.rows().map(|(_, hold)| (hold.buyer, &hold.lines[..]));
        for (buyer, lines) in own.chain(others) {
            for line in lines {
                if let Some(place) = self
                    .skus
                    .count_place(line.sku)
                    .filter(|_| !self.skus.is_over(line.sku))
                {
                    units.entry((place, buyer)).or_insert((line.sku, 0)).1 += u64::from(line.qty);
                }
            }
        }
        for ((_, buyer), (sku, has)) in units {
            let (counted, _) = self.skus.counted(sku, &buyer);
            let name = &self.skus.row(sku).name;
            ensure!(
                u64::from(counted) >= has,
                "{name}: {buyer:?} has {has}, counted are {counted}"
            );
        }
        let own = (0..self.skus.rows.len() as u32).filter_map(|sku| self.skus.own_counts(sku));
        let groups = self.skus.groups().iter().map(|(_, counts)| counts);
        let buyers: usize = own.chain(groups).map(|counts| counts.len()).sum();
        ensure!(
            buyers == self.skus.buyers,
            "{buyers} buyers are counted, {} noted",
            self.skus.buyers
        );
        Ok(())
    }

    fn check_tables(&self) -> Result<(), String> {
        let (mut rows, mut open, mut gathering, mut ended) = (0, 0, 0, 0);
        let mut ops = HashSet::new();
        for (slot, row) in self.orders.iter() {
            rows += 1;
            open += u32::from(row.state.open());
            gathering += u32::from(row.state.gathers());
            ended += usize::from(row.state.ended());
            let id = row.id;
            ensure!(
                self.orders.slot(id) == Some(slot),
                "order {id} is not found by its id, or is there twice"
            );
            ensure!(
                self.orders.by_key(&row.key).is_some_and(|found| found.id == id),
                "order {id} is not found by its key, or shares it"
            );
            ensure!(
                id <= self.last_id,
                "order {id} is above the last id {}",
                self.last_id
            );
            ensure!(row.ended_op <= self.op, "order {id} ended at an op to come");
            ensure!(
                row.ended_op == Op(0) || ops.insert(row.ended_op),
                "two orders ended at one op"
            );
        }
        ensure!(
            rows == self.orders.len(),
            "{rows} rows, {} indexed",
            self.orders.len()
        );
        ensure!(
            open == self.orders.open,
            "{open} open orders, {} counted",
            self.orders.open
        );
        ensure!(
            gathering == self.orders.gathering,
            "{gathering} gather, {} counted",
            self.orders.gathering
        );
        let retired = self.orders.retired().count();
        ensure!(retired == ended, "{ended} orders ended, {retired} are queued");
        ensure!(self.applied <= self.op, "the store is ahead of the shard");
        Ok(())
    }

    fn check_order(&self, row: &OrderRow) -> Result<(), String> {
        let (id, state) = (row.id, row.state);
        ensure!(
            (state == State::Closing) == row.closing().is_some(),
            "order {id}: closing without a grace"
        );
        let paid = row
            .charges()
            .iter()
            .filter(|charge| charge.standing == ChargeStanding::Paid)
            .count();
        ensure!(
            paid == usize::from(state == State::Confirmed),
            "order {id}: {state:?} with {paid} paid charges"
        );
        ensure!(
            state != State::Closing || row.charge_in(ChargeStanding::Open).is_some(),
            "order {id}: closing without an open charge"
        );
        let Some(cross) = row.cross() else {
            ensure!(!state.gathers(), "order {id}: gathers from nobody");
            return Ok(());
        };
        ensure!(!cross.parts.is_empty(), "order {id}: other shards, but none");
        let missing = cross.parts.iter().any(|part| part.held.is_none());
        ensure!(
            !state.gathers() || missing,
            "order {id}: gathers, but nothing is missing"
        );
        ensure!(
            state != State::Regathering || cross.charge.is_some(),
            "order {id}: held again without a charge"
        );
        Ok(())
    }
}
