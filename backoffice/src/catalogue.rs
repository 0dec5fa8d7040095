//! The catalogue in bulk: a file of CSV (RFC 4180) comes in parts, is checked as a whole, and is applied line by line.
//!
//! ```text
//! uploading ──► applying ──► done
//! ```
//!
//! Nothing of a file with a bad line is applied. A line is applied by the shard of its SKU as a `PUT` is, and how many lines have their outcome is a row of
//! the store: after a crash the import goes on there. The lines whose outcome was on its way to the store are applied once more, and a line that sets what is
//! set already changes nothing.

mod columns;
mod imports;
mod part;
mod run;

#[cfg(all(test, feature = "sqlite"))]
mod tests;

pub use columns::COLUMNS;
pub use imports::{Checked, ImportError, Imports, LINES_MAX, PARTS_MAX};
pub use part::BadLine;
pub use tidegate_rows::{Failure, ImportRow, ImportState};
