//! Cells of rows as what they mean. One that this program did not write is an error that names its column.

use rusqlite::Row;
use rusqlite::types::Type;

/// A number below 2^63.
pub(super) fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.cast_unsigned())
}

/// A word that `parse` reads.
pub(super) fn parsed<T>(
    row: &Row<'_>,
    column: usize,
    parse: impl FnOnce(&str) -> Option<T>,
) -> rusqlite::Result<T> {
    let word = row.get_ref(column)?.as_str()?;
    parse(word).ok_or_else(|| wrong(column, format!("{word:?} is no word of the store's")))
}

/// ISO 4217 letters.
pub(super) fn letters(row: &Row<'_>, column: usize) -> rusqlite::Result<[u8; 3]> {
    parsed(row, column, |word| word.as_bytes().try_into().ok())
}

/// A cell is not what this program writes.
pub(super) fn wrong(
    column: usize,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
}
