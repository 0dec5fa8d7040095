//! The table of an order's states, as the steps of its home shard lead through them. Log and store are held against the same one.
//!
//! ```text
//! gathering ──committed──► pending ──confirmed──► confirmed
//!     │                     │  │ ▲                 ▲   ▲
//!     ▼ aborted             │  └─closing ──────────┘   │  (a charge is open: its end, or its payment, decides)
//!   no order                ▼                          │
//!            cancelled, expired ──regathering──────────┘  (expired only: paid late, and held again)
//! ```

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No order yet: other shards are asked for their lines.
    Gathering,
    /// Held and unpaid.
    Pending,
    /// Held until its open charge ends.
    Closing,
    /// Ended.
    Cancelled,
    /// Ended.
    Expired,
    /// An expired order that was paid late gathers its units again.
    Regathering,
    /// Paid.
    Confirmed,
    /// It never was an order.
    Aborted,
}

impl State {
    /// Its home shard's units are held or sold.
    pub fn takes(self) -> bool {
        !matches!(self, State::Cancelled | State::Expired | State::Aborted)
    }

    /// The word that clients and the store have for it; `None` where there is no order.
    pub fn status(self) -> Option<&'static str> {
        match self {
            State::Gathering | State::Aborted => None,
            State::Pending | State::Closing => Some("pending"),
            State::Cancelled => Some("cancelled"),
            State::Expired | State::Regathering => Some("expired"),
            State::Confirmed => Some("confirmed"),
        }
    }
}

/// A step: the kind of an entry, and what else decides where it leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step<'a> {
    /// The entry's kind, as `tidegate log dump` names it.
    pub kind: &'a str,
    /// The charge it is about.
    pub charge: Option<&'a str>,
    /// How the order ends with it, where the kind does not say so.
    pub ends: Option<&'a str>,
    /// An expired order's units were taken again.
    pub held_again: bool,
}

/// Whether entries of this kind are steps of an order's history.
pub fn is_step(kind: &str) -> bool {
    matches!(
        kind,
        "placed"
            | "gathering"
            | "committed"
            | "aborted"
            | "payment_started"
            | "charge_closed"
            | "closing"
            | "cancelled"
            | "expired"
            | "confirmed"
            | "regathering"
            | "refund_due"
    )
}

/// An order on its way.
#[derive(Clone, Debug, Default)]
pub struct Path {
    state: Option<State>,
    /// The charge that can be paid; there is one at most.
    open: Option<String>,
    /// Charges that were paid too late.
    refunds: Vec<String>,
}

impl Path {
    /// Where it stands; `None` before its first step.
    pub fn state(&self) -> Option<State> {
        self.state
    }

    /// Goes a step on; where it leads.
    ///
    /// # Errors
    /// A line: the table has no such step from here. The order stays where it is.
    pub fn step(&mut self, step: &Step<'_>) -> Result<State, String> {
        let to = self.to(step).ok_or_else(|| match self.state {
            Some(state) => format!("{} while it is {state:?}", step.kind),
            None => format!("{} before it was made", step.kind),
        })?;
        let charge = step.charge.unwrap_or_default();
        match step.kind {
            "payment_started" => self.open = Some(charge.to_owned()),
            "refund_due" => self.refunds.push(charge.to_owned()),
            _ => {}
        }
        let ends_charge = matches!(step.kind, "charge_closed" | "confirmed" | "refund_due");
        if ends_charge && self.open.as_deref() == Some(charge) {
            self.open = None;
        }
        self.state = Some(to);
        Ok(to)
    }

