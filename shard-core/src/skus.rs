//! The SKUs of a shard, their stock, and the counts behind buyer limits.

use crate::buyer::BuyerCounts;
use crate::command::LimitScope;
use crate::digest::RowSum;
use crate::entry::SkuPut;
use crate::ids::{Buyer, Millis, SkuName};
use crate::sku::{Counted, SkuRow};
use foldhash::fast::FixedState;
use hashbrown::HashMap;

mod over;

/// All SKUs and groups.
#[derive(Debug)]
pub(crate) struct Skus {
    pub(crate) rows: Vec<SkuRow>,
    index: HashMap<SkuName, u32, FixedState>,
    /// Groups that have, or had, a limit of their own, by slot.
    groups: Vec<(SkuName, BuyerCounts)>,
    group_index: HashMap<SkuName, u32, FixedState>,
    seed: FixedState,
    sum: RowSum,
    /// Buyers in all counts.
    pub(crate) buyers: usize,
    /// Volatile: counts that are gone, and whose memory is not free yet.
    buried: Vec<BuyerCounts>,
    changed: Vec<u32>,
    /// The list before: taken, and kept for its room.
    told: Vec<u32>,
}

impl Skus {
    pub(crate) fn new(seed: FixedState) -> Skus {
        Skus {
            rows: Vec::new(),
            index: HashMap::with_hasher(seed.clone()),
            groups: Vec::new(),
            group_index: HashMap::with_hasher(seed.clone()),
            seed,
            sum: RowSum::default(),
            buyers: 0,
            buried: Vec::new(),
            changed: Vec::new(),
            told: Vec::new(),
        }
    }

    pub(crate) fn slot(&self, name: &SkuName) -> Option<u32> {
        self.index.get(name).copied()
    }

    /// The slot of a SKU that an entry names.
    pub(crate) fn known(&self, name: &SkuName) -> u32 {
        self.slot(name).expect("an entry names a SKU of its shard")
    }

    pub(crate) fn row(&self, slot: u32) -> &SkuRow {
        &self.rows[slot as usize]
    }

    pub(crate) fn digest(&self) -> u64 {
        self.sum.0
    }

    /// Units of the counted kind that the buyer has, and whether counting more needs a new row.
    pub(crate) fn counted(&self, slot: u32, buyer: &Buyer) -> (u32, bool) {
        match self.counts(slot) {
            None => (0, false),
            Some(counts) => counts
                .units(&self.seed, buyer)
                .map_or((0, true), |units| (units, false)),
        }
    }

    /// Whether two SKUs count together.
    pub(crate) fn count_together(&self, a: u32, b: u32) -> bool {
        self.count_place(a).is_some() && self.count_place(a) == self.count_place(b)
    }

    pub(crate) fn counts(&self, slot: u32) -> Option<&BuyerCounts> {
        match &self.row(slot).counts {
            Counted::Nowhere => None,
            Counted::Here(counts) => Some(counts),
            Counted::InGroup(group) => Some(&self.groups[*group as usize].1),
        }
    }

    pub(crate) fn groups(&self) -> &[(SkuName, BuyerCounts)] {
        &self.groups
    }

    /// Counts of the SKU alone, if it has such.
    pub(crate) fn own_counts(&self, slot: u32) -> Option<&BuyerCounts> {
        match &self.row(slot).counts {
            Counted::Here(counts) => Some(counts),
            _ => None,
        }
    }

    /// Available becomes held, and the buyer has the units.
    pub(crate) fn hold(&mut self, slot: u32, qty: u32, buyer: &Buyer) {
        self.stock(slot, |row| {
            row.held += u64::from(qty);
            assert!(
                row.held + row.sold <= row.stocked,
                "held more units than there are"
            );
        });
        self.count(slot, buyer, qty);
    }

    /// Held becomes available, and the buyer has them no more.
    pub(crate) fn release(&mut self, slot: u32, qty: u32, buyer: &Buyer) {
        self.stock(slot, |row| row.held = take(row.held, qty));
        self.uncount(slot, buyer, qty);
    }

