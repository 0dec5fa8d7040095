//! What follows the log, pure: entries in, rows out. No store, no runtime, no clock: the simulation runs it as it is.

mod rows;

pub use rows::{OrderRow, OrderRows};