    fn to(&self, step: &Step<'_>) -> Option<State> {
        let is_open = self.open.as_deref() == Some(step.charge.unwrap_or_default());
        let Some(state) = self.state else {
            return match step.kind {
                "placed" => Some(State::Pending),
                "gathering" => Some(State::Gathering),
                _ => None,
            };
        };
        let ending = |word| match word {
            "cancelled" => Some(State::Cancelled),
            "expired" => Some(State::Expired),
            _ => None,
        };
        match (state, step.kind) {
            (State::Gathering, "committed") => Some(State::Pending),
            (State::Gathering, "aborted") => Some(State::Aborted),
            (State::Pending, "payment_started") => self.open.is_none().then_some(State::Pending),
            (State::Pending, "closing") => self.open.is_some().then_some(State::Closing),
            (State::Closing, "charge_closed") => is_open.then(|| ending(step.ends?)).flatten(),
            (_, "charge_closed") => (is_open && step.ends.is_none()).then_some(state),
            (State::Pending, kind @ ("cancelled" | "expired")) => {
                self.open.is_none().then(|| ending(kind)).flatten()
            }
            (State::Closing, kind @ ("cancelled" | "expired")) => ending(kind),
            (State::Pending | State::Closing, "confirmed") => (!step.held_again).then_some(State::Confirmed),
            (State::Expired | State::Regathering, "confirmed") => step.held_again.then_some(State::Confirmed),
            (State::Expired, "regathering") => Some(State::Regathering),
            (State::Regathering, "aborted") => Some(State::Expired),
            (State::Expired | State::Cancelled | State::Regathering, "refund_due") => {
                let is_new = !self
                    .refunds
                    .iter()
                    .any(|charge| charge == step.charge.unwrap_or_default());
                let after = if state == State::Regathering {
                    State::Expired
                } else {
                    state
                };
                is_new.then_some(after)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goes along steps as `kind`, `kind:charge`, `kind:charge:ends`, or `kind+` for held again; where it ends, or the first fault.
    fn walk(steps: &str) -> Result<Option<&'static str>, String> {
        let mut path = Path::default();
        for text in steps.split(' ') {
            let mut parts = text.split(':');
            let kind = parts.next().unwrap_or_default();
            path.step(&Step {
                kind: kind.trim_end_matches('+'),
                charge: parts.next(),
                ends: parts.next(),
                held_again: kind.ends_with('+'),
            })?;
        }
        Ok(path.state().and_then(State::status))
    }

    #[test]
    fn every_way_of_the_table_can_be_gone() {
        for (steps, status) in [
            ("placed", Some("pending")),
            ("gathering", None),
            ("gathering aborted", None),
            ("gathering committed confirmed:c", Some("confirmed")),
            (
                "placed payment_started:c charge_closed:c payment_started:d confirmed:d",
                Some("confirmed"),
            ),
            (
                "placed payment_started:c closing charge_closed:c:cancelled",
                Some("cancelled"),
            ),
            (
                "placed payment_started:c closing expired charge_closed:c",
                Some("expired"),
            ),
            ("placed payment_started:c closing confirmed:c", Some("confirmed")),
            (
                "placed payment_started:c confirmed:d charge_closed:c",
                Some("confirmed"),
            ),
            ("placed cancelled refund_due:c refund_due:d", Some("cancelled")),
            ("placed expired confirmed+:c", Some("confirmed")),
            ("gathering committed expired regathering:c", Some("expired")),
            (
                "gathering committed expired regathering:c aborted regathering:c confirmed+:c",
                Some("confirmed"),
            ),
            (
                "gathering committed expired regathering:c refund_due:c",
                Some("expired"),
            ),
        ] {
            assert_eq!(walk(steps), Ok(status), "{steps}");
        }
    }

    #[test]
    fn a_step_that_is_gone_twice_or_from_the_wrong_place_is_none() {
        for steps in [
            "cancelled",
            "placed placed",
            "gathering gathering",
            "gathering committed committed",
            "gathering confirmed:c",
            "placed committed",
            "placed cancelled cancelled",
            "placed cancelled expired",
            "placed cancelled confirmed+:c",
            "placed confirmed:c confirmed:c",
            "placed confirmed:c cancelled",
            "placed confirmed+:c",
            "placed expired confirmed:c",
            "placed closing",
            "placed payment_started:c payment_started:c",
            "placed payment_started:c cancelled",
            "placed payment_started:c charge_closed:d",
            "placed payment_started:c charge_closed:c charge_closed:c",
            "placed payment_started:c charge_closed:c:expired",
            "placed payment_started:c closing charge_closed:c",
            "placed cancelled refund_due:c refund_due:c",
            "placed refund_due:c",
            "gathering aborted committed",
        ] {
            assert!(walk(steps).is_err(), "{steps}");
        }
    }
}
