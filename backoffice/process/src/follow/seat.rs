//! One stream of entries at a time: the newest has the seat.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// The seat.
#[derive(Debug, Default)]
pub(super) struct Seat {
    /// Of the newest stream that came.
    newest: Mutex<CancellationToken>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// Whoever has this publishes. The next one waits until it is dropped: two threads of a process never publish the same shards.
#[derive(Debug)]
pub(super) struct Taken {
    over: CancellationToken,
    _turn: OwnedMutexGuard<()>,
}

impl Taken {
    /// Cancelled when the stream is to end.
    pub(super) fn over(&self) -> CancellationToken {
        self.over.clone()
    }
}

impl Seat {
    /// Ends the stream that is there, and waits until it has ended.
    ///
    /// # Errors
    /// A still newer stream came meanwhile.
    pub(super) async fn take(&self) -> Result<Taken, Status> {
        let over = CancellationToken::new();
        let before = std::mem::replace(
            &mut *self.newest.lock().unwrap_or_else(PoisonError::into_inner),
            over.clone(),
        );
        before.cancel();
        let turn = Arc::clone(&self.turn).lock_owned().await;
        match over.is_cancelled() {
            true => Err(Status::aborted("a newer stream of this store goes on")),
            false => Ok(Taken { over, _turn: turn }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_newest_has_the_seat_once_the_one_before_has_left_it() {
        let seat = Arc::new(Seat::default());
        let first = seat.take().await.unwrap();
        let later = |seat: &Arc<Seat>| {
            let seat = Arc::clone(seat);
            tokio::spawn(async move { seat.take().await })
        };
        let second = later(&seat);
        first.over().cancelled().await;
        let third = later(&seat);
        tokio::task::yield_now().await;
        assert!(!second.is_finished() && !third.is_finished());
        drop(first);
        assert!(
            second.await.unwrap().is_err(),
            "it was never served: a newer one came"
        );
        let third = third.await.unwrap().unwrap();
        assert!(!third.over().is_cancelled());
    }
}
