//! One charge, and where it stands.

use tidegate_shard_core::{ChargeId, Millis, OrderId};

/// Where a charge stands with us. The words are in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChargeStatus {
    /// A row, and nothing else yet.
    Created,
    /// The shard has logged it: the provider may collect.
    Started,
    /// The provider has the money; the shard is to be told.
    Approved,
    /// The provider will not collect it; to be closed there and at the shard.
    Declined,
    /// It paid its order.
    Paid,
    /// No money was taken, and none can be any more.
    Closed,
    /// The money goes back.
    RefundDue,
    /// The money went back.
    Refunded,
}

impl ChargeStatus {
    /// Every status.
    pub const ALL: [ChargeStatus; 8] = [
        ChargeStatus::Created,
        ChargeStatus::Started,
        ChargeStatus::Approved,
        ChargeStatus::Declined,
        ChargeStatus::Paid,
        ChargeStatus::Closed,
        ChargeStatus::RefundDue,
        ChargeStatus::Refunded,
    ];

    /// The word in the store and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ChargeStatus::Created => "created",
            ChargeStatus::Started => "started",
            ChargeStatus::Approved => "approved",
            ChargeStatus::Declined => "declined",
            ChargeStatus::Paid => "paid",
            ChargeStatus::Closed => "closed",
            ChargeStatus::RefundDue => "refund_due",
            ChargeStatus::Refunded => "refunded",
        }
    }

    /// The status of a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<ChargeStatus> {
        ChargeStatus::ALL
            .into_iter()
            .find(|status| status.as_str() == word)
    }

    /// Nothing is left to do.
    #[must_use]
    pub fn ended(self) -> bool {
        matches!(
            self,
            ChargeStatus::Paid | ChargeStatus::Closed | ChargeStatus::Refunded
        )
    }
}

/// An attempt to have an order paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Its name at the shard and at the provider.
    pub id: ChargeId,
    /// What it pays.
    pub order: OrderId,
    /// In minor units.
    pub amount: u64,
    /// ISO 4217 letters.
    pub currency: [u8; 3],
    /// Who collects.
    pub provider: String,
    /// Where it stands.
    pub status: ChargeStatus,
    /// Where the buyer pays, once the provider has said.
    pub payment_url: Option<String>,
    /// It is closed then, unless it was paid.
    pub close_at: Millis,
    /// Steps in a row that came to nothing.
    pub attempts: u32,
}
