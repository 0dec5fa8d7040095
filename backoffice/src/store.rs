//! The store that follows the log: orders, lines, history and SKUs as rows, and how far each shard was followed; and beside these what the
//! shop keeps in it.

mod apply;
mod books;
mod cells;
mod charges;
pub mod copy;
mod imports;
mod orders;
pub mod reader;
mod skus;
mod sqlite;
#[cfg(test)]
mod tests;

pub use sqlite::Sqlite;
