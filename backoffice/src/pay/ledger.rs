//! The rows of charges and callbacks.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, named_params, params};
use tidegate_shard_core::{ChargeId, Millis, OrderId};

use crate::pay::charge::{Charge, ChargeStatus};

const COLUMNS: &str = "charge, order_id, amount, currency, provider, status, payment_url, close_at, attempts";

/// A request that made a charge drives it itself; the recovery job looks only after it has had its time.
const FIRST_LOOK_MS: u64 = 5_000;

/// Charges of one order at most. A shard remembers fewer, and refuses more; each that it refuses is a closed row here.
const CHARGES_MAX: u32 = 64;

/// Keeps a new charge, unless its order has one under way: then that one, and `true`. `None`: the order has had as many as it may.
pub(super) fn open(
    connection: &Connection,
    charge: Charge,
    now: Millis,
) -> rusqlite::Result<Option<(Charge, bool)>> {
    let under_way = format!(
        "SELECT {COLUMNS} FROM charges WHERE order_id = ?1
             AND status IN ('created', 'started', 'approved', 'declined') ORDER BY created_at DESC LIMIT 1"
    );
    let found = connection
        .prepare_cached(&under_way)?
        .query_row([charge.order.0 as i64], read)
        .optional()?;
    if let Some(found) = found {
        return Ok(Some((found, true)));
    }
    let made: u32 = connection
        .prepare_cached("SELECT count(*) FROM charges WHERE order_id = ?1")?
        .query_row([charge.order.0 as i64], |row| row.get(0))?;
    if made >= CHARGES_MAX {
        return Ok(None);
    }
    connection
        .prepare_cached(
            "INSERT INTO charges (charge, order_id, amount, currency, provider, status, close_at, created_at, changed_at, next_at)
             VALUES (:charge, :order, :amount, :currency, :provider, :status, :close_at, :now, :now, :next_at)",
        )?
        .execute(named_params! {
            ":charge": charge.id.as_str(),
            ":order": charge.order.0 as i64,
            ":amount": charge.amount as i64,
            ":currency": std::str::from_utf8(&charge.currency).unwrap_or_default(),
            ":provider": charge.provider,
            ":status": charge.status.as_str(),
            ":close_at": charge.close_at.0 as i64,
            ":now": now.0 as i64,
            ":next_at": now.after(FIRST_LOOK_MS).0 as i64,
        })?;
    Ok(Some((charge, false)))
}

/// One charge.
pub(super) fn find(connection: &Connection, id: &ChargeId) -> rusqlite::Result<Option<Charge>> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM charges WHERE charge = ?1"))?
        .query_row([id.as_str()], read)
        .optional()
}

/// Moves a charge on, if it still stands where it was seen; it is looked at again at once.
pub(super) fn advance(
    connection: &Connection,
    id: &ChargeId,
    from: ChargeStatus,
    to: ChargeStatus,
    now: Millis,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE charges SET status = ?3, changed_at = ?4, next_at = ?4, attempts = 0 WHERE charge = ?1 AND status = ?2",
        )?
        .execute(params![id.as_str(), from.as_str(), to.as_str(), now.0 as i64])
        .map(drop)
}

/// Remembers where the buyer pays.
pub(super) fn note_url(connection: &Connection, id: &ChargeId, url: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE charges SET payment_url = ?2 WHERE charge = ?1")?
        .execute(params![id.as_str(), url])
        .map(drop)
}

/// The recovery job looks at the charge again at `next_at`, if it stands where it was seen. `failed` counts.
pub(super) fn postpone(
    connection: &Connection,
    id: &ChargeId,
    seen: ChargeStatus,
    next_at: Millis,
    failed: bool,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE charges SET next_at = ?3, attempts = CASE ?4 WHEN 1 THEN attempts + 1 ELSE 0 END
             WHERE charge = ?1 AND status = ?2",
        )?
        .execute(params![id.as_str(), seen.as_str(), next_at.0 as i64, failed])
        .map(drop)
}

/// Unfinished charges to look at now, those that wait longest first.
pub(super) fn due(connection: &Connection, now: Millis, limit: usize) -> rusqlite::Result<Vec<Charge>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM charges WHERE status NOT IN ('paid', 'closed', 'refunded') AND next_at <= ?1
             ORDER BY next_at LIMIT ?2"
        ))?
        .query_map(params![now.0 as i64, limit as i64], read)?
        .collect()
}

/// When the next unfinished charge is due.
pub(super) fn next_due(connection: &Connection) -> rusqlite::Result<Option<Millis>> {
    connection
        .prepare_cached(
            "SELECT next_at FROM charges WHERE status NOT IN ('paid', 'closed', 'refunded') ORDER BY next_at LIMIT 1",
        )?
        .query_row([], |row| Ok(Millis(row.get::<_, i64>(0)? as u64)))
        .optional()
}

/// Keeps a callback verbatim; a repeat of the same bytes is kept once.
pub(super) fn record_callback(
    connection: &Connection,
    charge: &Charge,
    raw: &[u8],
    now: Millis,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO callbacks (charge, provider, at, raw) SELECT ?1, ?2, ?3, ?4
             WHERE NOT EXISTS (SELECT 1 FROM callbacks WHERE charge = ?1 AND raw = ?4)",
        )?
        .execute(params![charge.id.as_str(), charge.provider, now.0 as i64, raw])
        .map(drop)
}

/// How the store's row of an order was paid, if it was; `None` when there is no such row.
pub(super) fn paid_by(connection: &Connection, order: OrderId) -> rusqlite::Result<Option<Option<String>>> {
    connection
        .prepare_cached("SELECT CASE status WHEN 'confirmed' THEN charge END FROM orders WHERE id = ?1")?
        .query_row([order.0 as i64], |row| row.get(0))
        .optional()
}

fn read(row: &Row<'_>) -> rusqlite::Result<Charge> {
    let text = |column: usize| {
        row.get_ref(column)
            .and_then(|value| Ok(value.as_str()?.to_owned()))
    };
    let number = |column: usize| row.get::<_, i64>(column).map(|number| number as u64);
    Ok(Charge {
        id: text(0)?.parse().map_err(|error| wrong(0, error))?,
        order: OrderId(number(1)?),
        amount: number(2)?,
        currency: text(3)?.as_bytes().try_into().map_err(|error| wrong(3, error))?,
        provider: text(4)?,
        status: ChargeStatus::parse(&text(5)?).ok_or_else(|| wrong(5, "an unknown status"))?,
        payment_url: row.get(6)?,
        close_at: Millis(number(7)?),
        attempts: row.get(8)?,
    })
}

fn wrong(column: usize, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
}
