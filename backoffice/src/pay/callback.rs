//! What a provider tells us by itself. It may come late, twice, in any order, or never.

use std::fmt;

use tidegate_rows::{Callback, Charge, ChargeStatus, RowsError, Standing};
use tidegate_shard_core::ChargeId;

use crate::pay::Payments;
use crate::pay::provider::{Asking, Notice, ProviderError};

/// Why a callback was not taken. Nothing was changed by it.
#[derive(Debug)]
pub enum CallbackRefused {
    /// Not the provider's, or the provider could not say.
    Provider(ProviderError),
    /// About a charge that we do not have.
    UnknownCharge,
    /// About other money than was asked for.
    WrongAmount,
    /// It could not be kept: the provider has to repeat it.
    Store(RowsError),
}

impl fmt::Display for CallbackRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallbackRefused::Provider(error) => error.fmt(f),
            CallbackRefused::UnknownCharge => f.write_str("a callback for a charge that is not ours"),
            CallbackRefused::WrongAmount => f.write_str("a callback with another amount than was asked for"),
            CallbackRefused::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CallbackRefused {}

impl Payments {
    /// Takes a callback: once this returns, it is on disk verbatim, together with what it changed, and the provider may be
    /// answered. The shard is told by [`Payments::drive`] or the recovery job.
    ///
    /// # Errors
    /// It changes nothing.
    pub async fn callback(&self, asking: Asking<'_>) -> Result<ChargeId, CallbackRefused> {
        let notice = self
            .provider
            .notice(asking)
            .await
            .map_err(CallbackRefused::Provider)?;
        // A charge that moves on meanwhile is looked at again: it goes forward, so that ends.
        while !self.keep(&notice, asking.raw).await? {}
        self.wake.notify_one();
        Ok(notice.charge)
    }

    /// Keeps it, if its charge still stands where it was seen when that is done.
    async fn keep(&self, notice: &Notice, raw: &[u8]) -> Result<bool, CallbackRefused> {
        let found = self.rows.charge(notice.charge).await;
        let charge = found
            .map_err(CallbackRefused::Store)?
            .ok_or(CallbackRefused::UnknownCharge)?;
        // Of an open charge the provider is asked again; a closed one nobody asks about, so what came for it goes back.
        let is_over = matches!(charge.status, ChargeStatus::Closed | ChargeStatus::Declined);
        if is_other_money(&charge, notice) && !is_over {
            return Err(CallbackRefused::WrongAmount);
        }
        let callback = Callback {
            charge: charge.id,
            provider: charge.provider.clone(),
            raw: raw.to_vec(),
        };
        self.rows
            .keep_callback(callback, charge.status, becomes(&charge, notice), self.now())
            .await
            .map_err(CallbackRefused::Store)
    }
}

/// Paid, but not what was asked for.
fn is_other_money(charge: &Charge, notice: &Notice) -> bool {
    matches!(notice.standing, Standing::Paid { amount, currency } if (amount, currency) != (charge.amount, charge.currency))
}

/// Where the charge goes by it, if anywhere. Money is believed whatever was said before; a "no" only while nothing else is known.
fn becomes(charge: &Charge, notice: &Notice) -> Option<ChargeStatus> {
    use ChargeStatus::{Approved, Closed, Created, Declined, RefundDue, Started};
    match (notice.standing, charge.status) {
        (Standing::Paid { .. }, Closed | Declined) if is_other_money(charge, notice) => Some(RefundDue),
        (Standing::Paid { .. }, Created | Started | Declined | Closed) => Some(Approved),
        (Standing::Declined | Standing::Closed, Created | Started) => Some(Declined),
        _ => None,
    }
}
