//! What a follower writes to: a store with rows, and a bus before it.

use std::fmt;

use crate::{Mark, Parted, Record};

/// Why a batch was not taken.
#[derive(Debug)]
pub enum StoreError<E> {
    /// A shard's history is not the store's: it must stop. Nothing of the batch was written.
    Parted(Parted),
    /// An entry that this version cannot read. Nothing of the batch was written.
    Unreadable {
        /// The record's mark.
        mark: Mark,
        /// Why.
        why: String,
    },
    /// The store could not do it now, or its answer was lost: hand the same batch in again.
    Failed(E),
}

impl<E: fmt::Display> fmt::Display for StoreError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Parted(parted) => parted.fmt(f),
            StoreError::Unreadable { mark, why } => write!(
                f,
                "shard {}, op {}: the store cannot read this entry ({why}): run the version that wrote it",
                mark.shard, mark.op
            ),
            StoreError::Failed(error) => error.fmt(f),
        }
    }
}

impl<E> StoreError<E> {
    /// The shard that the store cannot follow, and that must stop; none when the same batch may be handed in again.
    #[must_use]
    pub fn shard(&self) -> Option<u16> {
        match self {
            StoreError::Parted(Parted::Gap { have, .. } | Parted::OtherContent { have, .. }) => {
                Some(have.shard)
            }
            StoreError::Unreadable { mark, .. } => Some(mark.shard),
            StoreError::Failed(_) => None,
        }
    }

    /// With the store's own error as another type's.
    pub fn map<F>(self, other: impl FnOnce(E) -> F) -> StoreError<F> {
        match self {
            StoreError::Parted(parted) => StoreError::Parted(parted),
            StoreError::Unreadable { mark, why } => StoreError::Unreadable { mark, why },
            StoreError::Failed(error) => StoreError::Failed(other(error)),
        }
    }
}

/// Keeps what shards have logged as rows, and how far it has each shard.
pub trait Store {
    /// What can go wrong with it for a while.
    type Error;

    /// How far it has each shard; a shard without a mark was never followed.
    ///
    /// # Errors
    /// It cannot be read now.
    fn marks(&mut self) -> Result<Vec<Mark>, Self::Error>;

    /// Takes the next records of any number of shards, each shard's in the order of its ops: rows and marks in ONE transaction. What it has
    /// already changes nothing, so a batch may be handed in again. When it returns, all of it is durable.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was written then, unless the answer to a commit was lost.
    fn apply(&mut self, batch: &[Record]) -> Result<(), StoreError<Self::Error>>;
}

/// Where entries go before the store. A bus of its own (a topic a group of shards, a transaction a batch) publishes first and moves
/// its mark when the transaction committed; the store then consumes it. In one process the store is the bus: what is applied is published.
pub trait Bus {
    /// What can go wrong with it for a while.
    type Error;

    /// Publishes records, each shard's in the order of its ops. What was published already is left out.
    ///
    /// # Errors
    /// [`StoreError`]; a batch may be handed in again.
    fn publish(&mut self, batch: &[Record]) -> Result<(), StoreError<Self::Error>>;
}
