//! Where an order can stand, and which steps there are.
//!
//! ```text
//!             ┌► (no order)                  a participant refused, was late, or home restarted
//! Gathering ──┴► Pending ──► Confirmed       paid
//!                 │ │  ▲        ▲  ▲
//!                 │ └► Closing ─┘  │         a deadline or cancel met an open charge
//!                 ▼     ▼          │
//!        Cancelled, Expired ───────┤         paid too late, and the stock was there
//!                     │  ▲         │
//!                     ▼  └─────────┤
//!                   Regathering ───┘         the same, with lines on other shards
//! ```

use crate::entry::Ending;
use crate::outcome::OrderStatus;

/// Where an order stands. The discriminants are part of the digest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum State {
    /// No order.
    Vacant = 0,
    /// Not an order yet.
    Gathering = 1,
    /// Held and unpaid.
    Pending = 2,
    /// Held until its open charge ends.
    Closing = 3,
    /// Paid.
    Confirmed = 4,
    /// Ended.
    Cancelled = 5,
    /// Ended.
    Expired = 6,
    /// Expired, and being held again for a late payment.
    Regathering = 7,
}

impl State {
    /// Its own lines are held.
    pub(crate) fn holds(self) -> bool {
        matches!(
            self,
            State::Gathering | State::Pending | State::Closing | State::Regathering
        )
    }

    /// Not ended.
    pub(crate) fn open(self) -> bool {
        self.holds()
    }

    pub(crate) fn gathers(self) -> bool {
        matches!(self, State::Gathering | State::Regathering)
    }

    /// It may be forgotten after the window.
    pub(crate) fn ended(self) -> bool {
        matches!(self, State::Confirmed | State::Cancelled | State::Expired)
    }

    pub(crate) fn status(self) -> OrderStatus {
        match self {
            State::Vacant | State::Gathering | State::Pending | State::Closing => OrderStatus::Pending,
            State::Confirmed => OrderStatus::Confirmed,
            State::Cancelled => OrderStatus::Cancelled,
            State::Expired | State::Regathering => OrderStatus::Expired,
        }
    }

    pub(crate) fn from_byte(byte: u8) -> Option<State> {
        Some(match byte {
            1 => State::Gathering,
            2 => State::Pending,
            3 => State::Closing,
            4 => State::Confirmed,
            5 => State::Cancelled,
            6 => State::Expired,
            7 => State::Regathering,
            _ => return None,
        })
    }
}

impl From<Ending> for State {
    fn from(ending: Ending) -> State {
        match ending {
            Ending::Cancelled => State::Cancelled,
            Ending::Expired => State::Expired,
        }
    }
}

/// Where a charge stands. The discriminants are part of the digest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum ChargeStanding {
    /// Started.
    Open = 1,
    /// Can no longer be paid.
    Closed = 2,
    /// Paid the order.
    Paid = 3,
    /// Paid too late.
    RefundDue = 4,
}

impl ChargeStanding {
    pub(crate) fn from_byte(byte: u8) -> Option<ChargeStanding> {
        Some(match byte {
            1 => ChargeStanding::Open,
            2 => ChargeStanding::Closed,
            3 => ChargeStanding::Paid,
            4 => ChargeStanding::RefundDue,
            _ => return None,
        })
    }
}
