//! Orders as they followed the log.

use tidegate_follow::OrderRow;
use tidegate_shard_core::{Buyer, Millis, OrderId, OrderStatus, ShardId, SkuName};

use crate::Answer;

/// How far an id's own time may be ahead of the moment its order was placed: ids go on at the end of a lease after a restart, and
/// are drawn from the next milliseconds when one is used up.
const ID_AHEAD_MS: u64 = 60_000;

/// Which orders are listed.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this buyer only.
    pub buyer: Option<Buyer>,
    /// Of the token's subject.
    pub user: Option<String>,
    /// In this status.
    pub status: Option<OrderStatus>,
    /// With a line of this SKU.
    pub sku: Option<SkuName>,
    /// Placed at this moment or later.
    pub from: Option<Millis>,
    /// Placed before this moment.
    pub to: Option<Millis>,
    /// Older than this order.
    pub after: Option<OrderId>,
}

impl Filter {
    /// The first id that the window of time may hold: ids begin with their time, so a window of time is a range of the table.
    #[must_use]
    pub fn first_id(&self) -> Option<OrderId> {
        self.from.map(|from| OrderId::new(from, ShardId(0), 0))
    }

    /// The id that all of the page are below: of the order before it, and of the end of the window.
    #[must_use]
    pub fn below_id(&self) -> Option<OrderId> {
        let end = self
            .to
            .map(|to| OrderId::new(to.after(ID_AHEAD_MS), ShardId(0), 0));
        match (end, self.after) {
            (Some(end), Some(after)) => Some(end.min(after)),
            (end, after) => end.or(after),
        }
    }
}

/// A step of an order's history, as its home shard logged it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepRow {
    /// The home shard's operation.
    pub op: u64,
    /// The home shard.
    pub shard: u16,
    /// When.
    pub at: Millis,
    /// The entry's kind.
    pub kind: String,
    /// What the kind does not say; the text of a JSON object.
    pub detail: Option<String>,
}

/// Orders, their lines and their history. One that still gathers holds from other shards is shown to nobody.
pub trait Orders: Send + Sync + 'static {
    /// One order.
    fn order(&self, id: OrderId) -> Answer<'_, Option<OrderRow>>;

    /// A page of orders, newest first, `rows` at most.
    fn orders(&self, filter: Filter, rows: usize) -> Answer<'_, Vec<OrderRow>>;

    /// What happened to an order, in the order of its home shard's operations.
    fn history(&self, id: OrderId) -> Answer<'_, Vec<StepRow>>;
}
