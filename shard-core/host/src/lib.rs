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

mod background;
pub mod clock;
pub mod config;
pub mod disk;
mod feed;
pub mod host;
mod keeper;
pub mod knobs;
pub mod limits;
mod lock;
pub mod os_files;
pub mod port;
mod resting;
mod scrub;
mod shared;
mod slots;
pub mod start_error;
pub mod stats;
mod thread;

pub use background::give_way;
pub use config::{HostConfig, WriterChoice};
pub use feed::{Feeder, HostFeed};
pub use host::{Failure, Host, Progress};
pub use knobs::Knobs;
pub use port::{Answer, Event, NetPort, Request, StageTimes, StockRow, Unavailable};
pub use resting::Resting;
pub use scrub::ScrubStats;
pub use start_error::StartError;
pub use stats::ThreadStats;
/// The store of a data directory that feeds none.
pub use tidegate_node::{Durability, NO_STORE};
