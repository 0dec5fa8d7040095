//! The byte forms of the larger effects and of small enums.

use crate::codec::DecodeError;
use crate::command::{LimitScope, SUBJECT_BYTES_MAX};
use crate::entry::{AbortReason, Ending, Gathering, HoldTaken, Placed, SkuPut, StockChanged};
use crate::ids::Millis;
use crate::limits::TEXT_BYTES_MAX;
use crate::wire::{Reader, Writer};

pub(crate) fn write_placed(w: &mut Writer<'_>, placed: &Placed) {
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

pub(crate) fn read_placed(r: &mut Reader<'_>) -> Result<Placed, DecodeError> {
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

pub(crate) fn read_gathering(r: &mut Reader<'_>) -> Result<Gathering, DecodeError> {
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

pub(crate) fn write_hold(w: &mut Writer<'_>, hold: &HoldTaken) {
    w.word(hold.order.0);
    w.byte(hold.attempt);
    w.varint(hold.term);
    w.raw(&hold.buyer.0);
    w.lines(&hold.lines);
    w.part(&hold.part);
    w.varint(hold.prepare_deadline.0);
}

pub(crate) fn read_hold(r: &mut Reader<'_>) -> Result<HoldTaken, DecodeError> {
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

pub(crate) fn write_stock_changed(w: &mut Writer<'_>, change: &StockChanged) {
    w.text(change.sku.as_str());
    w.signed(change.delta);
    w.varint(change.stocked);
    w.text(&change.reason);
    w.raw(&change.key.0);
    w.word(change.body.0);
}

pub(crate) fn read_stock_changed(r: &mut Reader<'_>) -> Result<StockChanged, DecodeError> {
    Ok(StockChanged {
        sku: r.sku()?,
        delta: r.signed()?,
        stocked: r.varint()?,
        reason: r.text(TEXT_BYTES_MAX)?.into(),
        key: r.key()?,
        body: r.body()?,
    })
}

pub(crate) fn ending_byte(ending: Ending) -> u8 {
    match ending {
        Ending::Cancelled => 1,
        Ending::Expired => 2,
    }
}

pub(crate) fn read_ending(r: &mut Reader<'_>) -> Result<Ending, DecodeError> {
    read_ending_or_none(r)?.ok_or(DecodeError("ending missing"))
}

pub(crate) fn read_ending_or_none(r: &mut Reader<'_>) -> Result<Option<Ending>, DecodeError> {
    match r.byte()? {
        0 => Ok(None),
        1 => Ok(Some(Ending::Cancelled)),
        2 => Ok(Some(Ending::Expired)),
        _ => Err(DecodeError("unknown ending")),
    }
}

pub(crate) fn abort_byte(reason: AbortReason) -> u8 {
    match reason {
        AbortReason::Refused => 1,
        AbortReason::TimedOut => 2,
        AbortReason::Restarted => 3,
        AbortReason::Unpriceable => 4,
    }
}

pub(crate) fn read_abort(r: &mut Reader<'_>) -> Result<AbortReason, DecodeError> {
    match r.byte()? {
        1 => Ok(AbortReason::Refused),
        2 => Ok(AbortReason::TimedOut),
        3 => Ok(AbortReason::Restarted),
        4 => Ok(AbortReason::Unpriceable),
        _ => Err(DecodeError("unknown reason")),
    }
}