    /// Held becomes sold.
    pub(crate) fn sell(&mut self, slot: u32, qty: u32) {
        self.stock(slot, |row| {
            row.held = take(row.held, qty);
            row.sold += u64::from(qty);
        });
    }

    pub(crate) fn set_stocked(&mut self, slot: u32, stocked: u64) {
        self.stock(slot, |row| {
            assert!(row.held + row.sold <= stocked, "stock below what is committed");
            row.stocked = stocked;
        });
    }

    fn stock(&mut self, slot: u32, change: impl FnOnce(&mut SkuRow)) {
        let row = &mut self.rows[slot as usize];
        self.sum.sub(row.stock_hash(slot));
        change(row);
        self.sum.add(row.stock_hash(slot));
        if !row.changed {
            row.changed = true;
            self.changed.push(slot);
        }
    }

    pub(crate) fn count(&mut self, slot: u32, buyer: &Buyer, units: u32) {
        let counts = match &mut self.rows[slot as usize].counts {
            Counted::Nowhere => return,
            Counted::Here(counts) => counts,
            Counted::InGroup(group) => &mut self.groups[*group as usize].1,
        };
        let before = counts.sum;
        self.buyers += usize::from(counts.add(&self.seed, buyer, units));
        self.sum.sub(before.0);
        self.sum.add(counts.sum.0);
    }

    fn uncount(&mut self, slot: u32, buyer: &Buyer, units: u32) {
        let counts = match &mut self.rows[slot as usize].counts {
            Counted::Nowhere => return,
            Counted::Here(counts) => counts,
            Counted::InGroup(group) => &mut self.groups[*group as usize].1,
        };
        let before = counts.sum;
        self.buyers -= usize::from(counts.sub(&self.seed, buyer, units));
        self.sum.sub(before.0);
        self.sum.add(counts.sum.0);
    }

    /// Makes or changes a SKU at `at`. Says what must be counted anew: the caller knows who holds what.
    pub(crate) fn put(&mut self, at: Millis, put: &SkuPut) -> Recount {
        let slot = self.slot(&put.sku).unwrap_or_else(|| self.make(put.sku));
        let before = self.row(slot).settings();
        let row = &mut self.rows[slot as usize];
        self.sum.sub(row.settings_hash(slot));
        row.title = put.name.clone();
        row.price = put.price;
        row.currency = put.currency;
        row.hold_ms = put.hold_ms;
        row.paused = put.paused;
        row.sale_start = put.sale_start;
        row.sale_end = put.sale_end;
        row.limit = put.buyer_limit;
        row.limit_scope = put.limit_scope;
        self.sum.add(row.settings_hash(slot));
        self.set_stocked(slot, put.stocked);
        let mut recount = self.recount(slot, &before);
        self.reopen(slot, at, &mut recount);
        recount
    }

    fn make(&mut self, name: SkuName) -> u32 {
        let slot = u32::try_from(self.rows.len()).expect("bounded by limits");
        let row = SkuRow {
            name,
            price: 0,
            currency: [0; 3],
            paused: false,
            hold_ms: 0,
            stocked: 0,
            held: 0,
            sold: 0,
            sale_start: None,
            sale_end: None,
            limit: None,
            limit_scope: LimitScope::Sku,
            title: Box::default(),
            counts: Counted::Nowhere,
            changed: false,
        };
        self.sum.add(row.settings_hash(slot));
        self.sum.add(row.stock_hash(slot));
        self.rows.push(row);
        self.index.insert(name, slot);
        slot
    }

    fn recount(&mut self, slot: u32, before: &SkuPut) -> Recount {
        let row = &mut self.rows[slot as usize];
        let old = SkuRow::counting(before.buyer_limit, before.limit_scope);
        let new = SkuRow::counting(row.limit, row.limit_scope);
        if old == new {
            return Recount {
                sku: None,
                group: None,
            };
        }
        let left = match core::mem::replace(&mut row.counts, Counted::Nowhere) {
            Counted::InGroup(group) => Some(group),
            Counted::Here(counts) => {
                self.bury(*counts);
                None
            }
            Counted::Nowhere => None,
        };
        let joined = match new {
            None => None,
            Some(LimitScope::Sku) => {
                let counts = BuyerCounts::new(sku_tag(slot));
                self.rows[slot as usize].counts = Counted::Here(Box::new(counts));
                None
            }
            Some(LimitScope::Group) => {
                let group = self.group_slot(slot);
                self.rows[slot as usize].counts = Counted::InGroup(group);
                Some(group)
            }
        };
        let group = left.or(joined);
        if let Some(group) = group {
            let fresh = BuyerCounts::new(group_tag(group));
            let counts = core::mem::replace(&mut self.groups[group as usize].1, fresh);
            self.bury(counts);
        }
        Recount {
            sku: matches!(new, Some(LimitScope::Sku)).then_some(slot),
            group,
        }
    }

