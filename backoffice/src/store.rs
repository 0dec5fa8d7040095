//! The store that follows the log: orders, lines, history and SKUs as rows, and how far each shard was followed.

mod apply;
mod dump;
mod sqlite;

pub use dump::{DumpedLine, DumpedOrder};
pub use sqlite::{FILE, Sqlite};
