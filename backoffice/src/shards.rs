//! The way from the backoffice to the shards: a command in, the durable answer out.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use tidegate_shard_core::{Command, Outcome};

/// The shards did not decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotDecided {
    /// Certainly not done: the shard was not asked, or refused to look at it now. The same command may be sent again.
    NotDone,
    /// Decided perhaps, but not known to be durable. Send the same command, with the same ids, again.
    Unknown,
}

impl fmt::Display for NotDecided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotDecided::NotDone => "the shard does not take commands now",
            NotDecided::Unknown => "the shard has not answered in time",
        })
    }
}

impl std::error::Error for NotDecided {}

/// What [`Shards::ask`] gives.
pub type Asked<'a> = Pin<Box<dyn Future<Output = Result<Outcome, NotDecided>> + Send + 'a>>;

/// Takes commands to the shards. What it answers is durable.
pub trait Shards: Send + Sync + 'static {
    /// Asks the shard that a command belongs to.
    fn ask(&self, command: Command) -> Asked<'_>;
}
