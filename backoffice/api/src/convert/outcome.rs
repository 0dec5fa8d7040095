//! What the shards answered a backoffice.

use std::sync::Mutex;

use tidegate_shard_core::outcome::{Bound, ChargeState};
use tidegate_shard_core::{Line, Millis, Op, OrderStatus, OrderView, Outcome, Refusal, SkuView, StockView};

use super::command::{order, scope, scope_to_message};
use super::{Malformed, charge, currency, letters, sku};
use crate::pb::{self, desk_answer::Answer, refusal::Kind};

/// An outcome as a message; none for one that no command of a backoffice has.
#[must_use]
pub fn to_message(outcome: &Outcome) -> Option<Answer> {
    Some(match outcome {
        Outcome::Order(view) => Answer::Order(order_to_message(view)),
        Outcome::Sku(view) => Answer::Sku(sku_to_message(view)),
        Outcome::Refused(refusal) => Answer::Refusal(refusal_to_message(refusal)),
        Outcome::Stock(_) => return None,
    })
}

/// A message as an outcome; none when it says that there is none.
///
/// # Errors
/// [`Malformed`].
pub fn from_message(answer: Answer) -> Result<Result<Outcome, Answer>, Malformed> {
    Ok(Ok(match answer {
        Answer::Order(view) => Outcome::Order(order_from_message(view)?),
        Answer::Sku(view) => Outcome::Sku(Box::new(sku_from_message(view)?)),
        Answer::Refusal(refusal) => Outcome::Refused(refusal_from_message(&refusal)?),
        none @ (Answer::NotDone(_) | Answer::Unknown(_)) => return Ok(Err(none)),
    }))
}

fn status_to_message(status: OrderStatus) -> pb::OrderStatus {
    match status {
        OrderStatus::Pending => pb::OrderStatus::Pending,
        OrderStatus::Confirmed => pb::OrderStatus::Confirmed,
        OrderStatus::Cancelled => pb::OrderStatus::Cancelled,
        OrderStatus::Expired => pb::OrderStatus::Expired,
    }
}

fn status(number: i32) -> Result<OrderStatus, Malformed> {
    match pb::OrderStatus::try_from(number) {
        Ok(pb::OrderStatus::Pending) => Ok(OrderStatus::Pending),
        Ok(pb::OrderStatus::Confirmed) => Ok(OrderStatus::Confirmed),
        Ok(pb::OrderStatus::Cancelled) => Ok(OrderStatus::Cancelled),
        Ok(pb::OrderStatus::Expired) => Ok(OrderStatus::Expired),
        Err(_) => Err(Malformed("status")),
    }
}

fn charge_state_to_message(state: ChargeState) -> pb::ChargeState {
    match state {
        ChargeState::None => pb::ChargeState::None,
        ChargeState::Open => pb::ChargeState::Open,
        ChargeState::Closing => pb::ChargeState::Closing,
        ChargeState::Paid => pb::ChargeState::Paid,
        ChargeState::RefundDue => pb::ChargeState::RefundDue,
    }
}

fn charge_state(number: i32) -> Result<ChargeState, Malformed> {
    match pb::ChargeState::try_from(number) {
        Ok(pb::ChargeState::None) => Ok(ChargeState::None),
        Ok(pb::ChargeState::Open) => Ok(ChargeState::Open),
        Ok(pb::ChargeState::Closing) => Ok(ChargeState::Closing),
        Ok(pb::ChargeState::Paid) => Ok(ChargeState::Paid),
        Ok(pb::ChargeState::RefundDue) => Ok(ChargeState::RefundDue),
        Err(_) => Err(Malformed("charge")),
    }
}

fn order_to_message(view: &OrderView) -> pb::Order {
    let line = |line: &Line| pb::Line {
        sku: line.sku.to_string(),
        qty: line.qty,
    };
    pb::Order {
        id: view.id.0,
        status: status_to_message(view.status).into(),
        total: view.total,
        currency: letters(view.currency),
        pay_by_ms: view.pay_by.0,
        created_ms: view.created.0,
        lines: view.lines.iter().map(line).collect(),
        repeated: view.repeated,
        charge: charge_state_to_message(view.charge).into(),
    }
}

