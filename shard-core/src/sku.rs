//! One SKU: settings and stock.

use crate::buyer::BuyerCounts;
use crate::command::LimitScope;
use crate::digest::RowHash;
use crate::entry::SkuPut;
use crate::ids::{Millis, Op, SkuName};
use crate::outcome::{SkuView, StockView};

/// One SKU. SKUs are never taken out, so a slot names one for good.
#[derive(Debug)]
pub(crate) struct SkuRow {
    pub(crate) name: SkuName,
    pub(crate) price: u64,
    pub(crate) currency: [u8; 3],
    pub(crate) paused: bool,
    pub(crate) hold_ms: u32,
    pub(crate) stocked: u64,
    pub(crate) held: u64,
    pub(crate) sold: u64,
    pub(crate) sale_start: Option<Millis>,
    pub(crate) sale_end: Option<Millis>,
    pub(crate) limit: Option<u32>,
    pub(crate) limit_scope: LimitScope,
    pub(crate) title: Box<str>,
    pub(crate) counts: Counted,
    /// It is in `Skus::changed`.
    pub(crate) changed: bool,
}

/// Where a SKU's units are counted by buyer.
#[derive(Debug)]
pub(crate) enum Counted {
    Nowhere,
    Here(Box<BuyerCounts>),
    InGroup(u32),
}

impl SkuRow {
    pub(crate) fn available(&self) -> u64 {
        self.stocked.saturating_sub(self.held + self.sold)
    }

    /// How the units are counted; settings that give the same answer leave the counts alone.
    pub(crate) fn counting(limit: Option<u32>, scope: LimitScope) -> Option<LimitScope> {
        limit.map(|_| scope)
    }

    pub(crate) fn settings(&self) -> SkuPut {
        SkuPut {
            sku: self.name,
            name: self.title.clone(),
            price: self.price,
            currency: self.currency,
            stocked: self.stocked,
            buyer_limit: self.limit,
            limit_scope: self.limit_scope,
            sale_start: self.sale_start,
            sale_end: self.sale_end,
            hold_ms: self.hold_ms,
            paused: self.paused,
        }
    }

    pub(crate) fn stock_view(&self, op: Op) -> StockView {
        StockView {
            sku: self.name,
            op,
            stocked: self.stocked,
            available: self.available(),
            held: self.held,
            sold: self.sold,
        }
    }

    pub(crate) fn view(&self, op: Op) -> SkuView {
        SkuView {
            stock: self.stock_view(op),
            name: self.title.clone(),
            price: self.price,
            currency: self.currency,
            buyer_limit: self.limit,
            limit_scope: self.limit_scope,
            sale_start: self.sale_start,
            sale_end: self.sale_end,
            hold_ms: self.hold_ms,
            paused: self.paused,
        }
    }

    pub(crate) fn stock_hash(&self, slot: u32) -> u64 {
        RowHash::new(1)
            .word(u64::from(slot))
            .word(self.stocked)
            .word(self.held)
            .word(self.sold)
            .finish()
    }

    pub(crate) fn settings_hash(&self, slot: u32) -> u64 {
        let time = |at: Option<Millis>| at.map_or(u64::MAX, |at| at.0);
        RowHash::new(2)
            .word(u64::from(slot))
            .bytes(self.name.as_bytes())
            .bytes(self.title.as_bytes())
            .bytes(&self.currency)
            .word(self.price)
            .word(time(self.sale_start))
            .word(time(self.sale_end))
            .word(self.limit.map_or(u64::MAX, u64::from))
            .two(
                self.hold_ms,
                u32::from(self.paused) << 1 | u32::from(self.limit_scope == LimitScope::Group),
            )
            .finish()
    }
}
