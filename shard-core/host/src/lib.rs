//! The real shard threads of Tidegate: what gives the pure engine ([`tidegate_node`]) a clock, a disk and
//! neighbours.
//!
//! [`Host::start`] locks the data directory, recovers, and starts the shard threads. It returns one
//! [`NetPort`] for each net thread: requests go in, [`Event`]s come out once what they depend on is durable.
//!
//! ```text
//!  NetPort ──ring──► shard thread: drain → decide → apply → append ─► DiskWriter (write + sync)
//!     ▲                                                                   │
//!     └──────────────ring, one bell a batch ◄── replies, gated ◄──────────┘
//! ```

pub mod config;
pub mod host;
pub mod limits;
pub mod port;
mod stand_in;
pub mod stats;

pub use config::{HostConfig, WriterChoice};
pub use host::{Failure, Host, Progress, StartError};
pub use port::{Answer, Event, NetPort, Request, StageTimes, StockRow, Unavailable};
pub use stats::ThreadStats;
