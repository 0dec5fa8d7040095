//! Entries to bytes and back.
//!
//! Version 2: `version kind forget at effect`; numbers are varints, ids and hashes fixed, text has its length before
//! it. A one-line order takes about 100 bytes. Kinds and fields are only ever added, under a new version.

mod parts;

use crate::entry::{Effect, Entry, Forget, Regathering};
use crate::ids::Op;
use crate::message::Fate;
use crate::wire::{Reader, Writer};
use parts::*;
pub(crate) use parts::{read_sku_put, write_sku_put};

/// The bytes are not what a version this program knows would have written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DecodeError(pub &'static str);

impl core::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "cannot decode: {}", self.0)
    }
}

impl core::error::Error for DecodeError {}

const VERSION: u8 = 2;

impl Entry {
    /// Appends the entry's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut w = Writer(out);
        let f = self.forget;
        debug_assert!(f.orders.max(f.tombstones).max(f.changes) <= Forget::MAX);
        w.raw(&[
            VERSION,
            kind_byte(&self.effect),
            f.orders | f.tombstones << 2 | f.changes << 4,
        ]);
        w.varint(self.at.0);
        write_effect(&mut w, &self.effect);
    }

    /// Reads what [`Entry::encode`] wrote. Never panics, and allocates no more than a small multiple of the input.
    ///
    /// # Errors
    /// When the bytes are anything else.
    pub fn decode(bytes: &[u8]) -> Result<Entry, DecodeError> {
        let mut r = Reader(bytes);
        let [version, kind, forget] = r.array()?;
        if version != VERSION {
            return Err(DecodeError("unknown version"));
        }
        if forget >> 6 != 0 {
            return Err(DecodeError("unknown flags"));
        }
        let forget = Forget {
            orders: forget & 3,
            tombstones: forget >> 2 & 3,
            changes: forget >> 4 & 3,
        };
        let at = r.millis()?;
        let effect = read_effect(&mut r, kind)?;
        r.end()?;
        Ok(Entry { at, forget, effect })
    }
}

fn kind_byte(effect: &Effect) -> u8 {
    match effect {
        Effect::Start { .. } => 1,
        Effect::Lease { .. } => 2,
        Effect::Digest { .. } => 3,
        Effect::Applied { .. } => 4,
        Effect::SkuPut(_) => 5,
        Effect::StockChanged(_) => 6,
        Effect::Placed(_) => 7,
        Effect::Gathering(_) => 8,
        Effect::Answered { .. } => 9,
        Effect::Committed { .. } => 10,
        Effect::Aborted { .. } => 11,
        Effect::PaymentStarted { .. } => 12,
        Effect::ChargeClosed { .. } => 13,
        Effect::Closing { .. } => 14,
        Effect::Ended { .. } => 15,
        Effect::Confirmed { .. } => 16,
        Effect::Regathering(_) => 17,
        Effect::RefundDue { .. } => 18,
        Effect::Acknowledged { .. } => 19,
        Effect::Hold(_) => 20,
        Effect::HoldSettled { .. } => 21,
        Effect::Tombstone { .. } => 22,
        Effect::SaleOver { .. } => 23,
    }
}

