//! SKUs and their stock: setting is idempotent by itself, adding by its key.

use crate::change::ChangeRow;
use crate::command::{ChangeStock, PutSku};
use crate::entry::{Effect, SkuPut, StockChanged};
use crate::expiry::Chore;
use crate::ids::{Millis, SkuName, shard_of};
use crate::limits::{HOLD_MS_DEFAULT, HOLD_MS_MAX, TEXT_BYTES_MAX};
use crate::outcome::{Bound, Outcome, Refusal, StockView};
use crate::shard::{Decision, Shard};
use crate::sku::SkuRow;
use crate::skus::Recount;

impl Shard {
    pub(crate) fn read_sku(&self, sku: &SkuName) -> Decision {
        match self.skus.slot(sku) {
            Some(slot) => Decision::answer(Outcome::Sku(Box::new(self.skus.row(slot).view(self.op)))),
            None => Decision::refuse(Refusal::UnknownSku { sku: *sku }),
        }
    }

    pub(crate) fn read_stock(&self, sku: &SkuName) -> Decision {
        match self.stock(sku) {
            Some(stock) => Decision::answer(Outcome::Stock(stock)),
            None => Decision::refuse(Refusal::UnknownSku { sku: *sku }),
        }
    }

    pub(crate) fn decide_put_sku(&self, now: Millis, put: &PutSku) -> Decision {
        if shard_of(&put.sku, self.config.shards) != self.config.id {
            return Decision::refuse(Refusal::UnknownSku { sku: put.sku });
        }
        let old = self.skus.slot(&put.sku).map(|slot| self.skus.row(slot));
        let new = match settings(old, put) {
            Ok(new) => new,
            Err(refusal) => return Decision::refuse(refusal),
        };
        if old.is_none() && self.skus.rows.len() >= self.config.limits.skus_max as usize {
            return Decision::refuse(Refusal::Bound(Bound::Skus));
        }
        let (held, sold) = old.map_or((0, 0), |row| (row.held, row.sold));
        if new.stocked < held + sold {
            return Decision::refuse(Refusal::BelowCommitted { held, sold });
        }
        if let Some(row) = old.filter(|row| row.settings() == new) {
            return Decision::answer(Outcome::Sku(Box::new(row.view(self.op))));
        }
        let view = crate::outcome::SkuView {
            stock: StockView {
                sku: new.sku,
                op: self.op.next(),
                stocked: new.stocked,
                available: new.stocked - held - sold,
                held,
                sold,
            },
            name: new.name.clone(),
            price: new.price,
            currency: new.currency,
            buyer_limit: new.buyer_limit,
            limit_scope: new.limit_scope,
            sale_start: new.sale_start,
            sale_end: new.sale_end,
            hold_ms: new.hold_ms,
            paused: new.paused,
        };
        let entry = self.forgetting(now, Effect::SkuPut(Box::new(new)));
        Decision::log(entry, Outcome::Sku(Box::new(view)))
    }

    pub(crate) fn apply_sku_put(&mut self, at: Millis, put: &SkuPut) {
        let recount = self.skus.put(at, put);
        if !recount.nothing() {
            self.recount(&recount);
        }
        self.plan_sale_end(self.skus.known(&put.sku));
        // Its group may have waited for this SKU alone.
        let left_behind = recount.group().and_then(|group| self.skus.member_of(group));
        if let Some(slot) = left_behind {
            self.plan_sale_end(slot);
        }
    }

    /// Plans to end the counts of the SKU's buyers, if its sale has an end.
    pub(crate) fn plan_sale_end(&mut self, slot: u32) {
        let end = self.skus.row(slot).sale_end;
        let counts = self.skus.counts(slot).is_some_and(|counts| !counts.is_over());
        if let (Some(end), true) = (end, counts) {
            let at = end.after(self.config.limits.counts_after_sale_ms);
            self.timers.push_chore(at, Chore::SaleEnd(slot));
        }
    }

    /// The counts of a sale that is over go, if all sales that they count are. They are kept a while after it, because an
    /// order that is paid late is held again within its buyer's limit or not at all.
    pub(crate) fn sale_ended(&self, now: Millis, slot: u32) -> Option<Decision> {
        let kept_ms = self.config.limits.counts_after_sale_ms;
        let ended_by = Millis(now.0.saturating_sub(kept_ms));
        if self.skus.is_over(slot) || !self.skus.has_ended(slot, ended_by) {
            return None;
        }
        let sku = self.skus.row(slot).name;
        Some(Decision {
            entry: Some(self.forgetting(now, Effect::SaleOver { sku })),
            ..Decision::nothing()
        })
    }

    /// Counts buyers' units anew, from what the shard remembers: a limit that is set during a sale does not see units
    /// of orders that were forgotten since.
    fn recount(&mut self, recount: &Recount) {
        let Shard {
            orders, holds, skus, ..
        } = self;
        for (_, row) in orders.iter().filter(|(_, row)| has_units(row)) {
            for line in row.lines.as_slice() {
                if skus.recounts(recount, line.sku) {
                    skus.count(line.sku, &row.buyer, line.qty);
                }
            }
        }
        for (_, hold) in holds.rows() {
            for line in &hold.lines {
                if skus.recounts(recount, line.sku) {
                    skus.count(line.sku, &hold.buyer, line.qty);
                }
            }
        }
    }

