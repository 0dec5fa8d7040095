//! A store on MySQL or MariaDB that follows the log: orders, lines, history and SKUs as rows, and how far
//! each shard was followed. Beside these the shop keeps its charges and imports in it.
//!
//! - [`Mysql`] writes. It implements `tidegate_follow::Store` on one connection and a runtime of its own, and blocks.
//! - [`Reader`] reads, asynchronously, on connections that only read; each of its statements ([`queries`]) goes by one index.
//! - [`Rows`] is all that the shop asks (`tidegate_rows::Rows`), by a [`Reader`] and connections that write. Any number of processes may have
//!   one on the same database: what two do at once is decided by conditions on the row that each saw, by unique keys, and by locks of rows.
//!
//! **A batch is one transaction.** The marks of its shards are locked first, so of two stores that bring in the same batch one waits, and
//! then finds it known. The entries are folded in memory onto the rows that they change: a row that a batch changes five times is written
//! once. What is written goes by prepared statements of up to 512 rows, within `max_allowed_packet`.
//!
//! **What fails is handed in again.** A deadlock, a lock that was waited for too long, a server that became read-only or was replaced, a
//! connection or an answer to COMMIT that was lost: `StoreError::Failed`. The next try waits a little (full jitter), on a new connection
//! where the old one cannot be trusted, and reads the marks, so nothing is doubled. Every wait has a bound in [`Settings`]. Only rows that
//! contradict an entry (a key that is there, a value that does not fit) stop its shard: the same batch would fail for ever.
//!
//! **What it survives is the server's setting.** With `innodb_flush_log_at_trx_commit = 1` (the default) a batch that was taken outlives
//! a crash of the server. A fail-over to a replica that did not have it loses rows and marks together, and the log brings both again, if it
//! still has them: it frees what a store has applied, so use semi-synchronous replication or a cluster.
//! Charges and imports are in no log: what a fail-over loses of them is lost, and a charge that the provider collected has no row then.
//!
//! **Servers.** The tests run on MariaDB 10.11. Of SQL nothing is used that MySQL 8.0 lacks, but on that they have not been run. A server
//! with a binary log needs `binlog_format` ROW or MIXED (the defaults), since the store reads committed rows only. TLS, with roots of one's
//! own if need be, is asked for in [`Settings`]; the driver is built without OpenSSL.
//!
//! The database belongs to the store alone; its user needs `ALL` on it, and no more. The tables are made and altered at the start, one
//! starter at a time.

mod batch;
mod columns;
mod error;
mod facts;
pub mod fences;
mod fold;
mod pooled;
pub mod queries;
mod read;
mod rows;
mod schema;
mod session;
mod settings;
mod statement;
mod store;

pub use error::MysqlError;
pub use facts::{Facts, Tables, facts};
pub use read::{Dump, OrderRead, PAGE_MAX, Reader, StoreMarks};
pub use rows::Rows;
pub use settings::Settings;
pub use store::Mysql;
