//! The books of the provider `simulated`.

use mysql_async::{Row, Value};
use tidegate_rows::{Answer, Book, Books, Decision};
use tidegate_shard_core::{ChargeId, Millis};

use super::{Rows, Tries, told};
use crate::MysqlError;
use crate::columns::{Columns, text};
use crate::pooled::Pooled;

const OPEN: &str = "INSERT INTO simulated_charges (charge, amount, currency, standing) VALUES (?, ?, ?, 'open') \
    ON DUPLICATE KEY UPDATE charge = VALUES(charge)";
/// A delayed payment arrives once its time has come.
const ARRIVE: &str = "UPDATE simulated_charges SET standing = 'paid', pays_at = NULL WHERE charge = ? AND standing = 'open' AND pays_at <= ?";
const FIND: &str = "SELECT amount, currency, standing, pays_at FROM simulated_charges WHERE charge = ?";
const DECIDE: &str = "UPDATE simulated_charges SET standing = ?, pays_at = ? WHERE charge = ? AND standing = 'open' AND pays_at IS NULL";
/// Assignments are made from left to right, each with what the one before has set.
const CLOSE: &str = "INSERT INTO simulated_charges (charge, amount, currency, standing) VALUES (?, 0, 'XXX', 'closed') \
    ON DUPLICATE KEY UPDATE pays_at = IF(standing = 'open', NULL, pays_at), standing = IF(standing = 'open', 'closed', standing)";
const REFUND: &str =
    "UPDATE simulated_charges SET standing = 'refunded' WHERE charge = ? AND standing = 'paid'";

impl Books for Rows {
    fn open_book(&self, charge: ChargeId, amount: u64, currency: [u8; 3]) -> Answer<'_, ()> {
        told(async move {
            let values = vec![
                text(charge.as_str()),
                Value::UInt(amount),
                Value::Bytes(currency.to_vec()),
            ];
            self.write(OPEN, values).await.map(drop)
        })
    }

    fn book(&self, charge: ChargeId, now: Millis) -> Answer<'_, Option<Book>> {
        told(self.turn(charge, now, None))
    }

    fn decide_book(&self, charge: ChargeId, decision: Decision, now: Millis) -> Answer<'_, Option<Book>> {
        let (word, pays_at) = match decision {
            Decision::Pay => ("paid", Value::NULL),
            Decision::PayAt(at) => ("open", Value::UInt(at.0)),
            Decision::Decline => ("declined", Value::NULL),
        };
        let values = vec![text(word), pays_at, text(charge.as_str())];
        told(self.turn(charge, now, Some((DECIDE, values))))
    }

    fn close_book(&self, charge: ChargeId, now: Millis) -> Answer<'_, Option<Book>> {
        told(self.turn(charge, now, Some((CLOSE, vec![text(charge.as_str())]))))
    }

    fn refund_book(&self, charge: ChargeId) -> Answer<'_, ()> {
        told(async move { self.write(REFUND, vec![text(charge.as_str())]).await.map(drop) })
    }
}

/// A statement and its values.
type Change = (&'static str, Vec<Value>);

impl Rows {
    /// What is due arrives, then a change is made; gives the charge as it stands then.
    async fn turn(
        &self,
        charge: ChargeId,
        now: Millis,
        change: Option<Change>,
    ) -> Result<Option<Book>, MysqlError> {
        let mut tries = Tries::new();
        loop {
            let mut conn = self.begin().await?;
            let done = turn(&mut conn, charge, now, &change).await;
            if let Some(done) = tries.settle(conn, done).await? {
                return Ok(done);
            }
        }
    }
}

async fn turn(
    conn: &mut Pooled,
    charge: ChargeId,
    now: Millis,
    change: &Option<Change>,
) -> Result<Option<Book>, MysqlError> {
    conn.write(ARRIVE, vec![text(charge.as_str()), Value::UInt(now.0)])
        .await?;
    if let Some((sql, values)) = change {
        conn.write(sql, values.clone()).await?;
    }
    let found = conn.rows(FIND, vec![text(charge.as_str())]).await?;
    found.first().map(book).transpose()
}

fn book(row: &Row) -> Result<Book, MysqlError> {
    let mut row = Columns::of(row);
    let (amount, currency) = (row.next()?, row.next::<Vec<u8>>()?);
    let standing: String = row.next()?;
    let pays_at = row.next::<Option<u64>>()?.map(Millis);
    Book::read(amount, &currency, &standing, pays_at).ok_or_else(|| row.strange())
}
