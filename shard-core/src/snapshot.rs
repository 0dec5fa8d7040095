//! The state as bytes. Equal states give equal bytes: every table is written in an order of its own, not the map's.

mod rows;

use crate::codec::{DecodeError, read_sku_put, write_sku_put};
use crate::expiry::Chore;
use crate::hold::HoldRow;
use crate::ids::{Millis, Op};
use crate::order_state::State;
use crate::shard::{Shard, ShardConfig};
use crate::wire::{Reader, Writer};
use rows::*;

const VERSION: u8 = 2;

impl Shard {
    /// Appends the state; equal states give equal bytes. Volatile bookkeeping is left out.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        let mut w = Writer(out);
        w.byte(VERSION);
        w.varint(u64::from(self.config.id.0));
        w.varint(u64::from(self.config.shards));
        w.varint(self.op.0);
        w.varint(self.time.0);
        w.varint(self.term);
        w.word(self.last_id.0);
        w.varint(self.lease_until.0);
        w.varint(self.applied.0);
        w.word(self.applied_chain);
        self.write_skus(&mut w);
        let orders = self.orders.sorted();
        w.varint(orders.len() as u64);
        for slot in orders {
            write_order(&mut w, self.orders.row(slot));
        }
        self.write_holds(&mut w);
        w.varint(self.changes.iter().len() as u64);
        for row in self.changes.iter() {
            write_change(&mut w, row);
        }
        w.word(self.digest());
    }

    fn write_skus(&self, w: &mut Writer<'_>) {
        let groups = self.skus.groups();
        w.varint(groups.len() as u64);
        groups.iter().for_each(|(name, _)| w.text(name.as_str()));
        w.varint(self.skus.rows.len() as u64);
        for row in &self.skus.rows {
            write_sku_put(w, &row.settings());
            w.varint(row.held);
            w.varint(row.sold);
        }
        for slot in 0..self.skus.rows.len() as u32 {
            if let Some(counts) = self.skus.own_counts(slot) {
                write_counts(w, counts);
            }
        }
        groups.iter().for_each(|(_, counts)| write_counts(w, counts));
    }

    fn write_holds(&self, w: &mut Writer<'_>) {
        w.varint(self.holds.rows().len() as u64);
        for ((order, attempt), row) in self.holds.rows() {
            w.word(order.0);
            w.byte(*attempt);
            w.raw(&row.buyer.0);
            write_lines(w, &row.lines);
            w.part(&row.part);
            w.varint(row.prepare_deadline.0);
        }
        w.varint(self.holds.tombstones().len() as u64);
        for ((order, attempt), until) in self.holds.tombstones() {
            w.word(order.0);
            w.byte(*attempt);
            w.varint(until.0);
        }
        w.varint(self.holds.terms().len() as u64);
        for (home, term) in self.holds.terms() {
            w.varint(u64::from(home.0));
            w.varint(*term);
        }
    }

    /// Reads what [`Shard::snapshot`] wrote. Never panics, and allocates no more than a small multiple of the input.
    ///
    /// # Errors
    /// When the bytes are anything else, or belong to another shard.
    pub fn restore(config: ShardConfig, bytes: &[u8]) -> Result<Shard, DecodeError> {
        let mut r = Reader(bytes);
        let mut shard = Shard::new(config);
        if r.byte()? != VERSION {
            return Err(DecodeError("unknown version"));
        }
        if r.shard()? != shard.config.id || r.small::<u16>()? != shard.config.shards {
            return Err(DecodeError("snapshot of another shard"));
        }
        shard.op = Op(r.varint()?);
        shard.time = r.millis()?;
        shard.term = r.varint()?;
        shard.last_id = r.order()?;
        shard.lease_until = r.millis()?;
        shard.lease_durable = shard.lease_until;
        shard.applied = Op(r.varint()?);
        shard.applied_chain = r.word()?;
        shard.read_skus(&mut r)?;
        shard.read_orders(&mut r)?;
        shard.read_holds(&mut r)?;
        for _ in 0..r.count(CHANGE_BYTES_MIN)? {
            let row = read_change(&mut r)?;
            shard.checked_slot(row.sku)?;
            if shard.changes.get(&row.key).is_some() {
                return Err(DecodeError("a key twice"));
            }
            shard.changes.insert(row);
        }
        let digest = r.word()?;
        r.end()?;
        if shard.digest() != digest {
            return Err(DecodeError("the digest does not match"));
        }
        shard
            .check_invariants()
            .map_err(|_| DecodeError("an invariant does not hold"))?;
        shard.plan();
        Ok(shard)
    }

    fn read_skus(&mut self, r: &mut Reader<'_>) -> Result<(), DecodeError> {
        for _ in 0..r.count(2)? {
            let name = r.sku()?;
            if self.skus.has_group(&name) || name.group() != name.as_str() {
                return Err(DecodeError("not a group, or twice"));
            }
            self.skus.make_group(name);
        }
        for _ in 0..r.count(SKU_BYTES_MIN)? {
            let put = read_sku_put(r)?;
            let (held, sold) = (r.varint()?, r.varint()?);
            if self.skus.slot(&put.sku).is_some() {
                return Err(DecodeError("a SKU twice"));
            }
            if held
                .checked_add(sold)
                .is_none_or(|committed| committed > put.stocked)
            {
                return Err(DecodeError("more committed than stocked"));
            }
            let groups = self.skus.groups().len();
            self.skus.put(Millis(0), &put);
            if self.skus.groups().len() != groups {
                return Err(DecodeError("a group is missing"));
            }
            let slot = self.skus.known(&put.sku);
            self.skus.set_counters(slot, held, sold);
        }
        for slot in 0..self.skus.rows.len() as u32 {
            if self.skus.own_counts(slot).is_some() {
                if r.flag()? {
                    self.skus.restore_over(slot);
                }
                read_counts(r, |buyer, units| self.skus.count(slot, &buyer, units))?;
            }
        }
        for group in 0..self.skus.groups().len() as u32 {
            if r.flag()? {
                let member = self.skus.member_of(group);
                self.skus
                    .restore_over(member.ok_or(DecodeError("a group without SKUs is over"))?);
            }
            read_counts(r, |buyer, units| {
                self.skus.restore_group_count(group, &buyer, units)
            })?;
        }
        Ok(())
    }

    fn read_orders(&mut self, r: &mut Reader<'_>) -> Result<(), DecodeError> {
        let mut last = None;
        for _ in 0..r.count(ORDER_BYTES_MIN)? {
            let row = read_order(r)?;
            if last >= Some(row.id) || row.id.shard() != self.config.id {
                return Err(DecodeError("orders out of place"));
            }
            last = Some(row.id);
            for line in row.lines.as_slice() {
                self.checked_slot(line.sku)?;
            }
            if self.orders.by_key(&row.key).is_some() {
                return Err(DecodeError("a key twice"));
            }
            self.orders.insert(row);
        }
        self.orders.queue_retired();
        Ok(())
    }

    fn read_holds(&mut self, r: &mut Reader<'_>) -> Result<(), DecodeError> {
        for _ in 0..r.count(HOLD_BYTES_MIN)? {
            let id = (r.order()?, r.byte()?);
            let buyer = r.buyer()?;
            let lines = read_lines(r)?.into_boxed_slice();
            for line in &lines {
                self.checked_slot(line.sku)?;
            }
            let row = HoldRow {
                buyer,
                lines,
                part: r.part()?,
                prepare_deadline: r.millis()?,
            };
            if self.holds.rows().next_back().is_some_and(|(last, _)| *last >= id) {
                return Err(DecodeError("holds out of order"));
            }
            self.holds.insert(id, row);
        }
        for _ in 0..r.count(10)? {
            let id = (r.order()?, r.byte()?);
            let until = r.millis()?;
            if self
                .holds
                .tombstones()
                .next_back()
                .is_some_and(|(last, _)| *last >= id)
            {
                return Err(DecodeError("tombstones out of order"));
            }
            self.holds.bury(id, until);
        }
        for _ in 0..r.count(2)? {
            let (home, term) = (r.shard()?, r.varint()?);
            if term == 0
                || self
                    .holds
                    .terms()
                    .next_back()
                    .is_some_and(|(last, _)| *last >= home)
            {
                return Err(DecodeError("terms out of order"));
            }
            self.holds.note_term(home, term);
        }
        Ok(())
    }

    fn checked_slot(&self, slot: u32) -> Result<(), DecodeError> {
        if (slot as usize) < self.skus.rows.len() {
            Ok(())
        } else {
            Err(DecodeError("no such SKU"))
        }
    }

    /// Plans what is due when, from the rows.
    fn plan(&mut self) {
        for slot in self.orders.sorted() {
            let row = self.orders.row(slot);
            match row.state {
                State::Pending | State::Closing => self.push_deadline(slot),
                State::Gathering | State::Regathering => {
                    let (order, at) = (
                        row.id,
                        row.cross().map_or(Millis(0), |cross| cross.prepare_deadline),
                    );
                    self.timers.push_chore(at, Chore::GatherTimeout(order));
                }
                _ if row.unsettled() => self.push_resend(slot, self.time),
                _ => {}
            }
        }
        (0..self.skus.rows.len() as u32).for_each(|slot| self.plan_sale_end(slot));
        let asks: Vec<_> = self
            .holds
            .rows()
            .map(|(id, row)| (*id, row.prepare_deadline))
            .collect();
        asks.into_iter().for_each(|(id, at)| self.push_ask(id, at));
    }
}
