//! The ledger of charges.

use mysql_async::{Row, Value};
use tidegate_rows::{Answer, CHARGES_MAX, Callback, Charge, ChargeStatus, Charges, FIRST_LOOK_MS};
use tidegate_shard_core::{ChargeId, Millis, OrderId};

use super::{Rows, Tries, told};
use crate::MysqlError;
use crate::columns::{Columns, text};
use crate::pooled::Pooled;

const OF_ORDER: &str = "SELECT charge, order_id, amount, currency, provider, status, payment_url, close_at, attempts, number, created_at \
    FROM charges WHERE order_id = ? ORDER BY number";
const FIND: &str = "SELECT charge, order_id, amount, currency, provider, status, payment_url, close_at, attempts FROM charges WHERE charge = ?";
const ADD: &str = "INSERT INTO charges \
    (charge, order_id, number, amount, currency, provider, status, payment_url, close_at, created_at, changed_at, next_at, attempts) \
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
const ADVANCE: &str = "UPDATE charges SET status = ?, changed_at = ?, next_at = ?, attempts = 0 WHERE charge = ? AND status = ?";
const NOTE_URL: &str = "UPDATE charges SET payment_url = ? WHERE charge = ?";
const POSTPONE: &str = "UPDATE charges SET next_at = ?, attempts = 0 WHERE charge = ? AND status = ?";
const RETRY: &str = "UPDATE charges SET next_at = ?, attempts = attempts + 1 WHERE charge = ?";
const HOLD: &str = "SELECT 1 FROM charges WHERE charge = ? AND status = ? FOR UPDATE";
const KEEP: &str = "INSERT INTO callbacks (charge, digest, provider, at, raw) VALUES (?, UNHEX(SHA2(?, 256)), ?, ?, ?) \
    ON DUPLICATE KEY UPDATE id = id";
const DUE: &str = "SELECT charge, order_id, amount, currency, provider, status, payment_url, close_at, attempts FROM charges \
    WHERE due_at <= ? ORDER BY due_at LIMIT ?";
const NEXT_DUE: &str = "SELECT due_at FROM charges WHERE due_at IS NOT NULL ORDER BY due_at LIMIT 1";

impl Charges for Rows {
    fn open_charge(&self, charge: Charge, now: Millis) -> Answer<'_, Option<(Charge, bool)>> {
        told(async move {
            let mut tries = Tries::new();
            loop {
                let mut conn = self.begin().await?;
                let done = open(&mut conn, &charge, now).await;
                if let Some(done) = tries.settle(conn, done).await? {
                    return Ok(done);
                }
            }
        })
    }

    fn charge(&self, id: ChargeId) -> Answer<'_, Option<Charge>> {
        told(async move {
            let found = self.reader.rows(FIND, vec![text(id.as_str())]).await?;
            found
                .first()
                .map(|row| charge_of(&mut Columns::of(row)))
                .transpose()
        })
    }

    fn advance_charge(
        &self,
        id: ChargeId,
        seen: ChargeStatus,
        to: ChargeStatus,
        now: Millis,
    ) -> Answer<'_, ()> {
        told(async move { self.write(ADVANCE, advanced(id, seen, to, now)).await.map(drop) })
    }

    fn note_payment_url(&self, id: ChargeId, url: String) -> Answer<'_, ()> {
        told(async move {
            let values = vec![text(&url), text(id.as_str())];
            self.write(NOTE_URL, values).await.map(drop)
        })
    }

    fn postpone_charge(&self, id: ChargeId, seen: ChargeStatus, next_at: Millis) -> Answer<'_, ()> {
        told(async move {
            let values = vec![Value::UInt(next_at.0), text(id.as_str()), text(seen.as_str())];
            self.write(POSTPONE, values).await.map(drop)
        })
    }

    fn retry_charge(&self, id: ChargeId, next_at: Millis) -> Answer<'_, ()> {
        told(async move {
            let values = vec![Value::UInt(next_at.0), text(id.as_str())];
            self.write(RETRY, values).await.map(drop)
        })
    }

    fn keep_callback(
        &self,
        callback: Callback,
        seen: ChargeStatus,
        to: Option<ChargeStatus>,
        now: Millis,
    ) -> Answer<'_, bool> {
        told(async move {
            let mut tries = Tries::new();
            loop {
                let mut conn = self.begin().await?;
                let done = keep(&mut conn, &callback, seen, to, now).await;
                if let Some(done) = tries.settle(conn, done).await? {
                    return Ok(done);
                }
            }
        })
    }

    fn due_charges(&self, now: Millis, rows: usize) -> Answer<'_, Vec<Charge>> {
        told(async move {
            let values = vec![Value::UInt(now.0), Value::UInt(rows as u64)];
            let found = self.reader.rows(DUE, values).await?;
            found.iter().map(|row| charge_of(&mut Columns::of(row))).collect()
        })
    }

    fn next_charge_due(&self) -> Answer<'_, Option<Millis>> {
        told(async move {
            let found = self.reader.rows(NEXT_DUE, Vec::new()).await?;
            found.first().map(due_at).transpose()
        })
    }
}

