//! Every bound of a shard, with its reason and what it costs.
//!
//! Memory at the default bounds, in bytes a row (tables grow by doubling, so up to twice that for those marked \*):
//!
//! | what | rows | bytes a row | sum |
//! |---|---|---|---|
//! | orders with their keys, one line | 4,000,000 | 120 + 19\* (key) + 16\* (id) + 16\* (deadline) | 680 MB |
//! | the same, with a charge or lines on other shards | of these | about 250 more | |
//! | buyers counted for limits | 4,000,000 | 20\* + 19\* | 160 MB |
//! | holds and tombstones | 1,000,000 | about 200 | 200 MB |
//! | SKUs | 100,000 | about 260 and the name | 50 MB |
//! | stock changes | 65,536 | 100 | 7 MB |
//!
//! A node with many shards does not multiply these: it sums [`crate::Shard::order_rows`] over them and closes all by
//! [`crate::Shard::allow_growth`] at its own budget. A million open orders of a million limited buyers measure under
//! 250 MB (`tests/memory.rs`). A checkpoint writes one shard at a time: about 90 bytes an order, 20 a counted buyer.

/// Bounds of one shard. At a bound the answer is a refusal; nothing that was promised is forgotten for room.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Order rows: open orders, and ended ones whose key is remembered. One hot SKU puts all orders of the day on one
    /// shard, so this is the node's number, not a share of it; [`crate::Shard::allow_growth`] holds all shards of a
    /// node to one budget.
    pub orders_max: u32,
    /// Units of an order line at most; keeps sums far from 2^64.
    pub line_qty_max: u32,
    /// SKUs.
    pub skus_max: u32,
    /// Buyers counted for limits, over all SKUs and groups.
    pub buyers_max: u32,
    /// Orders that gather holds at one time: the credits for cross-shard work.
    pub gathering_max: u32,
    /// Holds and tombstones for orders of other shards, together.
    pub holds_max: u32,
    /// Charges of one order: providers retry a payment a few times, not dozens of times.
    pub charges_max: u8,
    /// Remembered keys of stock changes.
    pub changes_max: u32,
    /// How long a key is remembered after its order ended, in ms, while there is room.
    pub key_window_ms: u64,
    /// How long it is remembered whatever the room, in ms.
    pub key_window_min_ms: u64,
    /// How long an attempt gathers, in ms. Two durable hops take about 1 ms; this only has to outlast a stall.
    pub gather_ms: u64,
    /// Grace of a closing order, in ms (DESIGN: 2 min).
    pub closing_grace_ms: u64,
    /// How long buyers' counts are kept after the end of their sale, in ms: an order that is paid late within it is held
    /// again if its buyer's limit allows it, one that is paid later is refunded.
    pub counts_after_sale_ms: u64,
    /// A payment is not started this close to the deadline, in ms, or within a quarter of a shorter hold time.
    pub payment_margin_ms: u64,
    /// First resend of an unacknowledged outcome, and first question of a participant, in ms; doubles up to 64 times that.
    pub again_ms: u64,
    /// How far ahead of the clock ids are leased, in ms. Renewed at half.
    pub lease_ms: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            orders_max: 4_000_000,
            line_qty_max: 1_000_000,
            skus_max: 100_000,
            buyers_max: 4_000_000,
            gathering_max: 16_384,
            holds_max: 1_000_000,
            charges_max: 16,
            changes_max: 65_536,
            key_window_ms: 24 * 3_600_000,
            key_window_min_ms: 15 * 60_000,
            gather_ms: 2_000,
            closing_grace_ms: 120_000,
            counts_after_sale_ms: 3_600_000,
            payment_margin_ms: 30_000,
            again_ms: 1_000,
            lease_ms: 5_000,
        }
    }
}

/// Longest display name of a SKU and longest reason of a stock change, in bytes: a line of text, and it is kept in
/// memory once per SKU.
pub const TEXT_BYTES_MAX: usize = 200;

/// Longest hold time of an unpaid order, in ms (7 days): deadlines must stay far from overflow.
pub const HOLD_MS_MAX: u32 = 7 * 24 * 3_600_000;

/// Hold time of a SKU that does not say, in ms: long enough to pay by phone, short enough to sell again.
pub const HOLD_MS_DEFAULT: u32 = 15 * 60_000;
