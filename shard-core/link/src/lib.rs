//! What two threads of Tidegate share: rings, bells and counters. The only lock-free code of the workspace.
//!
//! - [`ring`]: a bounded queue with one writer and one reader; items become visible a batch at a time.
//! - [`bell`]: wakes a thread that said it would sleep, and costs one load when it did not.
//! - [`mesh`]: every ring and bell between the net threads and the shard threads, made in one place.
//! - [`stats`]: counters and histograms with one writer and any number of readers.
//!
//! The protocols of ring and bell are explored by loom: `shard-core/link/loom.sh`.

pub mod bell;
pub mod limits;
pub mod mesh;
pub mod ring;
pub mod stats;
mod sync;

pub use bell::Bell;
pub use mesh::{Mesh, NetEnd, ShardEnd};
pub use ring::{Consumer, Producer, ring};
