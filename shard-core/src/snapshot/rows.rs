//! The byte forms of rows.

use crate::buyer::BuyerCounts;
use crate::change::ChangeRow;
use crate::codec::DecodeError;
use crate::entry::Ending;
use crate::ids::Op;
use crate::order::{Charge, Cross, OrderRow, Participant, Rare, RowLine, RowLines};
use crate::order_state::{ChargeStanding, State};
use crate::wire::{Reader, Writer};

// Least bytes of a row: what a count is checked against before anything is reserved.
pub(super) const SKU_BYTES_MIN: usize = 16;
pub(super) const ORDER_BYTES_MIN: usize = 62;
pub(super) const HOLD_BYTES_MIN: usize = 34;
pub(super) const CHANGE_BYTES_MIN: usize = 30;

pub(super) fn write_counts(w: &mut Writer<'_>, counts: &BuyerCounts) {
    w.flag(counts.is_over());
    let rows = counts.sorted();
    w.varint(rows.len() as u64);
    for (buyer, units) in rows {
        w.raw(&buyer.0);
        w.varint(u64::from(units));
    }
}

pub(super) fn read_counts(
    r: &mut Reader<'_>,
    mut count: impl FnMut(crate::ids::Buyer, u32),
) -> Result<(), DecodeError> {
    let mut last = None;
    for _ in 0..r.count(17)? {
        let (buyer, units) = (r.buyer()?, r.small()?);
        if units == 0 || last >= Some(buyer) {
            return Err(DecodeError("counts out of order"));
        }
        last = Some(buyer);
        count(buyer, units);
    }
    Ok(())
}

pub(super) fn write_lines(w: &mut Writer<'_>, lines: &[RowLine]) {
    w.varint(lines.len() as u64);
    for line in lines {
        w.varint(u64::from(line.sku));
        w.varint(u64::from(line.qty));
    }
}

pub(super) fn read_lines(r: &mut Reader<'_>) -> Result<Vec<RowLine>, DecodeError> {
    let count = r.count(2)?;
    if count == 0 || count > crate::command::LINES_MAX {
        return Err(DecodeError("too few or too many lines"));
    }
    let mut lines: Vec<RowLine> = Vec::with_capacity(count);
    for _ in 0..count {
        let line = RowLine {
            sku: r.small()?,
            qty: r.small()?,
        };
        if line.qty == 0 || lines.iter().any(|other| other.sku == line.sku) {
            return Err(DecodeError("line of no units, or twice"));
        }
        lines.push(line);
    }
    Ok(lines)
}

pub(super) fn write_order(w: &mut Writer<'_>, row: &OrderRow) {
    w.word(row.id.0);
    w.byte(row.state as u8);
    w.raw(&row.key.0);
    w.raw(&row.buyer.0);
    w.word(row.body.0);
    w.varint(row.total);
    w.varint(row.placed_at.0);
    w.varint(row.ended_at.0);
    w.varint(row.ended_op.0);
    w.varint(u64::from(row.hold_ms));
    w.raw(&row.currency);
    write_lines(w, row.lines.as_slice());
    w.flag(row.rare.is_some());
    if let Some(rare) = &row.rare {
        write_rare(w, rare);
    }
}

pub(super) fn read_order(r: &mut Reader<'_>) -> Result<OrderRow, DecodeError> {
    let id = r.order()?;
    let state = State::from_byte(r.byte()?).ok_or(DecodeError("unknown state"))?;
    let row = OrderRow {
        id,
        state,
        key: r.key()?,
        buyer: r.buyer()?,
        body: r.body()?,
        total: r.varint()?,
        placed_at: r.millis()?,
        ended_at: r.millis()?,
        ended_op: Op(r.varint()?),
        hold_ms: r.small()?,
        currency: r.array()?,
        lines: RowLines::new(read_lines(r)?.into_iter()),
        rare: if r.flag()? {
            Some(Box::new(read_rare(r)?))
        } else {
            None
        },
    };
    if row.state.ended() != (row.ended_op > Op(0)) {
        return Err(DecodeError("an end without an op, or the reverse"));
    }
    Ok(row)
}