    pub(crate) fn decide_change_stock(&self, now: Millis, change: &ChangeStock) -> Decision {
        let body = change.body();
        if let Some(row) = self.changes.get(&change.key) {
            return if row.body == body {
                Decision::answer(Outcome::Stock(self.change_answer(row)))
            } else {
                Decision::refuse(Refusal::KeyReused)
            };
        }
        let Some(slot) = self.skus.slot(&change.sku) else {
            return Decision::refuse(Refusal::UnknownSku { sku: change.sku });
        };
        if change.reason.len() > TEXT_BYTES_MAX {
            return Decision::refuse(Refusal::Malformed("the reason is too long"));
        }
        let row = self.skus.row(slot);
        let committed = row.held + row.sold;
        let Some(stocked) = row
            .stocked
            .checked_add_signed(change.delta)
            .filter(|new| *new >= committed)
        else {
            return Decision::refuse(match change.delta {
                ..0 => Refusal::BelowCommitted {
                    held: row.held,
                    sold: row.sold,
                },
                _ => Refusal::Malformed("the stock is too large"),
            });
        };
        let forget = self.forgettable(now);
        if self.changes.iter().len() - usize::from(forget.changes) >= self.config.limits.changes_max as usize
        {
            return Decision::refuse(Refusal::Bound(Bound::Changes));
        }
        let effect = StockChanged {
            sku: change.sku,
            delta: change.delta,
            stocked,
            reason: change.reason.clone(),
            key: change.key,
            body,
        };
        let view = StockView {
            stocked,
            available: stocked - committed,
            ..row.stock_view(self.op.next())
        };
        let entry = self.forgetting(now, Effect::StockChanged(Box::new(effect)));
        Decision::log(entry, Outcome::Stock(view))
    }

    fn change_answer(&self, row: &ChangeRow) -> StockView {
        StockView {
            sku: self.skus.row(row.sku).name,
            op: row.op,
            stocked: row.stocked,
            available: row.stocked - row.held - row.sold,
            held: row.held,
            sold: row.sold,
        }
    }

    pub(crate) fn apply_stock_changed(&mut self, at: Millis, change: &StockChanged) {
        let sku = self.skus.known(&change.sku);
        self.skus.set_stocked(sku, change.stocked);
        let row = self.skus.row(sku);
        self.changes.insert(ChangeRow {
            key: change.key,
            body: change.body,
            at,
            op: self.op,
            sku,
            stocked: row.stocked,
            held: row.held,
            sold: row.sold,
        });
    }
}

/// The buyer has the units of the row's own lines.
pub(crate) fn has_units(row: &crate::order::OrderRow) -> bool {
    row.state.holds() || row.state == crate::order_state::State::Confirmed
}

/// The settings that a put results in.
fn settings(old: Option<&SkuRow>, put: &PutSku) -> Result<SkuPut, Refusal> {
    let old = old.map(SkuRow::settings);
    let missing = Refusal::MissingFields("a new SKU needs price, currency and stock");
    let needed = |set: Option<u64>, old: Option<u64>| set.or(old).ok_or(missing.clone());
    let new = SkuPut {
        sku: put.sku,
        price: needed(put.price, old.as_ref().map(|old| old.price))?,
        stocked: needed(put.stock, old.as_ref().map(|old| old.stocked))?,
        currency: put
            .currency
            .or(old.as_ref().map(|old| old.currency))
            .ok_or(missing.clone())?,
        name: put
            .name
            .clone()
            .or(old.as_ref().map(|old| old.name.clone()))
            .unwrap_or_default(),
        buyer_limit: put
            .buyer_limit
            .unwrap_or(old.as_ref().and_then(|old| old.buyer_limit)),
        limit_scope: put
            .limit_scope
            .or(old.as_ref().map(|old| old.limit_scope))
            .unwrap_or_default(),
        sale_start: put
            .sale_start
            .unwrap_or(old.as_ref().and_then(|old| old.sale_start)),
        sale_end: put.sale_end.unwrap_or(old.as_ref().and_then(|old| old.sale_end)),
        hold_ms: put
            .hold_ms
            .or(old.as_ref().map(|old| old.hold_ms))
            .unwrap_or(HOLD_MS_DEFAULT),
        paused: put
            .paused
            .or(old.as_ref().map(|old| old.paused))
            .unwrap_or_default(),
    };
    match () {
        () if new.name.len() > TEXT_BYTES_MAX => Err(Refusal::Malformed("the name is too long")),
        () if new.hold_ms == 0 || new.hold_ms > HOLD_MS_MAX => {
            Err(Refusal::Malformed("the hold time is zero or above 7 days"))
        }
        () if !new.currency.iter().all(u8::is_ascii_uppercase) => {
            Err(Refusal::Malformed("a currency is three capital letters"))
        }
        () if matches!((new.sale_start, new.sale_end), (Some(start), Some(end)) if start >= end) => {
            Err(Refusal::Malformed("the sale ends before it starts"))
        }
        () => Ok(new),
    }
}
