//! The rows of charges and callbacks.

use rusqlite::{Connection, OptionalExtension, Row, named_params, params};
use tidegate_rows::{Answer, CHARGES_MAX, Callback, Charge, ChargeStatus, Charges, FIRST_LOOK_MS};
use tidegate_shard_core::{ChargeId, Millis, OrderId};

use super::Sqlite;
use super::cells::{letters, number, parsed};

impl Charges for Sqlite {
    fn open_charge(&self, charge: Charge, now: Millis) -> Answer<'_, Option<(Charge, bool)>> {
        self.writing(move |connection| open(connection, charge, now))
    }

    fn charge(&self, id: ChargeId) -> Answer<'_, Option<Charge>> {
        self.reading(move |connection| find(connection, &id))
    }

    fn advance_charge(
        &self,
        id: ChargeId,
        seen: ChargeStatus,
        to: ChargeStatus,
        now: Millis,
    ) -> Answer<'_, ()> {
        self.writing(move |connection| advance(connection, &id, seen, to, now))
    }

    fn note_payment_url(&self, id: ChargeId, url: String) -> Answer<'_, ()> {
        self.writing(move |connection| {
            connection
                .prepare_cached("UPDATE charges SET payment_url = ?2 WHERE charge = ?1")?
                .execute(params![id.as_str(), url])
                .map(drop)
        })
    }

    fn postpone_charge(&self, id: ChargeId, seen: ChargeStatus, next_at: Millis) -> Answer<'_, ()> {
        self.writing(move |connection| {
            connection
                .prepare_cached(
                    "UPDATE charges SET next_at = ?3, attempts = 0 WHERE charge = ?1 AND status = ?2",
                )?
                .execute(params![id.as_str(), seen.as_str(), next_at.0 as i64])
                .map(drop)
        })
    }

    fn retry_charge(&self, id: ChargeId, next_at: Millis) -> Answer<'_, ()> {
        self.writing(move |connection| {
            connection
                .prepare_cached("UPDATE charges SET next_at = ?2, attempts = attempts + 1 WHERE charge = ?1")?
                .execute(params![id.as_str(), next_at.0 as i64])
                .map(drop)
        })
    }

    fn keep_callback(
        &self,
        callback: Callback,
        seen: ChargeStatus,
        to: Option<ChargeStatus>,
        now: Millis,
    ) -> Answer<'_, bool> {
        self.writing(move |connection| {
            let stands = find(connection, &callback.charge)?.is_some_and(|charge| charge.status == seen);
            if stands {
                record_callback(connection, &callback, now)?;
                if let Some(to) = to {
                    advance(connection, &callback.charge, seen, to, now)?;
                }
            }
            Ok(stands)
        })
    }

    fn due_charges(&self, now: Millis, rows: usize) -> Answer<'_, Vec<Charge>> {
        self.reading(move |connection| due(connection, now, rows))
    }

    fn next_charge_due(&self) -> Answer<'_, Option<Millis>> {
        self.reading(next_due)
    }
}

const COLUMNS: &str = "charge, order_id, amount, currency, provider, status, payment_url, close_at, attempts";

/// Keeps a new charge, unless its order has one under way: then that one, and `true`. `None`: the order has had as many as it may.
fn open(connection: &Connection, charge: Charge, now: Millis) -> rusqlite::Result<Option<(Charge, bool)>> {
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
fn find(connection: &Connection, id: &ChargeId) -> rusqlite::Result<Option<Charge>> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM charges WHERE charge = ?1"))?
        .query_row([id.as_str()], read)
        .optional()
}

/// Moves a charge on, if it still stands where it was seen; it is looked at again at once.
fn advance(
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

/// Unfinished charges to look at now, those that wait longest first.
fn due(connection: &Connection, now: Millis, limit: usize) -> rusqlite::Result<Vec<Charge>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM charges WHERE status NOT IN ('paid', 'closed', 'refunded') AND next_at <= ?1
             ORDER BY next_at LIMIT ?2"
        ))?
        .query_map(params![now.0 as i64, limit as i64], read)?
        .collect()
}

/// When the next unfinished charge is due.
fn next_due(connection: &Connection) -> rusqlite::Result<Option<Millis>> {
    connection
        .prepare_cached(
            "SELECT next_at FROM charges WHERE status NOT IN ('paid', 'closed', 'refunded') ORDER BY next_at LIMIT 1",
        )?
        .query_row([], |row| Ok(Millis(row.get::<_, i64>(0)? as u64)))
        .optional()
}

/// Keeps a callback verbatim; a repeat of the same bytes is kept once.
fn record_callback(connection: &Connection, callback: &Callback, now: Millis) -> rusqlite::Result<()> {
    let Callback {
        charge,
        provider,
        raw,
    } = callback;
    connection
        .prepare_cached(
            "INSERT INTO callbacks (charge, provider, at, raw) SELECT ?1, ?2, ?3, ?4
             WHERE NOT EXISTS (SELECT 1 FROM callbacks WHERE charge = ?1 AND raw = ?4)",
        )?
        .execute(params![charge.as_str(), provider, now.0 as i64, raw])
        .map(drop)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Charge> {
    Ok(Charge {
        id: parsed(row, 0, |word| word.parse().ok())?,
        order: OrderId(number(row, 1)?),
        amount: number(row, 2)?,
        currency: letters(row, 3)?,
        provider: row.get(4)?,
        status: parsed(row, 5, ChargeStatus::parse)?,
        payment_url: row.get(6)?,
        close_at: Millis(number(row, 7)?),
        attempts: row.get(8)?,
    })
}
