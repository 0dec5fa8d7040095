//! Takes a charge as far as it goes now: one function a status.

use std::fmt;

use tidegate_rows::{Charge, ChargeStatus, RowsError, Standing};
use tidegate_shard_core::outcome::{Bound, ChargeState};
use tidegate_shard_core::{Caller, ChargeId, Command, Millis, OrderStatus, Outcome, Refusal};

use crate::pay::Payments;
use crate::pay::provider::{ChargeRequest, ProviderError};
use crate::shards::NotDecided;

/// Callbacks may be lost, and an order may be cancelled: an open charge is looked at this often, well within the two minutes for
/// which a shard holds the stock of a closing order.
const QUERY_MS: u64 = 30_000;

/// Why a charge does not move on now. Except for a refusal of its start, the recovery job tries again.
#[derive(Debug)]
pub enum Stuck {
    /// The shard has not decided.
    Shards(NotDecided),
    /// The shard said no.
    Refused(Refusal),
    /// The provider has not answered.
    Provider(ProviderError),
    /// The store cannot be written or read.
    Store(RowsError),
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stuck::Shards(why) => why.fmt(f),
            Stuck::Refused(refusal) => write!(f, "the shard refused: {refusal:?}"),
            Stuck::Provider(error) => error.fmt(f),
            Stuck::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Stuck {}

impl From<NotDecided> for Stuck {
    fn from(why: NotDecided) -> Stuck {
        Stuck::Shards(why)
    }
}

impl From<ProviderError> for Stuck {
    fn from(error: ProviderError) -> Stuck {
        Stuck::Provider(error)
    }
}

impl From<RowsError> for Stuck {
    fn from(error: RowsError) -> Stuck {
        Stuck::Store(error)
    }
}

/// What a step came to.
enum Step {
    /// The charge stands elsewhere now.
    To(ChargeStatus),
    /// Nothing to do before then.
    Wait(Millis),
    /// The shard refused to start it.
    NotStarted(Refusal),
}

impl Payments {
    /// Takes a charge as far as it goes now, and gives it as it stands then.
    ///
    /// # Errors
    /// What it is stuck on. [`Stuck::Refused`] with the charge closed when the shard did not let it start.
    ///
    /// # Panics
    /// When the id was not given by [`Payments::pay`].
    pub async fn drive(&self, id: ChargeId) -> Result<Charge, Stuck> {
        loop {
            let charge = self.find(id).await?.expect("charges are never deleted");
            let seen = charge.status;
            let (to, refusal) = match self.step(&charge).await? {
                Step::To(status) => (status, None),
                Step::NotStarted(refusal) => (ChargeStatus::Closed, Some(refusal)),
                Step::Wait(until) => {
                    if !seen.ended() {
                        self.rows.postpone_charge(id, seen, until).await?;
                    }
                    return Ok(self.find(id).await?.unwrap_or(charge));
                }
            };
            self.rows.advance_charge(id, seen, to, self.now()).await?;
            if let Some(refusal) = refusal {
                return Err(Stuck::Refused(refusal));
            }
        }
    }

    async fn step(&self, charge: &Charge) -> Result<Step, Stuck> {
        match charge.status {
            ChargeStatus::Created => self.start(charge).await,
            ChargeStatus::Started => self.collect(charge).await,
            ChargeStatus::Approved => self.confirm(charge).await,
            ChargeStatus::Declined => self.close(charge).await,
            ChargeStatus::RefundDue => self.refund(charge).await,
            ChargeStatus::Paid | ChargeStatus::Closed | ChargeStatus::Refunded => {
                Ok(Step::Wait(Millis(u64::MAX)))
            }
        }
    }

    /// The shard logs the charge before the provider hears of it.
    async fn start(&self, charge: &Charge) -> Result<Step, Stuck> {
        let command = Command::StartPayment {
            order: charge.order,
            charge: charge.id,
        };
        match self.shards.ask(command).await? {
            Outcome::Refused(refusal @ (Refusal::Busy | Refusal::TryAgain)) => Err(Stuck::Refused(refusal)),
            // Somebody confirmed it by hand, or its money came late: what became of it is the shard's to say.
            Outcome::Refused(Refusal::RefundDue) => Ok(Step::To(ChargeStatus::Approved)),
            Outcome::Refused(refusal) => Ok(Step::NotStarted(refusal)),
            _ => Ok(Step::To(ChargeStatus::Started)),
        }
    }

