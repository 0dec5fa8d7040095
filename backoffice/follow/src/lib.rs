//! What follows the log, pure: entries in, changes of rows and marks out. No store, no runtime, no clock: the simulation runs it as it
//! is.

mod change;
mod check;
mod follower;
mod mark;
mod record;
mod rows;
mod step;
mod store;

pub use change::Change;
pub use check::{Next, Parted, check};
pub use follower::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Follower, NoBus, Stuck};
pub use mark::Mark;
pub use record::Record;
pub use rows::{OrderRow, OrderRows};
pub use step::Step;
pub use store::{Bus, Store, StoreError};