fn write_effect(w: &mut Writer<'_>, effect: &Effect) {
    match effect {
        Effect::Start { term } => w.varint(*term),
        Effect::Lease { until } => w.varint(until.0),
        Effect::Digest { digest } => w.word(*digest),
        Effect::Applied { op, chain } => {
            w.varint(op.0);
            w.word(*chain);
        }
        Effect::SkuPut(put) => write_sku_put(w, put),
        Effect::SaleOver { sku } => w.text(sku.as_str()),
        Effect::StockChanged(change) => write_stock_changed(w, change),
        Effect::Placed(placed) => write_placed(w, placed),
        Effect::Gathering(gathering) => {
            write_placed(w, &gathering.placed);
            for shard in &gathering.shards {
                w.varint(u64::from(shard.0));
            }
            w.varint(gathering.prepare_deadline.0);
        }
        Effect::Answered {
            order,
            attempt,
            from,
            part,
        } => {
            w.word(order.0);
            w.byte(*attempt);
            w.varint(u64::from(from.0));
            w.part(part);
        }
        Effect::Committed {
            order,
            attempt,
            total,
            currency,
            hold_ms,
        } => {
            w.word(order.0);
            w.byte(*attempt);
            w.varint(*total);
            w.raw(currency);
            w.varint(u64::from(*hold_ms));
        }
        Effect::Aborted {
            order,
            attempt,
            reason,
        } => {
            w.word(order.0);
            w.raw(&[*attempt, abort_byte(*reason)]);
        }
        Effect::PaymentStarted { order, charge } | Effect::RefundDue { order, charge } => {
            w.word(order.0);
            w.text(charge.as_str());
        }
        Effect::ChargeClosed { order, charge, ends } => {
            w.word(order.0);
            w.text(charge.as_str());
            w.byte(ends.map_or(0, ending_byte));
        }
        Effect::Closing { order, ending, until } => {
            w.word(order.0);
            w.byte(ending_byte(*ending));
            w.varint(until.0);
        }
        Effect::Ended { order, ending } => {
            w.word(order.0);
            w.byte(ending_byte(*ending));
        }
        Effect::Confirmed {
            order,
            charge,
            held_again,
        } => {
            w.word(order.0);
            w.text(charge.as_str());
            w.flag(*held_again);
        }
        Effect::Regathering(again) => {
            w.word(again.order.0);
            w.byte(again.attempt);
            w.text(again.charge.as_str());
            w.varint(again.prepare_deadline.0);
        }
        Effect::Acknowledged { order, attempt, from } => {
            w.word(order.0);
            w.byte(*attempt);
            w.varint(u64::from(from.0));
        }
        Effect::Hold(hold) => write_hold(w, hold),
        Effect::HoldSettled { order, attempt, fate } => {
            w.word(order.0);
            w.raw(&[*attempt, matches!(fate, Fate::Sold).into()]);
        }
        Effect::Tombstone {
            order,
            attempt,
            until,
        } => {
            w.word(order.0);
            w.byte(*attempt);
            w.varint(until.0);
        }
    }
}

fn read_effect(r: &mut Reader<'_>, kind: u8) -> Result<Effect, DecodeError> {
    Ok(match kind {
        1 => Effect::Start { term: r.varint()? },
        2 => Effect::Lease { until: r.millis()? },
        3 => Effect::Digest { digest: r.word()? },
        4 => Effect::Applied {
            op: Op(r.varint()?),
            chain: r.word()?,
        },
        5 => Effect::SkuPut(Box::new(read_sku_put(r)?)),
        6 => Effect::StockChanged(Box::new(read_stock_changed(r)?)),
        7 => Effect::Placed(read_placed(r)?),
        8 => Effect::Gathering(Box::new(read_gathering(r)?)),
        9 => Effect::Answered {
            order: r.order()?,
            attempt: r.byte()?,
            from: r.shard()?,
            part: r.part()?,
        },
        10 => Effect::Committed {
            order: r.order()?,
            attempt: r.byte()?,
            total: r.varint()?,
            currency: r.array()?,
            hold_ms: r.small()?,
        },
        11 => Effect::Aborted {
            order: r.order()?,
            attempt: r.byte()?,
            reason: read_abort(r)?,
        },
        12 => Effect::PaymentStarted {
            order: r.order()?,
            charge: r.charge()?,
        },
        13 => Effect::ChargeClosed {
            order: r.order()?,
            charge: r.charge()?,
            ends: read_ending_or_none(r)?,
        },
        14 => Effect::Closing {
            order: r.order()?,
            ending: read_ending(r)?,
            until: r.millis()?,
        },
        15 => Effect::Ended {
            order: r.order()?,
            ending: read_ending(r)?,
        },
        16 => Effect::Confirmed {
            order: r.order()?,
            charge: r.charge()?,
            held_again: r.flag()?,
        },
        17 => Effect::Regathering(Box::new(Regathering {
            order: r.order()?,
            attempt: r.byte()?,
            charge: r.charge()?,
            prepare_deadline: r.millis()?,
        })),
        18 => Effect::RefundDue {
            order: r.order()?,
            charge: r.charge()?,
        },
        19 => Effect::Acknowledged {
            order: r.order()?,
            attempt: r.byte()?,
            from: r.shard()?,
        },
        20 => Effect::Hold(Box::new(read_hold(r)?)),
        21 => {
            let (order, attempt) = (r.order()?, r.byte()?);
            let fate = if r.flag()? { Fate::Sold } else { Fate::Released };
            Effect::HoldSettled { order, attempt, fate }
        }
        22 => Effect::Tombstone {
            order: r.order()?,
            attempt: r.byte()?,
            until: r.millis()?,
        },
        23 => Effect::SaleOver { sku: r.sku()? },
        _ => return Err(DecodeError("unknown kind")),
    })
}