pub(super) fn write_rare(w: &mut Writer<'_>, rare: &Rare) {
    w.varint(rare.charges.len() as u64);
    for charge in &rare.charges {
        w.text(charge.id.as_str());
        w.byte(charge.standing as u8);
    }
    w.flag(rare.closing.is_some());
    if let Some((ending, until)) = rare.closing {
        w.flag(ending == Ending::Expired);
        w.varint(until.0);
    }
    w.flag(rare.cross.is_some());
    let Some(cross) = &rare.cross else { return };
    w.byte(cross.attempt);
    w.varint(cross.prepare_deadline.0);
    w.flag(cross.charge.is_some());
    if let Some(charge) = &cross.charge {
        w.text(charge.as_str());
    }
    w.varint(cross.parts.len() as u64);
    for part in &cross.parts {
        w.varint(u64::from(part.shard.0));
        w.lines(&part.lines);
        w.flag(part.held.is_some());
        if let Some(held) = &part.held {
            w.part(held);
        }
        w.flag(part.acknowledged);
    }
}

pub(super) fn read_rare(r: &mut Reader<'_>) -> Result<Rare, DecodeError> {
    let mut rare = Rare::default();
    for _ in 0..r.count(3)? {
        let id = r.charge()?;
        let standing = ChargeStanding::from_byte(r.byte()?).ok_or(DecodeError("unknown standing"))?;
        if rare.charges.len() > usize::from(u8::MAX) {
            return Err(DecodeError("too many charges"));
        }
        rare.charges.push(Charge { id, standing });
    }
    if r.flag()? {
        let ending = if r.flag()? {
            Ending::Expired
        } else {
            Ending::Cancelled
        };
        rare.closing = Some((ending, r.millis()?));
    }
    if r.flag()? {
        rare.cross = Some(read_cross(r)?);
    }
    Ok(rare)
}

pub(super) fn read_cross(r: &mut Reader<'_>) -> Result<Cross, DecodeError> {
    let attempt = r.byte()?;
    let prepare_deadline = r.millis()?;
    let charge = if r.flag()? { Some(r.charge()?) } else { None };
    let mut parts: Vec<Participant> = Vec::new();
    for _ in 0..r.count(6)? {
        let shard = r.shard()?;
        if parts.iter().any(|part| part.shard == shard) || parts.len() >= crate::command::LINES_MAX {
            return Err(DecodeError("a participant twice, or too many"));
        }
        let lines = r.lines()?.into_vec();
        let held = if r.flag()? { Some(r.part()?) } else { None };
        parts.push(Participant {
            shard,
            lines,
            held,
            acknowledged: r.flag()?,
        });
    }
    Ok(Cross {
        attempt,
        prepare_deadline,
        charge,
        parts,
    })
}

pub(super) fn write_change(w: &mut Writer<'_>, row: &ChangeRow) {
    w.raw(&row.key.0);
    w.word(row.body.0);
    w.varint(row.at.0);
    w.varint(row.op.0);
    w.varint(u64::from(row.sku));
    w.varint(row.stocked);
    w.varint(row.held);
    w.varint(row.sold);
}

pub(super) fn read_change(r: &mut Reader<'_>) -> Result<ChangeRow, DecodeError> {
    let row = ChangeRow {
        key: r.key()?,
        body: r.body()?,
        at: r.millis()?,
        op: Op(r.varint()?),
        sku: r.small()?,
        stocked: r.varint()?,
        held: r.varint()?,
        sold: r.varint()?,
    };
    // The answer is worked out from these again.
    match row.held.checked_add(row.sold) {
        Some(committed) if committed <= row.stocked => Ok(row),
        _ => Err(DecodeError("more committed than stocked")),
    }
}
