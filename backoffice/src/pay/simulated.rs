//! A provider without a bank: its buyer is whoever opens the payment page. Its books are durable like another company's.

use std::sync::Arc;

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use tidegate_shard_core::{ChargeId, Millis};

use crate::database::Database;
use crate::pay::provider::{Asking, ChargeRequest, Doing, Notice, Provider, ProviderError, Standing};
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

/// A charge as the page shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimulatedCharge {
    /// In minor units.
    pub amount: u64,
    /// ISO 4217 letters.
    pub currency: [u8; 3],
    /// Where it stands.
    pub standing: Standing,
    /// When an approved payment will arrive.
    pub pays_at: Option<Millis>,
}

/// The provider `simulated`.
pub struct Simulated {
    database: Arc<Database>,
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
    /// A provider that keeps its books in `database`.
    #[must_use]
    pub fn new(database: Arc<Database>, clock: Clock) -> Simulated {
        Simulated { database, clock }
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
        let (word, pays_at) = match action {
            SimulatedAction::Approve => ("paid", None),
            SimulatedAction::Decline => ("declined", None),
            SimulatedAction::Delay => ("open", Some(now.after(DELAY_MS).0 as i64)),
        };
        let book = self
            .write(move |connection| {
                arrive(connection, &charge, now)?;
                connection
                    .prepare_cached(
                        "UPDATE simulated_charges SET standing = ?2, pays_at = ?3
                         WHERE charge = ?1 AND standing = 'open' AND pays_at IS NULL",
                    )?
                    .execute(params![charge.as_str(), word, pays_at])?;
                find(connection, &charge)
            })
            .await?;
        Ok(book.and_then(|book| message(&charge, &book)))
    }

    /// A charge in the books.
    ///
    /// # Errors
    /// They cannot be read.
    pub async fn look(&self, charge: ChargeId) -> Result<Option<SimulatedCharge>, ProviderError> {
        let now = (self.clock)();
        self.write(move |connection| {
            arrive(connection, &charge, now)?;
            find(connection, &charge)
        })
        .await
    }

    async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, ProviderError> {
        self.database
            .write_async(move |tx| job(tx))
            .await
            .map_err(ProviderError::unreachable)
    }
}

impl Provider for Simulated {
    fn name(&self) -> &'static str {
        "simulated"
    }

    fn create<'a>(&'a self, request: &'a ChargeRequest) -> Doing<'a, String> {
        let (charge, amount, currency) = (request.charge, request.amount, request.currency);
        Box::pin(async move {
            self.write(move |connection| {
                connection
                    .prepare_cached(
                        "INSERT INTO simulated_charges (charge, amount, currency, standing) VALUES (?1, ?2, ?3, 'open')
                         ON CONFLICT DO NOTHING",
                    )?
                    .execute(params![charge.as_str(), amount as i64, letters(&currency)])
                    .map(drop)
            })
            .await?;
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
            let book = self
                .write(move |connection| {
                    arrive(connection, &charge, now)?;
                    connection
                        .prepare_cached(
                            "INSERT INTO simulated_charges (charge, amount, currency, standing) VALUES (?1, 0, 'XXX', 'closed')
                             ON CONFLICT DO UPDATE SET standing = 'closed', pays_at = NULL WHERE standing = 'open'",
                        )?
                        .execute([charge.as_str()])?;
                    find(connection, &charge)
                })
                .await?;
            Ok(book.map_or(Standing::Closed, |book| book.standing))
        })
    }

    fn refund(&self, charge: ChargeId) -> Doing<'_, ()> {
        Box::pin(self.write(move |connection| {
            connection
                .prepare_cached("UPDATE simulated_charges SET standing = 'refunded' WHERE charge = ?1 AND standing = 'paid'")?
                .execute([charge.as_str()])
                .map(drop)
        }))
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

/// A delayed payment arrives once its time has come.
fn arrive(connection: &Connection, charge: &ChargeId, now: Millis) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE simulated_charges SET standing = 'paid', pays_at = NULL
             WHERE charge = ?1 AND standing = 'open' AND pays_at <= ?2",
        )?
        .execute(params![charge.as_str(), now.0 as i64])
        .map(drop)
}

fn find(connection: &Connection, charge: &ChargeId) -> rusqlite::Result<Option<SimulatedCharge>> {
    connection
        .prepare_cached(
            "SELECT amount, currency, standing, pays_at FROM simulated_charges WHERE charge = ?1",
        )?
        .query_row([charge.as_str()], |row| {
            let wrong = |column, what: &str| {
                rusqlite::Error::FromSqlConversionFailure(column, Type::Text, what.into())
            };
            let amount = row.get::<_, i64>(0)? as u64;
            let currency: String = row.get(1)?;
            let currency = currency
                .as_bytes()
                .try_into()
                .map_err(|_| wrong(1, "not three letters"))?;
            let standing = match row.get_ref(2)?.as_str()? {
                "open" => Standing::Open,
                "paid" => Standing::Paid { amount, currency },
                "declined" => Standing::Declined,
                "closed" => Standing::Closed,
                "refunded" => Standing::Refunded,
                _ => return Err(wrong(2, "an unknown standing")),
            };
            let pays_at = row.get::<_, Option<i64>>(3)?.map(|at| Millis(at as u64));
            Ok(SimulatedCharge {
                amount,
                currency,
                standing,
                pays_at,
            })
        })
        .optional()
}

fn message(charge: &ChargeId, book: &SimulatedCharge) -> Option<Vec<u8>> {
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
