//! Shards and orders for the benchmarks of the core: the same ones everywhere, so that figures can be compared.

use std::sync::Arc;

use tidegate_shard_core::ids::EPOCH;
use tidegate_shard_core::{
    Buyer, Command, Entry, Input, KeyHash, Line, Lines, Millis, Place, PutSku, Shard, ShardConfig, ShardId,
    SkuName, body_hash,
};

/// The time in all of them.
pub const NOW: Millis = Millis(EPOCH.0 + 1_000_000_000);

/// Units of a SKU that cannot sell out.
pub const PLENTY: u64 = 1 << 40;

/// Shard 0 of 1 after its start, with `skus` SKUs named `SKU-0`… that cannot sell out, everything durable.
pub fn shard(skus: u64, buyer_limit: Option<u32>) -> Shard {
    made(skus, PLENTY, buyer_limit).0
}

/// As [`shard`], with this many units of each SKU, and with the entries that made it.
pub fn made(skus: u64, stock: u64, buyer_limit: Option<u32>) -> (Shard, Vec<Entry>) {
    let mut shard = Shard::new(ShardConfig::new(ShardId(0), 1));
    let mut entries = shard.start(NOW, 1);
    for entry in &entries {
        shard.apply(entry);
    }
    for number in 0..skus {
        let mut put = PutSku::new(sku(number));
        (put.price, put.currency, put.stock) = (Some(1000), Some(*b"CNY"), Some(stock));
        put.buyer_limit = Some(buyer_limit);
        let decision = shard.decide(NOW, Input::Command(&Command::PutSku(Box::new(put))));
        let entry = decision.entry.expect("a new SKU is taken");
        shard.apply(&entry);
        entries.push(entry);
    }
    shard.note_durable(shard.op());
    (shard, entries)
}

/// The name of a SKU.
pub fn sku(number: u64) -> SkuName {
    SkuName::parse(format!("SKU-{number}").as_bytes()).expect("a short name")
}

/// An order of one unit by a buyer of its own: of the one SKU, or of `skus` in turn.
pub fn order(number: u64, skus: u64) -> Command {
    place(number, sku(number % skus), Arc::from("user-12345678"))
}

/// An order of one unit, without any formatting in it.
pub fn place(number: u64, sku: SkuName, subject: Arc<str>) -> Command {
    let lines: Lines = [Line { sku, qty: 1 }].into_iter().collect();
    let spread = |salt: u64| {
        let word = (number + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (u128::from(word ^ (word >> 29)) << 64 | u128::from(number)).to_le_bytes()
    };
    Command::Place(Place {
        buyer: Buyer(spread(1)),
        subject,
        key: KeyHash(spread(2)),
        body: body_hash(&lines),
        lines,
    })
}
