//! SKUs, as the shop reads them.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, Row, params};
use tidegate_rows::{Answer, SEARCH_ESCAPE, Skus, escaped};
use tidegate_shard_core::command::LimitScope;
use tidegate_shard_core::entry::SkuPut;
use tidegate_shard_core::{Millis, SkuName};

use super::Sqlite;
use super::cells::{letters, number, parsed};

impl Skus for Sqlite {
    fn skus(&self, search: Option<String>, after: String, rows: usize) -> Answer<'_, Vec<SkuPut>> {
        self.reading(move |connection| list(connection, search.as_deref(), &after, rows))
    }

    fn known_skus(&self, skus: Vec<SkuName>) -> Answer<'_, HashSet<SkuName>> {
        self.reading(move |connection| known(connection, skus))
    }
}

const COLUMNS: &str =
    "sku, name, price, currency, stocked, buyer_limit, limit_scope, sale_start, sale_end, hold_ms, paused";

fn list(
    connection: &Connection,
    search: Option<&str>,
    after: &str,
    rows: usize,
) -> rusqlite::Result<Vec<SkuPut>> {
    let escaped = search.map(escaped).unwrap_or_default();
    let (prefix, anywhere) = (format!("{escaped}%"), format!("%{escaped}%"));
    let sql = format!(
        "SELECT {COLUMNS} FROM skus WHERE sku > ?1 AND (sku LIKE ?2 ESCAPE '{SEARCH_ESCAPE}' OR name LIKE ?3 ESCAPE '{SEARCH_ESCAPE}') \
         ORDER BY sku LIMIT ?4"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params![after, prefix, anywhere, rows as i64], read)?;
    rows.collect()
}

fn known(connection: &Connection, skus: Vec<SkuName>) -> rusqlite::Result<HashSet<SkuName>> {
    let mut statement = connection.prepare_cached("SELECT 1 FROM skus WHERE sku = ?1")?;
    let mut known = HashSet::new();
    for sku in skus {
        if statement
            .query_row([sku.as_str()], |_| Ok(()))
            .optional()?
            .is_some()
        {
            known.insert(sku);
        }
    }
    Ok(known)
}

fn read(row: &Row<'_>) -> rusqlite::Result<SkuPut> {
    let time = |column| -> rusqlite::Result<Option<Millis>> {
        let at: Option<i64> = row.get(column)?;
        Ok(at.map(|at| Millis(at.cast_unsigned())))
    };
    Ok(SkuPut {
        sku: parsed(row, 0, |word| word.parse().ok())?,
        name: row.get::<_, String>(1)?.into(),
        price: number(row, 2)?,
        currency: letters(row, 3)?,
        stocked: number(row, 4)?,
        buyer_limit: row.get(5)?,
        limit_scope: parsed(row, 6, |word| match word {
            "sku" => Some(LimitScope::Sku),
            "group" => Some(LimitScope::Group),
            _ => None,
        })?,
        sale_start: time(7)?,
        sale_end: time(8)?,
        hold_ms: row.get(9)?,
        paused: row.get(10)?,
    })
}
