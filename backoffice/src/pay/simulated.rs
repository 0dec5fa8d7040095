//! A provider without a bank: its buyer is whoever opens the payment page. Its books are durable like another company's.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tidegate_rows::{Book, Decision, Rows, RowsError, Standing};
use tidegate_shard_core::ChargeId;

use crate::pay::provider::{Asking, ChargeRequest, Doing, Notice, Provider, ProviderError};
use crate::time::Clock;

/// How late a delayed payment arrives.
const DELAY_MS: u64 = 20_000;

/// What the buyer does on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SimulatedAction {
    /// Pay.
    Approve,
    /// Say no.
    Decline,
    /// Pay, but the money arrives 20 s later and its callback is lost: the shop has to ask.
    Delay,
}

/// The provider `simulated`.
pub struct Simulated {
    rows: Arc<dyn Rows>,
    clock: Clock,
}

impl std::fmt::Debug for Simulated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Simulated")
    }
}

/// A callback of this provider. What is in its books stands for a signature.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Message<'a> {
    charge: &'a str,
    event: &'a str,
    amount: u64,
    currency: &'a str,
}

impl Simulated {
    /// A provider that keeps its books in `rows`.
    #[must_use]
    pub fn new(rows: Arc<dyn Rows>, clock: Clock) -> Simulated {
        Simulated { rows, clock }
    }

    /// Does what the buyer asked for, if the charge is open; gives the callback that follows, if one does. Doing it again gives
    /// the same callback again.
    ///
    /// # Errors
    /// The books cannot be written.
    pub async fn act(
        &self,
        charge: ChargeId,
        action: SimulatedAction,
    ) -> Result<Option<Vec<u8>>, ProviderError> {
        let now = (self.clock)();
        let decision = match action {
            SimulatedAction::Approve => Decision::Pay,
            SimulatedAction::Decline => Decision::Decline,
            SimulatedAction::Delay => Decision::PayAt(now.after(DELAY_MS)),
        };
        let book = answered(self.rows.decide_book(charge, decision, now).await)?;
        Ok(book.and_then(|book| message(&charge, &book)))
    }

    /// A charge in the books.
    ///
    /// # Errors
    /// They cannot be read.
    pub async fn look(&self, charge: ChargeId) -> Result<Option<Book>, ProviderError> {
        answered(self.rows.book(charge, (self.clock)()).await)
    }
}

fn answered<T>(answer: Result<T, RowsError>) -> Result<T, ProviderError> {
    answer.map_err(ProviderError::unreachable)
}

impl Provider for Simulated {
    fn name(&self) -> &'static str {
        "simulated"
    }

    fn create<'a>(&'a self, request: &'a ChargeRequest) -> Doing<'a, String> {
        let ChargeRequest {
            charge,
            amount,
            currency,
            ..
        } = *request;
        Box::pin(async move {
            answered(self.rows.open_book(charge, amount, currency).await)?;
            Ok(format!("/pay/simulated/{charge}"))
        })
    }

    fn query(&self, charge: ChargeId) -> Doing<'_, Standing> {
        Box::pin(async move {
            Ok(self
                .look(charge)
                .await?
                .map_or(Standing::Unknown, |book| book.standing))
        })
    }

    fn close(&self, charge: ChargeId) -> Doing<'_, Standing> {
        let now = (self.clock)();
        Box::pin(async move {
            let book = answered(self.rows.close_book(charge, now).await)?;
            Ok(book.map_or(Standing::Closed, |book| book.standing))
        })
    }

    fn refund(&self, charge: ChargeId) -> Doing<'_, ()> {
        Box::pin(async move { answered(self.rows.refund_book(charge).await) })
    }

    fn notice<'a>(&'a self, asking: Asking<'a>) -> Doing<'a, Notice> {
        Box::pin(async move {
            let message: Message<'_> =
                serde_json::from_slice(asking.raw).map_err(|_| ProviderError::Forged("it cannot be read"))?;
            let charge = ChargeId::parse(message.charge.as_bytes())
                .map_err(|_| ProviderError::Forged("no charge has this id"))?;
            let book = self
                .look(charge)
                .await?
                .ok_or(ProviderError::Forged("the books have no such charge"))?;
            let said = (message.event, message.amount, message.currency.as_bytes());
            let standing = match (book.standing, said) {
                // A repeat may come after the money went back, and a "no" after the buyer paid after all.
                (Standing::Paid { .. } | Standing::Refunded, ("paid", amount, currency))
                    if (amount, currency) == (book.amount, &book.currency) =>
                {
                    Standing::Paid {
                        amount,
                        currency: book.currency,
                    }
                }
                (Standing::Declined | Standing::Paid { .. } | Standing::Refunded, ("declined", ..)) => {
                    Standing::Declined
                }
                _ => return Err(ProviderError::Forged("the books say otherwise")),
            };
            Ok(Notice { charge, standing })
        })
    }
}

fn message(charge: &ChargeId, book: &Book) -> Option<Vec<u8>> {
    let event = match book.standing {
        Standing::Paid { .. } => "paid",
        Standing::Declined => "declined",
        _ => return None,
    };
    let message = Message {
        charge: charge.as_str(),
        event,
        amount: book.amount,
        currency: letters(&book.currency),
    };
    serde_json::to_vec(&message).ok()
}

fn letters(currency: &[u8; 3]) -> &str {
    std::str::from_utf8(currency).unwrap_or_default()
}
