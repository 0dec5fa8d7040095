//! What stands behind the edge: the store that follows the log, payments, lists and the catalogue.
//!
//! It runs on a tokio runtime of its own, embedded in the gateway's process or in one of its own; nothing here is on the path of
//! a 201.

pub mod api;
pub mod catalogue;
#[cfg(feature = "sqlite")]
pub mod database;
pub mod dumped;
pub mod feed;
mod nearest;
mod orders;
pub mod pay;
pub mod shards;
pub mod shop;
mod skus;
#[cfg(feature = "sqlite")]
pub mod store;
pub mod time;

#[cfg(all(test, feature = "sqlite"))]
mod testing;
