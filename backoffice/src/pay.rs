//! Payments: an order is paid by a charge, which a provider collects and a shard decides about.
//!
//! ```text
//! created ──► started ──► approved ──► paid
//!    │           │  ▲         │
//!    │           ▼  │         └──► refund_due ──► refunded
//!    └──────► declined ──► closed
//! ```
//!
//! A charge is a row before a shard or a provider hears of it, every step is idempotent on both sides, and a row moves on only
//! after its step is durable there. So a step that was cut off is simply taken again: by the request that made the charge, by a
//! callback, or by the recovery job, in any order and at the same time. What was paid after its charge had been closed goes to
//! `approved` as well: the order of the shard's log decides whether it pays the order or is refunded.

mod callback;
mod drive;
mod provider;
mod recovery;
mod simulated;

#[cfg(all(test, feature = "sqlite"))]
mod tests;

use std::sync::Arc;

use tidegate_rows::{Rows, RowsError};
use tidegate_shard_core::outcome::Bound;
use tidegate_shard_core::{ChargeId, Millis, OrderView, Refusal};
use tokio::sync::Notify;

use crate::shards::Shards;
use crate::time::Clock;

pub use callback::CallbackRefused;
pub use drive::Stuck;
pub use provider::{Asking, ChargeRequest, Doing, Notice, Provider, ProviderError};
pub use simulated::{Simulated, SimulatedAction};
pub use tidegate_rows::{Book, Charge, ChargeStatus, Standing};

/// Everything that has to do with charges.
pub struct Payments {
    rows: Arc<dyn Rows>,
    shards: Arc<dyn Shards>,
    provider: Arc<dyn Provider>,
    clock: Clock,
    /// Something is due before the recovery job's next round.
    wake: Notify,
}

impl std::fmt::Debug for Payments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Payments")
            .field("provider", &self.provider.name())
            .finish_non_exhaustive()
    }
}

/// A charge is closed this long before its order's `pay_by`, or an eighth of the order's time where that is shorter: enough for
/// a few tries to reach the provider before the stock is released.
const CLOSE_MARGIN_MS: u64 = 10_000;

impl Payments {
    /// Payments by one provider.
    #[must_use]
    pub fn new(
        rows: Arc<dyn Rows>,
        shards: Arc<dyn Shards>,
        provider: Arc<dyn Provider>,
        clock: Clock,
    ) -> Payments {
        Payments {
            rows,
            shards,
            provider,
            clock,
            wake: Notify::new(),
        }
    }

    /// The charge under way for an order, or a new one; whether it was there before. A charge that is being closed is closed first.
    ///
    /// # Errors
    /// [`Stuck::Refused`]: the shard's word why there can be none. Otherwise the charge may have been made: ask again, and the
    /// same one is found.
    pub async fn pay(&self, order: &OrderView) -> Result<(Charge, bool), Stuck> {
        let (mut charge, mut repeated) = self.open(order).await?;
        if charge.status == ChargeStatus::Declined {
            self.drive(charge.id).await?;
            (charge, repeated) = self.open(order).await?;
        }
        if charge.status == ChargeStatus::Started
            && charge.payment_url.is_some()
            && self.now() < charge.close_at
        {
            return Ok((charge, repeated));
        }
        Ok((self.drive(charge.id).await?, repeated))
    }

    async fn open(&self, order: &OrderView) -> Result<(Charge, bool), Stuck> {
        let charge = Charge {
            id: new_id()?,
            order: order.id,
            amount: order.total,
            currency: order.currency,
            provider: self.provider.name().to_owned(),
            status: ChargeStatus::Created,
            payment_url: None,
            close_at: close_at(order),
            attempts: 0,
        };
        self.rows
            .open_charge(charge, self.now())
            .await?
            .ok_or(Stuck::Refused(Refusal::Bound(Bound::Charges)))
    }

    /// A charge by its id.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn find(&self, id: ChargeId) -> Result<Option<Charge>, RowsError> {
        self.rows.charge(id).await
    }

    fn now(&self) -> Millis {
        (self.clock)()
    }
}

fn close_at(order: &OrderView) -> Millis {
    let time = order.pay_by.0.saturating_sub(order.created.0);
    Millis(order.pay_by.0.saturating_sub(CLOSE_MARGIN_MS.min(time / 8)))
}

/// `ch_` and 128 bits from the system: who has not been told a charge's id cannot open its page.
fn new_id() -> Result<ChargeId, Stuck> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).map_err(|error| Stuck::Provider(ProviderError::unreachable(error)))?;
    let text = format!("ch_{:032x}", u128::from_be_bytes(bits));
    Ok(ChargeId::parse(text.as_bytes()).expect("35 graphic characters"))
}
