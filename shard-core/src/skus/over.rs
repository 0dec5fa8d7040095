//! Buyers' counts of sales that are over: they go at one entry, whatever there are of them, and their memory bit by bit.

use super::{Recount, Skus};
use crate::buyer::BuyerCounts;
use crate::ids::Millis;
use crate::sku::{Counted, SkuRow};

impl Skus {
    /// The counts of the SKU's units are gone, since its sale is over. Its limit cannot be checked any more.
    pub(crate) fn is_over(&self, slot: u32) -> bool {
        self.counts(slot).is_some_and(BuyerCounts::is_over)
    }

    /// Whether every sale that counts where the SKU does had ended at `at`. False for one without a limit.
    pub(crate) fn has_ended(&self, slot: u32, at: Millis) -> bool {
        let ended = |row: &SkuRow| row.sale_end.is_some_and(|end| end <= at);
        match &self.row(slot).counts {
            Counted::Nowhere => false,
            Counted::Here(_) => ended(self.row(slot)),
            Counted::InGroup(group) => self
                .rows
                .iter()
                .filter(|row| matches!(&row.counts, Counted::InGroup(of) if of == group))
                .all(ended),
        }
    }

    /// Ends the counts of the SKU's units, in no time: what they held is freed later by [`free_some`](Skus::free_some).
    pub(crate) fn end_counts(&mut self, slot: u32) {
        self.replace_counts(slot, BuyerCounts::over);
    }

    /// A sale goes on after its counts had ended: they begin again.
    pub(super) fn reopen(&mut self, slot: u32, at: Millis, recount: &mut Recount) {
        if !self.is_over(slot) || self.has_ended(slot, at) {
            return;
        }
        self.replace_counts(slot, BuyerCounts::new);
        match &self.row(slot).counts {
            Counted::InGroup(group) => recount.group = Some(*group),
            _ => recount.sku = Some(slot),
        }
    }

    fn replace_counts(&mut self, slot: u32, with: fn(u64) -> BuyerCounts) {
        let Some(tag) = self.count_place(slot) else { return };
        let place = match &mut self.rows[slot as usize].counts {
            Counted::Nowhere => return,
            Counted::Here(counts) => counts,
            Counted::InGroup(group) => &mut self.groups[*group as usize].1,
        };
        let before = core::mem::replace(place, with(tag));
        self.sum.add(place.sum.0);
        self.bury(before);
    }

    /// Takes counts out of the sums; their memory waits to be freed.
    pub(super) fn bury(&mut self, counts: BuyerCounts) {
        self.sum.sub(counts.sum.0);
        self.buyers -= counts.len();
        self.buried.push(counts);
    }

    /// Frees a part of what was buried: a million buyers' rows at once would hold up the shard for some ms.
    pub(crate) fn free_some(&mut self) {
        if let Some(counts) = self.buried.last_mut()
            && !counts.free_part()
        {
            self.buried.pop();
        }
    }

    /// Sets what a snapshot says of a place.
    pub(crate) fn restore_over(&mut self, slot: u32) {
        self.end_counts(slot);
        self.buried.clear();
    }

    /// A SKU that counts in the group.
    pub(crate) fn member_of(&self, group: u32) -> Option<u32> {
        let of = |row: &SkuRow| matches!(&row.counts, Counted::InGroup(known) if *known == group);
        self.rows.iter().position(of).map(|at| at as u32)
    }
}
