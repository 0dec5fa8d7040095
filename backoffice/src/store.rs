//! The store that follows the log: orders, lines, history and SKUs as rows, and how far each shard was followed.

mod apply;
pub mod copy;
pub mod reader;
mod sqlite;

pub use sqlite::Sqlite;