    fn group_slot(&mut self, slot: u32) -> u32 {
        let name = self.row(slot).name;
        let group = SkuName::parse(name.group().as_bytes()).unwrap_or(name);
        let known = self.group_index.get(&group).copied();
        known.unwrap_or_else(|| self.make_group(group))
    }

    /// Makes a group; it must be new.
    pub(crate) fn make_group(&mut self, name: SkuName) -> u32 {
        let slot = u32::try_from(self.groups.len()).expect("no more groups than SKUs");
        self.groups.push((name, BuyerCounts::new(group_tag(slot))));
        self.group_index.insert(name, slot);
        slot
    }

    pub(crate) fn has_group(&self, name: &SkuName) -> bool {
        self.group_index.contains_key(name)
    }

    /// Where a SKU's units are counted: places are equal when SKUs count together.
    pub(crate) fn count_place(&self, slot: u32) -> Option<u64> {
        match &self.row(slot).counts {
            Counted::Nowhere => None,
            Counted::Here(_) => Some(sku_tag(slot)),
            Counted::InGroup(group) => Some(group_tag(*group)),
        }
    }

    /// Whether the SKU's units are to be counted anew.
    pub(crate) fn recounts(&self, recount: &Recount, slot: u32) -> bool {
        let in_group =
            matches!(&self.row(slot).counts, Counted::InGroup(group) if Some(*group) == recount.group);
        recount.sku == Some(slot) || in_group
    }

    /// Turns the list of SKUs whose stock changed into what [`told`](Skus::told) lists. Both lists keep their room.
    pub(crate) fn tell_changed(&mut self) {
        core::mem::swap(&mut self.changed, &mut self.told);
        self.changed.clear();
        for &slot in &self.told {
            self.rows[slot as usize].changed = false;
        }
    }

    /// The SKUs of the last [`tell_changed`](Skus::tell_changed).
    pub(crate) fn told(&self) -> &[u32] {
        &self.told
    }

    /// Sets stock counters as a snapshot has them.
    pub(crate) fn set_counters(&mut self, slot: u32, held: u64, sold: u64) {
        self.stock(slot, |row| {
            row.held = held;
            row.sold = sold;
        });
    }

    /// Adds a row of a snapshot to a group's counts.
    pub(crate) fn restore_group_count(&mut self, group: u32, buyer: &Buyer, units: u32) {
        let counts = &mut self.groups[group as usize].1;
        let before = counts.sum;
        self.buyers += usize::from(counts.add(&self.seed, buyer, units));
        self.sum.sub(before.0);
        self.sum.add(counts.sum.0);
    }
}

/// What must be counted anew after a limit began to count otherwise.
#[derive(Debug)]
pub(crate) struct Recount {
    sku: Option<u32>,
    group: Option<u32>,
}

impl Recount {
    pub(crate) fn group(&self) -> Option<u32> {
        self.group
    }

    pub(crate) fn nothing(&self) -> bool {
        self.sku.is_none() && self.group.is_none()
    }
}

fn sku_tag(slot: u32) -> u64 {
    u64::from(slot) << 1
}

fn group_tag(slot: u32) -> u64 {
    u64::from(slot) << 1 | 1
}

/// Takes held units away. A planted bug may take more than there are; `check_invariants` then says so.
fn take(held: u64, qty: u32) -> u64 {
    if cfg!(feature = "planted-bugs") {
        return held.saturating_sub(u64::from(qty));
    }
    held.checked_sub(u64::from(qty)).expect("units are held")
}