    /// Waits for the buyer, and ends the wait in time.
    async fn collect(&self, charge: &Charge) -> Result<Step, Stuck> {
        let now = self.now();
        if charge.payment_url.is_none() && now < charge.close_at {
            let request = ChargeRequest {
                charge: charge.id,
                amount: charge.amount,
                currency: charge.currency,
                subject: format!("Order {}", charge.order),
            };
            let url = self.provider.create(&request).await?;
            self.rows.note_payment_url(charge.id, url).await?;
        }
        match self.provider.query(charge.id).await? {
            Standing::Unknown | Standing::Open => {}
            standing => return Ok(Step::To(collected(charge, standing))),
        }
        if now < charge.close_at && !self.order_ends(charge).await? {
            return Ok(Step::Wait(now.after(QUERY_MS).min(charge.close_at)));
        }
        let standing = self.provider.close(charge.id).await?;
        Ok(Step::To(collected(charge, standing)))
    }

    /// The order is waiting for this charge to end, or has ended without it.
    async fn order_ends(&self, charge: &Charge) -> Result<bool, Stuck> {
        let read = Command::ReadOrder {
            order: charge.order,
            caller: Caller::Operator,
        };
        Ok(match self.shards.ask(read).await? {
            Outcome::Order(view) => {
                view.status != OrderStatus::Pending || view.charge == ChargeState::Closing
            }
            Outcome::Refused(Refusal::UnknownOrder) => true,
            Outcome::Refused(refusal) => return Err(Stuck::Refused(refusal)),
            _ => false,
        })
    }

    /// The shard decides whether the money pays the order.
    async fn confirm(&self, charge: &Charge) -> Result<Step, Stuck> {
        let command = Command::Confirm {
            order: charge.order,
            charge: charge.id,
        };
        Ok(Step::To(match self.shards.ask(command).await? {
            Outcome::Refused(
                Refusal::RefundDue | Refusal::AlreadyPaid { .. } | Refusal::Bound(Bound::Charges),
            ) => ChargeStatus::RefundDue,
            // It left the shard's memory, which it does only after the store has its end.
            Outcome::Refused(Refusal::UnknownOrder) => self.stored_end(charge).await?,
            Outcome::Refused(refusal) => return Err(Stuck::Refused(refusal)),
            _ => ChargeStatus::Paid,
        }))
    }

    async fn stored_end(&self, charge: &Charge) -> Result<ChargeStatus, Stuck> {
        let order = self.rows.order(charge.order).await?;
        let paid = order.is_some_and(|order| {
            order.status == Some(OrderStatus::Confirmed) && order.charge == Some(charge.id)
        });
        Ok(match paid {
            true => ChargeStatus::Paid,
            false => ChargeStatus::RefundDue,
        })
    }

    /// Closed at the provider first: only then may the shard give the stock away.
    async fn close(&self, charge: &Charge) -> Result<Step, Stuck> {
        let standing = self.provider.close(charge.id).await?;
        if let Standing::Paid { .. } = standing {
            return Ok(Step::To(collected(charge, standing)));
        }
        Ok(Step::To(match self.close_at_shard(charge).await? {
            Closing::Closed => ChargeStatus::Closed,
            Closing::PaidByHand => ChargeStatus::Paid,
        }))
    }

    /// The shard is told that this charge will not pay, and then the money goes back.
    async fn refund(&self, charge: &Charge) -> Result<Step, Stuck> {
        if let Closing::PaidByHand = self.close_at_shard(charge).await? {
            return Ok(Step::To(ChargeStatus::Paid));
        }
        self.provider.refund(charge.id).await?;
        Ok(Step::To(ChargeStatus::Refunded))
    }

    async fn close_at_shard(&self, charge: &Charge) -> Result<Closing, Stuck> {
        let command = Command::CloseCharge {
            order: charge.order,
            charge: charge.id,
        };
        Ok(match self.shards.ask(command).await? {
            Outcome::Refused(refusal @ (Refusal::Busy | Refusal::TryAgain | Refusal::Bound(_))) => {
                return Err(Stuck::Refused(refusal));
            }
            // An operator has confirmed the order with this very charge.
            Outcome::Refused(Refusal::AlreadyPaid { charge: paid }) if paid == charge.id => {
                Closing::PaidByHand
            }
            _ => Closing::Closed,
        })
    }
}

/// What the shard says of a charge that is to be closed.
enum Closing {
    Closed,
    PaidByHand,
}

/// What a started charge becomes by its standing at the provider. Money of another amount than was asked for goes back.
fn collected(charge: &Charge, standing: Standing) -> ChargeStatus {
    match standing {
        Standing::Paid { amount, currency } if (amount, currency) == (charge.amount, charge.currency) => {
            ChargeStatus::Approved
        }
        Standing::Paid { .. } => ChargeStatus::RefundDue,
        _ => ChargeStatus::Declined,
    }
}
