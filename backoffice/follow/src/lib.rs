//! What follows the log, pure: entries in, changes of rows and marks out. No store, no runtime, no clock: the simulation runs it as it
//! is.

mod change;
mod check;
mod follower;
mod mark;
mod planted;
mod record;
mod rows;
mod source;
mod step;
mod store;
mod take_in;
#[cfg(test)]
mod testing;
mod turn;

pub use change::Change;
pub use check::{Next, Parted, check};
pub use follower::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Bounds, Follower, NoBus, Stuck};
pub use mark::Mark;
pub use planted::Planted;
pub use record::Record;
pub use rows::{OrderRow, OrderRows};
pub use source::{Fed, Source};
pub use step::Step;
pub use store::{Bus, Store, StoreError};
pub use take_in::take_in;
pub use turn::Turn;
