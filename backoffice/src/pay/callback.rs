//! What a provider tells us by itself. It may come late, twice, in any order, or never.

use std::fmt;

use rusqlite::Connection;
use tidegate_shard_core::ChargeId;

use crate::database::DatabaseError;
use crate::pay::charge::{Charge, ChargeStatus};
use crate::pay::provider::{Asking, Notice, ProviderError, Standing};
use crate::pay::{Payments, ledger};

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
    Store(DatabaseError),
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
        let (raw, now) = (asking.raw.to_vec(), self.now());
        let taken = self
            .database
            .write_async(move |tx| {
                let Some(charge) = ledger::find(tx, &notice.charge)? else {
                    return Ok(Err(CallbackRefused::UnknownCharge));
                };
                // Of an open charge the provider is asked again; a closed one nobody asks about, so what came for it goes back.
                let is_over = matches!(charge.status, ChargeStatus::Closed | ChargeStatus::Declined);
                if is_other_money(&charge, &notice) && !is_over {
                    return Ok(Err(CallbackRefused::WrongAmount));
                }
                ledger::record_callback(tx, &charge, &raw, now)?;
                take(tx, &charge, &notice, now).map(Ok)
            })
            .await
            .map_err(CallbackRefused::Store)?;
        taken?;
        self.wake.notify_one();
        Ok(notice.charge)
    }
}

/// Paid, but not what was asked for.
fn is_other_money(charge: &Charge, notice: &Notice) -> bool {
    matches!(notice.standing, Standing::Paid { amount, currency } if (amount, currency) != (charge.amount, charge.currency))
}

/// Money is believed whatever was said before; a "no" only while nothing else is known.
fn take(
    connection: &Connection,
    charge: &Charge,
    notice: &Notice,
    now: tidegate_shard_core::Millis,
) -> rusqlite::Result<()> {
    use ChargeStatus::{Approved, Closed, Created, Declined, RefundDue, Started};
    let to = match (notice.standing, charge.status) {
        (Standing::Paid { .. }, Closed | Declined) if is_other_money(charge, notice) => RefundDue,
        (Standing::Paid { .. }, Created | Started | Declined | Closed) => Approved,
        (Standing::Declined | Standing::Closed, Created | Started) => Declined,
        _ => return Ok(()),
    };
    ledger::advance(connection, &charge.id, charge.status, to, now)
}
