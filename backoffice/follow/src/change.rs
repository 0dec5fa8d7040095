//! What an entry changes in the rows of a store. One entry, one change at most.

use tidegate_shard_core::entry::{Effect, Ending, Entry, Placed, SkuPut, StockChanged};
use tidegate_shard_core::{ChargeId, Millis, OrderId, OrderStatus};

/// Attempts to gather an order's holds count from here; later ones belong to an order that exists.
const FIRST_ATTEMPT: u8 = 1;

/// A change of rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change<'a> {
    /// A new order.
    Placed {
        /// As the home shard has it.
        order: &'a Placed,
        /// When it was placed.
        at: Millis,
        /// It gathers holds from other shards: nobody was told of it, and `total` is of the home shard's lines only.
        gathering: bool,
    },
    /// A gathering order is placed.
    Committed {
        /// Which order.
        order: OrderId,
        /// When.
        at: Millis,
        /// In minor units, of all lines.
        total: u64,
        /// ISO 4217 letters.
        currency: [u8; 3],
        /// Half-open: pay before this moment.
        pay_by: Millis,
    },
    /// A gathering order never was one.
    Dropped {
        /// Which order.
        order: OrderId,
    },
    /// An order's status is another one.
    Status {
        /// Which order.
        order: OrderId,
        /// When.
        at: Millis,
        /// Where it stands now.
        status: OrderStatus,
        /// What paid it.
        charge: Option<ChargeId>,
    },
    /// A charge of the order is to be refunded.
    RefundDue {
        /// Which order.
        order: OrderId,
        /// When.
        at: Millis,
        /// Which charge.
        charge: ChargeId,
    },
    /// A SKU is new or has other settings.
    Sku {
        /// After the change.
        put: &'a SkuPut,
        /// When.
        at: Millis,
    },
    /// Units were added to a SKU or taken away.
    Stock {
        /// With the number after it.
        changed: &'a StockChanged,
        /// When.
        at: Millis,
    },
}

impl<'a> Change<'a> {
    /// What an entry changes, if anything: the protocol between shards, leases, digests and marks leave no row.
    #[must_use]
    pub fn of(entry: &'a Entry) -> Option<Change<'a>> {
        let at = entry.at;
        Some(match &entry.effect {
            Effect::Placed(order) => Change::Placed {
                order,
                at,
                gathering: false,
            },
            Effect::Gathering(gathering) => Change::Placed {
                order: &gathering.placed,
                at,
                gathering: true,
            },
            Effect::Aborted {
                order,
                attempt: FIRST_ATTEMPT,
                ..
            } => Change::Dropped { order: *order },
            Effect::Committed {
                order,
                total,
                currency,
                hold_ms,
                attempt: FIRST_ATTEMPT,
            } => Change::Committed {
                order: *order,
                at,
                total: *total,
                currency: *currency,
                pay_by: at.after(u64::from(*hold_ms)),
            },
            Effect::Ended { order, ending }
            | Effect::ChargeClosed {
                order,
                ends: Some(ending),
                ..
            } => Change::Status {
                order: *order,
                at,
                status: status(*ending),
                charge: None,
            },
            Effect::Confirmed { order, charge, .. } => Change::Status {
                order: *order,
                at,
                status: OrderStatus::Confirmed,
                charge: Some(*charge),
            },
            Effect::RefundDue { order, charge } => Change::RefundDue {
                order: *order,
                at,
                charge: *charge,
            },
            Effect::SkuPut(put) => Change::Sku { put, at },
            Effect::StockChanged(changed) => Change::Stock { changed, at },
            _ => return None,
        })
    }
}

fn status(ending: Ending) -> OrderStatus {
    match ending {
        Ending::Cancelled => OrderStatus::Cancelled,
        Ending::Expired => OrderStatus::Expired,
    }
}
