//! A log of orders and SKUs that the lists are read from.

use tidegate_follow::{OrderRow, OrderRows, Record};
use tidegate_shard_core::command::LimitScope;
use tidegate_shard_core::entry::{Effect, Ending, Entry, Gathering, Placed, SkuPut};
use tidegate_shard_core::{BodyHash, Buyer, KeyHash, Line, Millis, OrderId, ShardId, SkuName};

use super::{NOW, charge_id};

/// Orders of the log.
pub const ORDERS: u64 = 60;
/// Subjects: two differ in a space that some comparisons pad away, one in case and one in an accent.
pub const USERS: [&str; 5] = ["bob", "bob ", "Bob", "böb", "käufer-🦀"];

/// SKUs, by the bytes of their names: name for programs, and for people.
pub const SKUS: [(&str, &str); 6] = [
    ("A-1", "Red shoe"),
    ("AB1", "100% wool"),
    ("A_1", "Wool_sock|red"),
    ("B:1", "Blue SHOE"),
    ("a_1", "back\\slash"),
    ("b-1", "Größe 好"),
];

/// The buyer of a subject.
#[must_use]
pub fn buyer(user: usize) -> Buyer {
    Buyer([user as u8 + 1; 16])
}

/// The log, in the order in which it became durable.
#[must_use]
pub fn records() -> Vec<Record> {
    let mut ops = [0; 2];
    let mut record = |(shard, entry): (u16, Entry)| {
        let op = &mut ops[usize::from(shard)];
        *op += 1;
        let chain = |op: u64| if op == 0 { 0 } else { u64::from(shard) << 32 | op };
        let mut payload = Vec::new();
        entry.encode(&mut payload);
        Record {
            shard,
            op: *op,
            previous: chain(*op - 1),
            chain: chain(*op),
            payload: payload.into(),
        }
    };
    entries().into_iter().map(&mut record).collect()
}

/// The orders that a list may show, newest first.
#[must_use]
pub fn orders() -> Vec<OrderRow> {
    let mut rows = OrderRows::new();
    entries().iter().for_each(|(_, entry)| rows.apply(entry));
    let shown = rows.iter().filter(|row| row.status.is_some()).cloned();
    shown.collect::<Vec<_>>().into_iter().rev().collect()
}

/// The settings of a SKU of the log.
#[must_use]
pub fn sku_put(number: usize) -> SkuPut {
    let (sku, name) = SKUS[number];
    SkuPut {
        sku: parsed(sku),
        name: name.into(),
        price: 1 << 40,
        currency: *b"EUR",
        stocked: 5 + number as u64,
        buyer_limit: (number == 1).then_some(2),
        limit_scope: if number == 1 {
            LimitScope::Group
        } else {
            LimitScope::Sku
        },
        sale_start: (number == 2).then_some(NOW),
        sale_end: (number == 2).then_some(NOW.after(1)),
        hold_ms: 900_000,
        paused: number == 3,
    }
}

pub(super) fn parsed(sku: &str) -> SkuName {
    sku.parse().expect("a SKU's name")
}

fn entries() -> Vec<(u16, Entry)> {
    let puts = (0..SKUS.len()).map(|number| (0, Entry::new(NOW, Effect::SkuPut(Box::new(sku_put(number))))));
    puts.chain((0..ORDERS).flat_map(order)).collect()
}

/// What happens to an order: every fourth stays pending, and the last one gathers.
fn order(number: u64) -> Vec<(u16, Entry)> {
    let shard = (number % 2) as u16;
    let at = NOW.after(number * 1_000);
    // Ids may be ahead of the moment, by less than a minute.
    let ahead = (number % 3) * 20_000;
    let order = OrderId::new(at.after(ahead), ShardId(shard), number as u16);
    let user = number as usize % USERS.len();
    let line = |sku| Line {
        sku: parsed(sku),
        qty: number as u32 + 1,
    };
    let skus = ["A-1", "A_1", "a_1"];
    let placed = Placed {
        order,
        buyer: buyer(user),
        subject: USERS[user].into(),
        key: KeyHash([number as u8; 16]),
        body: BodyHash(number),
        lines: skus[..=number as usize % 3].iter().copied().map(line).collect(),
        total: number * 100,
        currency: *b"CNY",
        hold_ms: 900_000,
    };
    if number == ORDERS - 1 {
        let gathering = Gathering {
            shards: placed.lines.iter().map(|_| ShardId(shard)).collect(),
            placed,
            prepare_deadline: at.after(1_000),
        };
        return vec![(shard, Entry::new(at, Effect::Gathering(Box::new(gathering))))];
    }
    let charge = charge_id(number as u32);
    let ended = |ending| Effect::Ended { order, ending };
    let later = match number % 4 {
        0 => None,
        1 => Some(ended(Ending::Cancelled)),
        2 => Some(ended(Ending::Expired)),
        _ => Some(Effect::Confirmed {
            order,
            charge,
            held_again: false,
        }),
    };
    let entry = |at: Millis, effect| (shard, Entry::new(at, effect));
    let placed = entry(at, Effect::Placed(placed));
    let later = later.map(|effect| entry(at.after(7), effect));
    [placed].into_iter().chain(later).collect()
}
