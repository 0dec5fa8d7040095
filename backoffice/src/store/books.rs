//! The books of the provider `simulated`.

use rusqlite::{Connection, OptionalExtension, params};
use tidegate_rows::{Answer, Book, Books, Decision};
use tidegate_shard_core::{ChargeId, Millis};

use super::Sqlite;
use super::cells::{number, wrong};

impl Books for Sqlite {
    fn open_book(&self, charge: ChargeId, amount: u64, currency: [u8; 3]) -> Answer<'_, ()> {
        self.writing(move |connection| {
            let letters = std::str::from_utf8(&currency).unwrap_or_default();
            connection
                .prepare_cached(
                    "INSERT INTO simulated_charges (charge, amount, currency, standing) VALUES (?1, ?2, ?3, 'open')
                     ON CONFLICT DO NOTHING",
                )?
                .execute(params![charge.as_str(), amount as i64, letters])
                .map(drop)
        })
    }

    fn book(&self, charge: ChargeId, now: Millis) -> Answer<'_, Option<Book>> {
        self.writing(move |connection| {
            arrive(connection, &charge, now)?;
            find(connection, &charge)
        })
    }

    fn decide_book(&self, charge: ChargeId, decision: Decision, now: Millis) -> Answer<'_, Option<Book>> {
        let (word, pays_at) = match decision {
            Decision::Pay => ("paid", None),
            Decision::PayAt(at) => ("open", Some(at.0 as i64)),
            Decision::Decline => ("declined", None),
        };
        self.writing(move |connection| {
            arrive(connection, &charge, now)?;
            connection
                .prepare_cached(
                    "UPDATE simulated_charges SET standing = ?2, pays_at = ?3
                     WHERE charge = ?1 AND standing = 'open' AND pays_at IS NULL",
                )?
                .execute(params![charge.as_str(), word, pays_at])?;
            find(connection, &charge)
        })
    }

    fn close_book(&self, charge: ChargeId, now: Millis) -> Answer<'_, Option<Book>> {
        self.writing(move |connection| {
            arrive(connection, &charge, now)?;
            connection
                .prepare_cached(
                    "INSERT INTO simulated_charges (charge, amount, currency, standing) VALUES (?1, 0, 'XXX', 'closed')
                     ON CONFLICT DO UPDATE SET standing = 'closed', pays_at = NULL WHERE standing = 'open'",
                )?
                .execute([charge.as_str()])?;
            find(connection, &charge)
        })
    }

    fn refund_book(&self, charge: ChargeId) -> Answer<'_, ()> {
        self.writing(move |connection| {
            connection
                .prepare_cached("UPDATE simulated_charges SET standing = 'refunded' WHERE charge = ?1 AND standing = 'paid'")?
                .execute([charge.as_str()])
                .map(drop)
        })
    }
}

/// A delayed payment arrives once its time has come.
fn arrive(connection: &Connection, charge: &ChargeId, now: Millis) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE simulated_charges SET standing = 'paid', pays_at = NULL
             WHERE charge = ?1 AND standing = 'open' AND pays_at <= ?2",
        )?
        .execute(params![charge.as_str(), now.0 as i64])
        .map(drop)
}

fn find(connection: &Connection, charge: &ChargeId) -> rusqlite::Result<Option<Book>> {
    connection
        .prepare_cached(
            "SELECT amount, currency, standing, pays_at FROM simulated_charges WHERE charge = ?1",
        )?
        .query_row([charge.as_str()], |row| {
            let pays_at = row.get::<_, Option<i64>>(3)?;
            let (currency, standing): (String, String) = (row.get(1)?, row.get(2)?);
            let pays_at = pays_at.map(|at| Millis(at.cast_unsigned()));
            Book::read(number(row, 0)?, currency.as_bytes(), &standing, pays_at)
                .ok_or_else(|| wrong(2, format!("no charge of the books: {currency:?} {standing:?}")))
        })
        .optional()
}
