//! Drives every unfinished charge on: after a crash, a lost callback, a provider or a shard that did not answer.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use tidegate_rows::RowsError;

use crate::pay::drive::Stuck;
use crate::pay::{Charge, Payments};

/// Charges in one round at most.
const BATCH: usize = 64;
/// Charges driven side by side: the provider is another company's server.
const AT_ONCE: usize = 8;
/// The longest rest between two rounds; what becomes due sooner, or is told, ends it.
const REST_MAX: Duration = Duration::from_secs(5);
/// The shortest, so that a charge that stays due does not make the job spin.
const REST_MIN: Duration = Duration::from_millis(100);
/// First and longest pause before a step that failed is taken again.
const RETRY_MS: (u64, u64) = (500, 30_000);

impl Payments {
    /// Runs until it is dropped. Dropping it at any moment loses nothing.
    pub async fn recover(&self) {
        loop {
            if let Err(error) = self.recover_once().await {
                tracing::warn!(%error, "unfinished charges could not be read");
            }
            let rest = self.rest().await;
            // The pause is what bounds the rate of rounds; being told only shortens what is beyond it.
            tokio::time::sleep(REST_MIN).await;
            _ = tokio::time::timeout(rest, self.wake.notified()).await;
        }
    }

    /// One round over what is due; how many charges it looked at.
    pub(super) async fn recover_once(&self) -> Result<usize, RowsError> {
        let due = self.rows.due_charges(self.now(), BATCH).await?;
        let count = due.len();
        stream::iter(due)
            .for_each_concurrent(AT_ONCE, |charge| self.try_on(charge))
            .await;
        Ok(count)
    }

    async fn try_on(&self, charge: Charge) {
        let Err(stuck) = self.drive(charge.id).await else {
            return;
        };
        if !matches!(stuck, Stuck::Refused(_)) {
            tracing::warn!(charge = charge.id.as_str(), error = %stuck, "a charge does not move on; it is tried again");
        }
        let pause = (RETRY_MS.0 << charge.attempts.min(10)).min(RETRY_MS.1);
        // It may have moved before it got stuck.
        let postponed = self.rows.retry_charge(charge.id, self.now().after(pause));
        if let Err(error) = postponed.await {
            tracing::warn!(charge = charge.id.as_str(), %error, "a charge could not be postponed");
        }
    }

    async fn rest(&self) -> Duration {
        match self.rows.next_charge_due().await {
            Ok(Some(at)) => Duration::from_millis(at.0.saturating_sub(self.now().0)).min(REST_MAX),
            Ok(None) | Err(_) => REST_MAX,
        }
    }
}
