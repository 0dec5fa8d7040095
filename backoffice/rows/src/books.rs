//! The books of the provider `simulated`, which stand for another company's database.

use tidegate_shard_core::{ChargeId, Millis};

use crate::Answer;

/// Where a charge stands at a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The provider has never heard of it.
    Unknown,
    /// The buyer can pay.
    Open,
    /// The provider has the money.
    Paid {
        /// In minor units.
        amount: u64,
        /// ISO 4217 letters.
        currency: [u8; 3],
    },
    /// The buyer or the bank said no.
    Declined,
    /// It can no longer be paid.
    Closed,
    /// The money went back.
    Refunded,
}

/// A charge in the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Book {
    /// In minor units.
    pub amount: u64,
    /// ISO 4217 letters.
    pub currency: [u8; 3],
    /// Where it stands.
    pub standing: Standing,
    /// When an approved payment will arrive.
    pub pays_at: Option<Millis>,
}

impl Book {
    /// From a row of the books; none when its word is no standing that a row has, or the currency not three letters.
    #[must_use]
    pub fn read(amount: u64, currency: &[u8], standing: &str, pays_at: Option<Millis>) -> Option<Book> {
        let currency = currency.try_into().ok()?;
        let standing = match standing {
            "open" => Standing::Open,
            "paid" => Standing::Paid { amount, currency },
            "declined" => Standing::Declined,
            "closed" => Standing::Closed,
            "refunded" => Standing::Refunded,
            _ => return None,
        };
        Some(Book {
            amount,
            currency,
            standing,
            pays_at,
        })
    }
}

/// What the buyer did about an open charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Paid.
    Pay,
    /// Paid, and the money arrives at this moment.
    PayAt(Millis),
    /// Said no.
    Decline,
}

/// The books. Every call may be repeated, with the same effect as once. A payment whose moment has come by `now` arrives first.
pub trait Books: Send + Sync + 'static {
    /// Opens a charge that the books do not have.
    fn open_book(&self, charge: ChargeId, amount: u64, currency: [u8; 3]) -> Answer<'_, ()>;

    /// A charge as it stands.
    fn book(&self, charge: ChargeId, now: Millis) -> Answer<'_, Option<Book>>;

    /// Does what the buyer decided, if the charge is open and nothing is on its way; gives it as it stands then.
    fn decide_book(&self, charge: ChargeId, decision: Decision, now: Millis) -> Answer<'_, Option<Book>>;

    /// Closes a charge that is open, and one that the books do not have (amount 0, currency XXX); gives it as it stands then.
    fn close_book(&self, charge: ChargeId, now: Millis) -> Answer<'_, Option<Book>>;

    /// Gives the money of a paid charge back.
    fn refund_book(&self, charge: ChargeId) -> Answer<'_, ()>;
}
