//! Entries to bytes and back.
//!
//! Version 1: `version kind forget at effect`; numbers are varints, ids and hashes fixed, text has its length before
//! it. A one-line order takes about 100 bytes. Kinds and fields are only ever added, under a new version.

use crate::command::{LimitScope, SUBJECT_BYTES_MAX};
use crate::entry::{
    AbortReason, Effect, Ending, Entry, Forget, Gathering, HoldTaken, Placed, Regathering, SkuPut,
    StockChanged,
};
use crate::ids::{Millis, Op};
use crate::limits::TEXT_BYTES_MAX;
use crate::message::Fate;
use crate::wire::{Reader, Writer};

/// The bytes are not what a version this program knows would have written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DecodeError(pub &'static str);

impl core::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "cannot decode: {}", self.0)
    }
}

impl core::error::Error for DecodeError {}

const VERSION: u8 = 1;

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
    }
}

fn write_effect(w: &mut Writer<'_>, effect: &Effect) {
    match effect {
        Effect::Start { term } => w.varint(*term),
        Effect::Lease { until } => w.varint(until.0),
        Effect::Digest { digest } => w.word(*digest),
        Effect::Applied { op } => w.varint(op.0),
        Effect::SkuPut(put) => write_sku_put(w, put),
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
        4 => Effect::Applied { op: Op(r.varint()?) },
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
        _ => return Err(DecodeError("unknown kind")),
    })
}

fn write_placed(w: &mut Writer<'_>, placed: &Placed) {
    w.word(placed.order.0);
    w.raw(&placed.buyer.0);
    w.raw(&placed.key.0);
    w.word(placed.body.0);
    w.text(&placed.subject);
    w.lines(&placed.lines);
    w.varint(placed.total);
    w.raw(&placed.currency);
    w.varint(u64::from(placed.hold_ms));
}

fn read_placed(r: &mut Reader<'_>) -> Result<Placed, DecodeError> {
    Ok(Placed {
        order: r.order()?,
        buyer: r.buyer()?,
        key: r.key()?,
        body: r.body()?,
        subject: r.text(SUBJECT_BYTES_MAX)?.into(),
        lines: r.lines()?,
        total: r.varint()?,
        currency: r.array()?,
        hold_ms: r.small()?,
    })
}

fn read_gathering(r: &mut Reader<'_>) -> Result<Gathering, DecodeError> {
    let placed = read_placed(r)?;
    let mut shards = smallvec::SmallVec::new();
    for _ in 0..placed.lines.len() {
        shards.push(r.shard()?);
    }
    Ok(Gathering {
        placed,
        shards,
        prepare_deadline: r.millis()?,
    })
}

fn write_hold(w: &mut Writer<'_>, hold: &HoldTaken) {
    w.word(hold.order.0);
    w.byte(hold.attempt);
    w.varint(hold.term);
    w.raw(&hold.buyer.0);
    w.lines(&hold.lines);
    w.part(&hold.part);
    w.varint(hold.prepare_deadline.0);
}

fn read_hold(r: &mut Reader<'_>) -> Result<HoldTaken, DecodeError> {
    Ok(HoldTaken {
        order: r.order()?,
        attempt: r.byte()?,
        term: r.varint()?,
        buyer: r.buyer()?,
        lines: r.lines()?,
        part: r.part()?,
        prepare_deadline: r.millis()?,
    })
}

pub(crate) fn write_sku_put(w: &mut Writer<'_>, put: &SkuPut) {
    w.text(put.sku.as_str());
    w.text(&put.name);
    w.varint(put.price);
    w.raw(&put.currency);
    w.varint(put.stocked);
    w.option(put.buyer_limit.map(u64::from));
    w.flag(put.limit_scope == LimitScope::Group);
    w.option(put.sale_start.map(|at| at.0));
    w.option(put.sale_end.map(|at| at.0));
    w.varint(u64::from(put.hold_ms));
    w.flag(put.paused);
}

pub(crate) fn read_sku_put(r: &mut Reader<'_>) -> Result<SkuPut, DecodeError> {
    Ok(SkuPut {
        sku: r.sku()?,
        name: r.text(TEXT_BYTES_MAX)?.into(),
        price: r.varint()?,
        currency: r.array()?,
        stocked: r.varint()?,
        buyer_limit: match r.option()? {
            Some(limit) => Some(u32::try_from(limit).map_err(|_| DecodeError("number too large"))?),
            None => None,
        },
        limit_scope: if r.flag()? {
            LimitScope::Group
        } else {
            LimitScope::Sku
        },
        sale_start: r.option()?.map(Millis),
        sale_end: r.option()?.map(Millis),
        hold_ms: r.small()?,
        paused: r.flag()?,
    })
}

fn write_stock_changed(w: &mut Writer<'_>, change: &StockChanged) {
    w.text(change.sku.as_str());
    w.signed(change.delta);
    w.varint(change.stocked);
    w.text(&change.reason);
    w.raw(&change.key.0);
    w.word(change.body.0);
}

fn read_stock_changed(r: &mut Reader<'_>) -> Result<StockChanged, DecodeError> {
    Ok(StockChanged {
        sku: r.sku()?,
        delta: r.signed()?,
        stocked: r.varint()?,
        reason: r.text(TEXT_BYTES_MAX)?.into(),
        key: r.key()?,
        body: r.body()?,
    })
}

fn ending_byte(ending: Ending) -> u8 {
    match ending {
        Ending::Cancelled => 1,
        Ending::Expired => 2,
    }
}

fn read_ending(r: &mut Reader<'_>) -> Result<Ending, DecodeError> {
    read_ending_or_none(r)?.ok_or(DecodeError("ending missing"))
}

fn read_ending_or_none(r: &mut Reader<'_>) -> Result<Option<Ending>, DecodeError> {
    match r.byte()? {
        0 => Ok(None),
        1 => Ok(Some(Ending::Cancelled)),
        2 => Ok(Some(Ending::Expired)),
        _ => Err(DecodeError("unknown ending")),
    }
}

fn abort_byte(reason: AbortReason) -> u8 {
    match reason {
        AbortReason::Refused => 1,
        AbortReason::TimedOut => 2,
        AbortReason::Restarted => 3,
        AbortReason::Unpriceable => 4,
    }
}

fn read_abort(r: &mut Reader<'_>) -> Result<AbortReason, DecodeError> {
    match r.byte()? {
        1 => Ok(AbortReason::Refused),
        2 => Ok(AbortReason::TimedOut),
        3 => Ok(AbortReason::Restarted),
        4 => Ok(AbortReason::Unpriceable),
        _ => Err(DecodeError("unknown reason")),
    }
}
