//! What follows the log: entries in, rows out.
//!
//! This version has no store behind the edge (`backoffice.mode = "none"`): the log keeps everything. What is here is the part that every
//! store will need and that is true without one: the fold of a shard's durable entries into rows of orders. It reads entries and the
//! words of an order's status from `tidegate-shard-core`, and nothing else.

mod rows;

pub use rows::{OrderRow, OrderRows};
