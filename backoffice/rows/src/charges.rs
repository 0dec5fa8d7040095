//! One charge, where it stands, and the ledger of them.

use tidegate_shard_core::{ChargeId, Millis, OrderId};

use crate::Answer;

/// A request that made a charge drives it itself; the recovery job looks only after it has had its time.
pub const FIRST_LOOK_MS: u64 = 5_000;

/// Charges of one order at most. A shard remembers fewer, and refuses more; each that it refuses is a closed row here.
pub const CHARGES_MAX: u32 = 64;

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

    /// It takes the place that an order has for one charge at a time.
    #[must_use]
    pub fn under_way(self) -> bool {
        matches!(
            self,
            ChargeStatus::Created | ChargeStatus::Started | ChargeStatus::Approved | ChargeStatus::Declined
        )
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

/// What a provider said by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    /// About which charge.
    pub charge: ChargeId,
    /// By whom.
    pub provider: String,
    /// Its body, verbatim.
    pub raw: Vec<u8>,
}

/// The ledger of charges and of what providers said about them. Charges are never deleted.
pub trait Charges: Send + Sync + 'static {
    /// Keeps a new charge, unless its order has one [under way](ChargeStatus::under_way): then the newest of these, and `true`. However many
    /// ask at once, they are given the same one. `None`: the order has had [`CHARGES_MAX`]. It is due [`FIRST_LOOK_MS`] after `now`.
    fn open_charge(&self, charge: Charge, now: Millis) -> Answer<'_, Option<(Charge, bool)>>;

    /// One charge.
    fn charge(&self, id: ChargeId) -> Answer<'_, Option<Charge>>;

    /// Moves a charge on, if it still stands where it was seen; it is due at once.
    fn advance_charge(
        &self,
        id: ChargeId,
        seen: ChargeStatus,
        to: ChargeStatus,
        now: Millis,
    ) -> Answer<'_, ()>;

    /// Remembers where the buyer pays.
    fn note_payment_url(&self, id: ChargeId, url: String) -> Answer<'_, ()>;

    /// The charge is due at `next_at`, if it still stands where it was seen; what failed before is forgotten.
    fn postpone_charge(&self, id: ChargeId, seen: ChargeStatus, next_at: Millis) -> Answer<'_, ()>;

    /// A step failed, wherever the charge stands now: it is due at `next_at`, and the failure is counted.
    fn retry_charge(&self, id: ChargeId, next_at: Millis) -> Answer<'_, ()>;

    /// Keeps a callback, a repeat of the same bytes once, and moves its charge on as [`advance_charge`](Self::advance_charge) does, if it is to be
    /// moved. `false`: the charge does not stand where it was seen, and nothing was done.
    fn keep_callback(
        &self,
        callback: Callback,
        seen: ChargeStatus,
        to: Option<ChargeStatus>,
        now: Millis,
    ) -> Answer<'_, bool>;

    /// Unfinished charges that are due, those that wait longest first, `rows` at most.
    fn due_charges(&self, now: Millis, rows: usize) -> Answer<'_, Vec<Charge>>;

    /// When the next unfinished charge is due.
    fn next_charge_due(&self) -> Answer<'_, Option<Millis>>;
}