/// What the order has is read by one statement, so as of one moment: a charge that another process makes after it takes the number that this
/// one would, and this is begun again.
async fn open(conn: &mut Pooled, charge: &Charge, now: Millis) -> Result<Option<(Charge, bool)>, MysqlError> {
    let mut last = 0;
    let mut under_way = None;
    for row in &conn.rows(OF_ORDER, vec![Value::UInt(charge.order.0)]).await? {
        let mut row = Columns::of(row);
        let found = charge_of(&mut row)?;
        last = row.next::<u32>()?;
        let created_at: u64 = row.next()?;
        let newer = |than: &Option<(u64, Charge)>| than.as_ref().is_none_or(|(at, _)| created_at >= *at);
        if found.status.under_way() && newer(&under_way) {
            under_way = Some((created_at, found));
        }
    }
    if let Some((_, found)) = under_way {
        return Ok(Some((found, true)));
    }
    if last >= CHARGES_MAX {
        return Ok(None);
    }
    conn.write(ADD, added(charge, last + 1, now)).await?;
    Ok(Some((charge.clone(), false)))
}

/// The values of [`ADD`].
fn added(charge: &Charge, number: u32, now: Millis) -> Vec<Value> {
    vec![
        text(charge.id.as_str()),
        Value::UInt(charge.order.0),
        Value::UInt(number.into()),
        Value::UInt(charge.amount),
        Value::Bytes(charge.currency.to_vec()),
        text(&charge.provider),
        text(charge.status.as_str()),
        charge.payment_url.as_deref().map_or(Value::NULL, text),
        Value::UInt(charge.close_at.0),
        Value::UInt(now.0),
        Value::UInt(now.0),
        Value::UInt(now.after(FIRST_LOOK_MS).0),
        Value::UInt(charge.attempts.into()),
    ]
}

/// The values of [`ADVANCE`].
fn advanced(id: ChargeId, seen: ChargeStatus, to: ChargeStatus, now: Millis) -> Vec<Value> {
    vec![
        text(to.as_str()),
        Value::UInt(now.0),
        Value::UInt(now.0),
        text(id.as_str()),
        text(seen.as_str()),
    ]
}

/// The charge's row is locked from here to the end of the transaction, whether it moves on or not.
async fn keep(
    conn: &mut Pooled,
    callback: &Callback,
    seen: ChargeStatus,
    to: Option<ChargeStatus>,
    now: Millis,
) -> Result<bool, MysqlError> {
    let id = callback.charge;
    let stands = match to {
        Some(to) => conn.write(ADVANCE, advanced(id, seen, to, now)).await? > 0,
        None => {
            let values = vec![text(id.as_str()), text(seen.as_str())];
            !conn.rows(HOLD, values).await?.is_empty()
        }
    };
    if stands {
        let raw = Value::Bytes(callback.raw.clone());
        let values = vec![
            text(id.as_str()),
            raw.clone(),
            text(&callback.provider),
            Value::UInt(now.0),
            raw,
        ];
        conn.write(KEEP, values).await?;
    }
    Ok(stands)
}

fn due_at(row: &Row) -> Result<Millis, MysqlError> {
    Ok(Millis(Columns::of(row).next()?))
}

fn charge_of(row: &mut Columns<'_>) -> Result<Charge, MysqlError> {
    Ok(Charge {
        id: row.next_as(|word| word.parse().ok())?,
        order: OrderId(row.next()?),
        amount: row.next()?,
        currency: row.exactly()?,
        provider: row.next()?,
        status: row.next_as(ChargeStatus::parse)?,
        payment_url: row.next()?,
        close_at: Millis(row.next()?),
        attempts: row.next()?,
    })
}
