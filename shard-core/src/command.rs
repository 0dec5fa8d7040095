//! What a shard can be asked to do. Commands are validated by the edge and never logged: entries are.

use crate::ids::{BodyHash, Buyer, ChargeId, KeyHash, Millis, OrderId, ShardId, SkuName, shard_of};
use core::hash::Hasher;
use siphasher::sip::SipHasher13;
use smallvec::SmallVec;
use std::sync::Arc;

/// A number of units of one SKU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Line {
    /// Which SKU.
    pub sku: SkuName,
    /// Units, at least 1.
    pub qty: u32,
}

/// The lines of an order: 1 to [`LINES_MAX`], sorted by SKU, each SKU once. Up to two lie inline.
pub type Lines = SmallVec<[Line; 2]>;

/// Lines in one order at most, each of another SKU.
pub const LINES_MAX: usize = 16;

/// Longest subject of a token that an order can carry to the store, in bytes.
pub const SUBJECT_BYTES_MAX: usize = 128;

/// Hash of decoded, sorted lines: SipHash-1-3 with a fixed key over names and quantities. It is remembered in logs.
#[must_use]
pub fn body_hash(lines: &Lines) -> BodyHash {
    let mut hasher = body_hasher();
    for line in lines {
        hasher.write(&[line.sku.as_bytes().len() as u8]);
        hasher.write(line.sku.as_bytes());
        hasher.write(&line.qty.to_le_bytes());
    }
    BodyHash(hasher.finish())
}

fn body_hasher() -> SipHasher13 {
    SipHasher13::new_with_keys(u64::from_le_bytes(*b"tidegate"), u64::from_le_bytes(*b"bodyhash"))
}

/// Who asks about an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Caller {
    /// A buyer sees and cancels their own orders only; anyone else's is unknown.
    Buyer(Buyer),
    /// The role `operator`: every order.
    Operator,
}

/// A request to one shard.
#[derive(Clone, Debug)]
pub enum Command {
    /// Hold stock for a buyer.
    Place(Place),
    /// Look at an order.
    ReadOrder {
        /// Which order.
        order: OrderId,
        /// On whose behalf.
        caller: Caller,
    },
    /// End an unpaid order.
    Cancel {
        /// Which order.
        order: OrderId,
        /// On whose behalf.
        caller: Caller,
    },
    /// The payments side is about to make a charge; only after this answer may it.
    StartPayment {
        /// Which order.
        order: OrderId,
        /// The charge it will make.
        charge: ChargeId,
    },
    /// The payments side made sure that a charge can no longer be paid.
    CloseCharge {
        /// Which order.
        order: OrderId,
        /// The charge that is closed.
        charge: ChargeId,
    },
    /// A charge was paid.
    Confirm {
        /// Which order.
        order: OrderId,
        /// The charge that was paid.
        charge: ChargeId,
    },
    /// Make a SKU or set some of its fields.
    PutSku(Box<PutSku>),
    /// Add to or take from the number of units put on sale.
    ChangeStock(Box<ChangeStock>),
    /// Look at a SKU.
    ReadSku {
        /// Which SKU.
        sku: SkuName,
    },
    /// Look at a SKU's stock.
    ReadStock {
        /// Which SKU.
        sku: SkuName,
    },
}

/// Place an order. Without allocation up to two lines.
#[derive(Clone, Debug)]
pub struct Place {
    /// Whose order, for limits and for who may see it.
    pub buyer: Buyer,
    /// The token's subject, at most [`SUBJECT_BYTES_MAX`] bytes: the store wants it, the shard does not keep it.
    pub subject: Arc<str>,
    /// Buyer and idempotency key.
    pub key: KeyHash,
    /// [`body_hash`] of `lines`.
    pub body: BodyHash,
    /// What is ordered.
    pub lines: Lines,
}

/// Whom a buyer limit counts together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LimitScope {
    /// Units of this SKU.
    #[default]
    Sku,
    /// Units of all SKUs of the group whose limit has this scope as well.
    Group,
}

/// Sets the fields that are `Some`. A SKU that does not exist needs at least price, currency and stock.
#[derive(Clone, Debug)]
pub struct PutSku {
    /// Which SKU.
    pub sku: SkuName,
    /// Shown to people; at most 200 bytes.
    pub name: Option<Box<str>>,
    /// In minor units of the currency.
    pub price: Option<u64>,
    /// ISO 4217 letters.
    pub currency: Option<[u8; 3]>,
    /// Units ever put on sale, absolute; refused below held + sold.
    pub stock: Option<u64>,
    /// Units a buyer may hold and have bought; `Some(None)` takes the limit away.
    pub buyer_limit: Option<Option<u32>>,
    /// What the limit counts.
    pub limit_scope: Option<LimitScope>,
    /// First moment of the sale.
    pub sale_start: Option<Option<Millis>>,
    /// First moment after the sale.
    pub sale_end: Option<Option<Millis>>,
    /// How long an unpaid order holds its stock, in ms.
    pub hold_ms: Option<u32>,
    /// Refuse orders for now.
    pub paused: Option<bool>,
}

impl PutSku {
    /// A command that sets nothing yet.
    #[must_use]
    pub fn new(sku: SkuName) -> PutSku {
        PutSku {
            sku,
            name: None,
            price: None,
            currency: None,
            stock: None,
            buyer_limit: None,
            limit_scope: None,
            sale_start: None,
            sale_end: None,
            hold_ms: None,
            paused: None,
        }
    }
}

/// Adds `delta` to the units put on sale, once per key.
#[derive(Clone, Debug)]
pub struct ChangeStock {
    /// Which SKU.
    pub sku: SkuName,
    /// Units; negative takes from what is available.
    pub delta: i64,
    /// Why, for the record; at most 200 bytes.
    pub reason: Box<str>,
    /// Operator and idempotency key.
    pub key: KeyHash,
}

impl ChangeStock {
    /// What a repeat of the key is compared by.
    #[must_use]
    pub fn body(&self) -> BodyHash {
        let mut hasher = body_hasher();
        hasher.write(self.sku.as_bytes());
        hasher.write(&[0]);
        hasher.write(&self.delta.to_le_bytes());
        hasher.write(self.reason.as_bytes());
        BodyHash(hasher.finish())
    }
}

/// Where a command belongs: an order is placed on the shard of its lowest SKU (`lines` are sorted; without any it is
/// shard 0, which refuses it), later commands go where its id says, SKU commands to the SKU's shard.
#[must_use]
pub fn home_shard(command: &Command, shards: u16) -> ShardId {
    match command {
        Command::Place(place) => place
            .lines
            .first()
            .map_or(ShardId(0), |line| shard_of(&line.sku, shards)),
        Command::ReadOrder { order, .. }
        | Command::Cancel { order, .. }
        | Command::StartPayment { order, .. }
        | Command::CloseCharge { order, .. }
        | Command::Confirm { order, .. } => order.shard(),
        Command::PutSku(put) => shard_of(&put.sku, shards),
        Command::ChangeStock(change) => shard_of(&change.sku, shards),
        Command::ReadSku { sku } | Command::ReadStock { sku } => shard_of(sku, shards),
    }
}
