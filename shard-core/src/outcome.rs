//! What a shard answers. Refusals are values: the request was understood and the answer is no.

use crate::command::{LimitScope, Lines};
use crate::ids::{ChargeId, Millis, Op, OrderId, SkuName};

/// The answer to a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The order as it is after the command.
    Order(OrderView),
    /// The stock as it is after the command.
    Stock(StockView),
    /// The SKU as it is after the command.
    Sku(Box<SkuView>),
    /// Nothing was done, unless the refusal says otherwise.
    Refused(Refusal),
}

/// The public words for where an order stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OrderStatus {
    /// Held and unpaid.
    Pending,
    /// Paid.
    Confirmed,
    /// Ended by its buyer or an operator.
    Cancelled,
    /// Ended by its deadline.
    Expired,
}

impl OrderStatus {
    /// The word used in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            OrderStatus::Pending => "pending",
            OrderStatus::Confirmed => "confirmed",
            OrderStatus::Cancelled => "cancelled",
            OrderStatus::Expired => "expired",
        }
    }
}

/// Where an order's payment stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChargeState {
    /// No charge is open.
    None,
    /// A charge was started.
    Open,
    /// The order is ending, and waits for its charge to be closed or paid.
    Closing,
    /// Paid.
    Paid,
    /// A charge that was paid too late is to be refunded.
    RefundDue,
}

/// An order as its buyer may see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrderView {
    /// Its id.
    pub id: OrderId,
    /// Where it stands.
    pub status: OrderStatus,
    /// In minor units.
    pub total: u64,
    /// ISO 4217 letters.
    pub currency: [u8; 3],
    /// Half-open: pay before this moment.
    pub pay_by: Millis,
    /// When it was placed.
    pub created: Millis,
    /// What was ordered.
    pub lines: Lines,
    /// The answer to a repeated request: nothing was done now.
    pub repeated: bool,
    /// Where the payment stands.
    pub charge: ChargeState,
}

/// Stock of one SKU: `stocked = available + held + sold`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StockView {
    /// Which SKU.
    pub sku: SkuName,
    /// The shard's op that these numbers belong to.
    pub op: Op,
    /// Units ever put on sale.
    pub stocked: u64,
    /// Units that can be ordered.
    pub available: u64,
    /// Units in unpaid orders.
    pub held: u64,
    /// Units in paid orders.
    pub sold: u64,
}

/// Everything about a SKU.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SkuView {
    /// Which SKU, and its stock.
    pub stock: StockView,
    /// Shown to people; may be empty.
    pub name: Box<str>,
    /// In minor units.
    pub price: u64,
    /// ISO 4217 letters.
    pub currency: [u8; 3],
    /// Units a buyer may hold and have bought.
    pub buyer_limit: Option<u32>,
    /// What the limit counts.
    pub limit_scope: LimitScope,
    /// First moment of the sale.
    pub sale_start: Option<Millis>,
    /// First moment after the sale.
    pub sale_end: Option<Millis>,
    /// How long an unpaid order holds its stock, in ms.
    pub hold_ms: u32,
    /// Orders are refused for now.
    pub paused: bool,
}

/// Why not. Unless said otherwise nothing is reserved, nothing was logged, and the same request may be sent again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// Fewer units are available than asked for. Not remembered: a repeat of the key tries again. Reserved: no.
    SoldOut {
        /// The first line that does not fit.
        sku: SkuName,
    },
    /// The buyer would hold and own more units than the limit. Reserved: no.
    LimitReached {
        /// The first line that does not fit.
        sku: SkuName,
        /// Units a buyer may have.
        limit: u32,
    },
    /// The sale has not begun. Reserved: no.
    NotOnSale {
        /// The first such line.
        sku: SkuName,
        /// When it begins.
        starts: Millis,
    },
    /// The sale is over. Reserved: no.
    SaleEnded {
        /// The first such line.
        sku: SkuName,
    },
    /// An operator paused the sale. Reserved: no.
    Paused {
        /// The first such line.
        sku: SkuName,
    },
    /// The key was used with another body. Reserved: what the first request reserved.
    KeyReused,
    /// No such SKU. Reserved: no.
    UnknownSku {
        /// The first such line.
        sku: SkuName,
    },
    /// No such order, or someone else's. Reserved: no.
    UnknownOrder,
    /// The order's status does not allow this. Reserved: as the status says.
    WrongStatus {
        /// Where the order stands.
        status: OrderStatus,
    },
    /// Another charge of the order is open, or being looked at. Reserved: yes.
    PaymentInProgress,
    /// Too late to start a payment: it could not be finished before the deadline. Reserved: until the deadline.
    DeadlineTooNear,
    /// This charge was closed before; a payment needs a new one. Reserved: as the order's status says.
    ChargeClosed,
    /// Another charge paid the order: refund the one asked about. Reserved: yes, for the charge that paid.
    AlreadyPaid {
        /// The charge that paid.
        charge: ChargeId,
    },
    /// Paid after the order had ended and the stock is gone: refund the charge. Logged, and the same answer to
    /// every repeat. Reserved: no.
    RefundDue,
    /// The stock cannot be set below what is committed. Reserved: as before.
    BelowCommitted {
        /// Units in unpaid orders.
        held: u64,
        /// Units in paid orders.
        sold: u64,
    },
    /// A new SKU needs more fields; the text names them. Reserved: no.
    MissingFields(&'static str),
    /// The request is not well-formed; the text says what is wrong. Reserved: no.
    Malformed(&'static str),
    /// The lines are priced in more than one currency. Reserved: no.
    MixedCurrencies,
    /// A bound of the shard is reached; it may have room later. Reserved: no.
    Bound(Bound),
    /// The shard cannot issue an id before its lease is durable; a moment later it can. Reserved: no.
    Busy,
    /// Another shard did not answer in time, or the shard restarted while it asked. Reserved: no.
    TryAgain,
}

impl Refusal {
    /// Whether a request that got this answer may leave stock reserved for the caller: `Some(false)` certainly not.
    #[must_use]
    pub fn reserved(&self) -> Option<bool> {
        match self {
            Refusal::KeyReused | Refusal::WrongStatus { .. } | Refusal::ChargeClosed => None,
            Refusal::PaymentInProgress | Refusal::DeadlineTooNear | Refusal::AlreadyPaid { .. } => Some(true),
            _ => Some(false),
        }
    }
}

/// Which bound of [`crate::limits::Limits`] is reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bound {
    /// Order rows, and so idempotency keys.
    Orders,
    /// Buyers that are counted for limits.
    Buyers,
    /// SKUs.
    Skus,
    /// Orders that gather holds from other shards.
    Gathering,
    /// Holds and tombstones for other shards' orders.
    Holds,
    /// Charges of one order.
    Charges,
    /// Remembered keys of stock changes.
    Changes,
}
