//! SKUs as the store has them.

use rusqlite::{Connection, Row, params};
use serde::Serialize;

use crate::time::rfc3339;
use tidegate_shard_core::Millis;

/// A SKU's settings. Units that can be ordered are the shards' to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sku {
    /// Its name for programs.
    pub sku: String,
    /// Its name for people.
    pub name: String,
    /// In minor units.
    pub price: u64,
    /// ISO 4217 letters.
    pub currency: String,
    /// Units ever put on sale.
    pub stock: u64,
    /// Units a buyer may hold and have bought.
    pub buyer_limit: Option<u32>,
    /// `sku` or `group`.
    pub limit_scope: String,
    /// First moment of the sale.
    pub sale_start: Option<String>,
    /// First moment after the sale.
    pub sale_end: Option<String>,
    /// How long an unpaid order holds its stock.
    pub hold_seconds: u32,
    /// Orders are refused for now.
    pub paused: bool,
}

const COLUMNS: &str =
    "sku, name, price, currency, stocked, buyer_limit, limit_scope, sale_start, sale_end, hold_ms, paused";

/// A page of SKUs after one, by name for programs: `limit` at most, and one more if there is one. `search` is found at the beginning of that
/// name, or anywhere in the one for people.
pub fn list(
    connection: &Connection,
    search: Option<&str>,
    after: &str,
    limit: usize,
) -> rusqlite::Result<Vec<Sku>> {
    let escaped = search.map(escaped).unwrap_or_default();
    let (prefix, anywhere) = (format!("{escaped}%"), format!("%{escaped}%"));
    let sql = format!(
        "SELECT {COLUMNS} FROM skus WHERE sku > ?1 AND (sku LIKE ?2 ESCAPE '\\' OR name LIKE ?3 ESCAPE '\\') ORDER BY sku LIMIT ?4"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params![after, prefix, anywhere, limit as i64 + 1], read)?;
    rows.collect()
}

/// What a pattern of LIKE means by itself.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

fn read(row: &Row<'_>) -> rusqlite::Result<Sku> {
    let time = |column| -> rusqlite::Result<Option<String>> {
        let at: Option<i64> = row.get(column)?;
        Ok(at.map(|at| rfc3339(Millis(at.cast_unsigned()))))
    };
    let hold_ms: u32 = row.get(9)?;
    Ok(Sku {
        sku: row.get(0)?,
        name: row.get(1)?,
        price: row.get::<_, i64>(2)?.cast_unsigned(),
        currency: row.get(3)?,
        stock: row.get::<_, i64>(4)?.cast_unsigned(),
        buyer_limit: row.get(5)?,
        limit_scope: row.get(6)?,
        sale_start: time(7)?,
        sale_end: time(8)?,
        hold_seconds: hold_ms / 1000,
        paused: row.get(10)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Sqlite;

    #[test]
    fn a_search_finds_the_beginning_of_a_sku_and_any_part_of_a_name_and_takes_signs_as_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&dir.path().join("store.db")).unwrap();
        let insert = |tx: &mut rusqlite::Savepoint<'_>| {
            for (sku, name) in [("A_1", "Red shoe"), ("AB1", "100% wool"), ("B-1", "Blue shoe")] {
                tx.execute(
                    "INSERT INTO skus VALUES (?1, ?2, 100, 'EUR', 5, NULL, 'sku', NULL, NULL, 900000, 0, 1)",
                    [sku, name],
                )?;
            }
            Ok(())
        };
        store.database().write(insert).unwrap();
        let found = |search: Option<&str>, after: &str, limit| -> Vec<String> {
            let page = store
                .database()
                .read(|tx| list(tx, search, after, limit))
                .unwrap();
            page.into_iter().map(|sku| sku.sku).collect()
        };
        assert_eq!(found(None, "", 9), ["AB1", "A_1", "B-1"]);
        assert_eq!(found(None, "AB1", 1), ["A_1", "B-1"], "one more than the page");
        assert_eq!(found(Some("A_"), "", 9), ["A_1"]);
        assert_eq!(found(Some("shoe"), "", 9), ["A_1", "B-1"]);
        assert_eq!(found(Some("%"), "", 9), ["AB1"]);
    }
}
