//! Commands from a backoffice to the shards: those that its payments and its catalogue give.

use std::fmt;

use tidegate_shard_core::command::LimitScope;
use tidegate_shard_core::{Buyer, Caller, Command, Millis, OrderId, PutSku};

use super::{Malformed, charge, currency, letters, sku};
use crate::pb::{self, desk_command::Command as Body};

/// A command that no backoffice gives: its clients give it at the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotForTheDesk;

impl fmt::Display for NotForTheDesk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this command is given at the edge only")
    }
}

impl std::error::Error for NotForTheDesk {}

/// A command as a message.
///
/// # Errors
/// It is none of a backoffice's.
pub fn to_message(command: &Command) -> Result<Body, NotForTheDesk> {
    Ok(match command {
        Command::ReadOrder { order, caller } => Body::ReadOrder(pb::ReadOrder {
            order: order.0,
            buyer: match caller {
                Caller::Buyer(Buyer(bytes)) => Some(bytes.to_vec().into()),
                Caller::Operator => None,
            },
        }),
        Command::StartPayment { order, charge } => Body::StartPayment(pb::StartPayment {
            order: order.0,
            charge: charge.to_string(),
        }),
        Command::Confirm { order, charge } => Body::Confirm(pb::Confirm {
            order: order.0,
            charge: charge.to_string(),
        }),
        Command::CloseCharge { order, charge } => Body::CloseCharge(pb::CloseCharge {
            order: order.0,
            charge: charge.to_string(),
        }),
        Command::ReadSku { sku } => Body::ReadSku(pb::ReadSku { sku: sku.to_string() }),
        Command::PutSku(put) => Body::PutSku(put_to_message(put)),
        Command::Place(_) | Command::Cancel { .. } | Command::ChangeStock(_) | Command::ReadStock { .. } => {
            return Err(NotForTheDesk);
        }
    })
}

/// A message as a command.
///
/// # Errors
/// [`Malformed`].
pub fn from_message(body: Body) -> Result<Command, Malformed> {
    Ok(match body {
        Body::ReadOrder(read) => Command::ReadOrder {
            order: order(read.order)?,
            caller: match read.buyer {
                Some(bytes) => Caller::Buyer(buyer(&bytes)?),
                None => Caller::Operator,
            },
        },
        Body::StartPayment(start) => Command::StartPayment {
            order: order(start.order)?,
            charge: charge(&start.charge)?,
        },
        Body::Confirm(confirm) => Command::Confirm {
            order: order(confirm.order)?,
            charge: charge(&confirm.charge)?,
        },
        Body::CloseCharge(close) => Command::CloseCharge {
            order: order(close.order)?,
            charge: charge(&close.charge)?,
        },
        Body::ReadSku(read) => Command::ReadSku { sku: sku(&read.sku)? },
        Body::PutSku(put) => Command::PutSku(Box::new(put_from_message(put)?)),
    })
}

pub(super) fn buyer(bytes: &[u8]) -> Result<Buyer, Malformed> {
    bytes.try_into().map(Buyer).map_err(|_| Malformed("buyer"))
}

pub(super) fn order(number: u64) -> Result<OrderId, Malformed> {
    match number >> 63 {
        0 => Ok(OrderId(number)),
        _ => Err(Malformed("order")),
    }
}

pub(super) fn scope_to_message(scope: LimitScope) -> pb::LimitScope {
    match scope {
        LimitScope::Sku => pb::LimitScope::Sku,
        LimitScope::Group => pb::LimitScope::Group,
    }
}

pub(super) fn scope(number: i32) -> Result<LimitScope, Malformed> {
    match pb::LimitScope::try_from(number) {
        Ok(pb::LimitScope::Sku) => Ok(LimitScope::Sku),
        Ok(pb::LimitScope::Group) => Ok(LimitScope::Group),
        Err(_) => Err(Malformed("limit_scope")),
    }
}

fn put_to_message(put: &PutSku) -> pb::PutSku {
    let moment = |moment: Option<Option<Millis>>| {
        moment.map(|at| pb::Moment {
            ms: at.map(|at| at.0),
        })
    };
    pb::PutSku {
        sku: put.sku.to_string(),
        name: put.name.as_deref().map(str::to_owned),
        price: put.price,
        currency: put.currency.map(letters),
        stock: put.stock,
        buyer_limit: put.buyer_limit.map(|units| pb::BuyerLimit { units }),
        limit_scope: put.limit_scope.map(|scope| scope_to_message(scope).into()),
        sale_start: moment(put.sale_start),
        sale_end: moment(put.sale_end),
        hold_ms: put.hold_ms,
        paused: put.paused,
    }
}

fn put_from_message(put: pb::PutSku) -> Result<PutSku, Malformed> {
    let moment = |moment: Option<pb::Moment>| moment.map(|at| at.ms.map(Millis));
    Ok(PutSku {
        sku: sku(&put.sku)?,
        name: put.name.map(Into::into),
        price: put.price,
        currency: put.currency.as_deref().map(currency).transpose()?,
        stock: put.stock,
        buyer_limit: put.buyer_limit.map(|limit| limit.units),
        limit_scope: put.limit_scope.map(scope).transpose()?,
        sale_start: moment(put.sale_start),
        sale_end: moment(put.sale_end),
        hold_ms: put.hold_ms,
        paused: put.paused,
    })
}