fn order_from_message(view: pb::Order) -> Result<OrderView, Malformed> {
    let line = |line: pb::Line| {
        Ok(Line {
            sku: sku(&line.sku)?,
            qty: line.qty,
        })
    };
    Ok(OrderView {
        id: order(view.id)?,
        status: status(view.status)?,
        total: view.total,
        currency: currency(&view.currency)?,
        pay_by: Millis(view.pay_by_ms),
        created: Millis(view.created_ms),
        lines: view.lines.into_iter().map(line).collect::<Result<_, _>>()?,
        repeated: view.repeated,
        charge: charge_state(view.charge)?,
    })
}

fn sku_to_message(view: &SkuView) -> pb::Sku {
    pb::Sku {
        sku: view.stock.sku.to_string(),
        op: view.stock.op.0,
        stocked: view.stock.stocked,
        available: view.stock.available,
        held: view.stock.held,
        sold: view.stock.sold,
        name: view.name.to_string(),
        price: view.price,
        currency: letters(view.currency),
        buyer_limit: view.buyer_limit,
        limit_scope: scope_to_message(view.limit_scope).into(),
        sale_start_ms: view.sale_start.map(|at| at.0),
        sale_end_ms: view.sale_end.map(|at| at.0),
        hold_ms: view.hold_ms,
        paused: view.paused,
    }
}

fn sku_from_message(view: pb::Sku) -> Result<SkuView, Malformed> {
    Ok(SkuView {
        stock: StockView {
            sku: sku(&view.sku)?,
            op: Op(view.op),
            stocked: view.stocked,
            available: view.available,
            held: view.held,
            sold: view.sold,
        },
        name: view.name.into(),
        price: view.price,
        currency: currency(&view.currency)?,
        buyer_limit: view.buyer_limit,
        limit_scope: scope(view.limit_scope)?,
        sale_start: view.sale_start_ms.map(Millis),
        sale_end: view.sale_end_ms.map(Millis),
        hold_ms: view.hold_ms,
        paused: view.paused,
    })
}

/// What else a refusal says, by its kind.
fn refusal_to_message(refusal: &Refusal) -> pb::Refusal {
    let mut message = pb::Refusal::default();
    let kind = match refusal {
        Refusal::SoldOut { sku } => {
            message.sku = sku.to_string();
            Kind::SoldOut
        }
        Refusal::LimitReached { sku, limit } => {
            (message.sku, message.limit) = (sku.to_string(), *limit);
            Kind::LimitReached
        }
        Refusal::NotOnSale { sku, starts } => {
            (message.sku, message.starts_ms) = (sku.to_string(), starts.0);
            Kind::NotOnSale
        }
        Refusal::SaleEnded { sku } => {
            message.sku = sku.to_string();
            Kind::SaleEnded
        }
        Refusal::Paused { sku } => {
            message.sku = sku.to_string();
            Kind::Paused
        }
        Refusal::UnknownSku { sku } => {
            message.sku = sku.to_string();
            Kind::UnknownSku
        }
        Refusal::WrongStatus { status } => {
            message.status = status_to_message(*status).into();
            Kind::WrongStatus
        }
        Refusal::AlreadyPaid { charge } => {
            message.charge = charge.to_string();
            Kind::AlreadyPaid
        }
        Refusal::BelowCommitted { held, sold } => {
            (message.held, message.sold) = (*held, *sold);
            Kind::BelowCommitted
        }
        Refusal::MissingFields(text) => {
            message.text = (*text).to_owned();
            Kind::MissingFields
        }
        Refusal::Malformed(text) => {
            message.text = (*text).to_owned();
            Kind::Malformed
        }
        Refusal::Bound(bound) => {
            message.bound = bound_to_message(*bound).into();
            Kind::Bound
        }
        Refusal::KeyReused => Kind::KeyReused,
        Refusal::UnknownOrder => Kind::UnknownOrder,
        Refusal::PaymentInProgress => Kind::PaymentInProgress,
        Refusal::DeadlineTooNear => Kind::DeadlineTooNear,
        Refusal::ChargeClosed => Kind::ChargeClosed,
        Refusal::RefundDue => Kind::RefundDue,
        Refusal::MixedCurrencies => Kind::MixedCurrencies,
        Refusal::Busy => Kind::Busy,
        Refusal::TryAgain => Kind::TryAgain,
    };
    message.kind = kind.into();
    message
}

fn refusal_from_message(message: &pb::Refusal) -> Result<Refusal, Malformed> {
    let kind = Kind::try_from(message.kind).map_err(|_| Malformed("kind of refusal"))?;
    let named = || sku(&message.sku);
    Ok(match kind {
        Kind::Unspecified => return Err(Malformed("kind of refusal")),
        Kind::SoldOut => Refusal::SoldOut { sku: named()? },
        Kind::LimitReached => Refusal::LimitReached {
            sku: named()?,
            limit: message.limit,
        },
        Kind::NotOnSale => Refusal::NotOnSale {
            sku: named()?,
            starts: Millis(message.starts_ms),
        },
        Kind::SaleEnded => Refusal::SaleEnded { sku: named()? },
        Kind::Paused => Refusal::Paused { sku: named()? },
        Kind::KeyReused => Refusal::KeyReused,
        Kind::UnknownSku => Refusal::UnknownSku { sku: named()? },
        Kind::UnknownOrder => Refusal::UnknownOrder,
        Kind::WrongStatus => Refusal::WrongStatus {
            status: status(message.status)?,
        },
        Kind::PaymentInProgress => Refusal::PaymentInProgress,
        Kind::DeadlineTooNear => Refusal::DeadlineTooNear,
        Kind::ChargeClosed => Refusal::ChargeClosed,
        Kind::AlreadyPaid => Refusal::AlreadyPaid {
            charge: charge(&message.charge)?,
        },
        Kind::RefundDue => Refusal::RefundDue,
        Kind::BelowCommitted => Refusal::BelowCommitted {
            held: message.held,
            sold: message.sold,
        },
        Kind::MissingFields => Refusal::MissingFields(kept(&message.text)),
        Kind::Malformed => Refusal::Malformed(kept(&message.text)),
        Kind::MixedCurrencies => Refusal::MixedCurrencies,
        Kind::Bound => Refusal::Bound(bound(message.bound)?),
        Kind::Busy => Refusal::Busy,
        Kind::TryAgain => Refusal::TryAgain,
    })
}

fn bound_to_message(bound: Bound) -> pb::Bound {
    match bound {
        Bound::Orders => pb::Bound::Orders,
        Bound::Buyers => pb::Bound::Buyers,
        Bound::Skus => pb::Bound::Skus,
        Bound::Gathering => pb::Bound::Gathering,
        Bound::Holds => pb::Bound::Holds,
        Bound::Charges => pb::Bound::Charges,
        Bound::Changes => pb::Bound::Changes,
    }
}

fn bound(number: i32) -> Result<Bound, Malformed> {
    Ok(
        match pb::Bound::try_from(number).map_err(|_| Malformed("bound"))? {
            pb::Bound::Orders => Bound::Orders,
            pb::Bound::Buyers => Bound::Buyers,
            pb::Bound::Skus => Bound::Skus,
            pb::Bound::Gathering => Bound::Gathering,
            pb::Bound::Holds => Bound::Holds,
            pb::Bound::Charges => Bound::Charges,
            pb::Bound::Changes => Bound::Changes,
        },
    )
}

/// Texts kept at most: a shard's are a dozen.
const KEPT_MAX: usize = 64;

/// A text of the edge's program for as long as this one runs, as the shard's own are.
fn kept(text: &str) -> &'static str {
    static KEPT: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());
    let mut all = KEPT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(known) = all.iter().find(|known| **known == text) {
        return known;
    }
    if all.len() >= KEPT_MAX {
        return "the request is not well-formed";
    }
    let new: &'static str = Box::leak(text.to_owned().into_boxed_str());
    all.push(new);
    new
}
