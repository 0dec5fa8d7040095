//! Rows as values for the database, and values from it as rows.

use std::sync::Arc;

use mysql_async::{Row, Value};
use tidegate_follow::OrderRow;
use tidegate_shard_core::command::LimitScope;
use tidegate_shard_core::entry::SkuPut;
use tidegate_shard_core::{Buyer, ChargeId, Lines, Millis, OrderId, OrderStatus, SkuName};

use crate::MysqlError;

/// The word of an order that gathers holds from other shards.
pub(crate) const GATHERING: &str = "gathering";
const STATUSES: [OrderStatus; 4] = [
    OrderStatus::Pending,
    OrderStatus::Confirmed,
    OrderStatus::Cancelled,
    OrderStatus::Expired,
];

/// Text as a value.
pub(crate) fn text(text: &str) -> Value {
    Value::Bytes(text.as_bytes().to_vec())
}

fn charge(charge: Option<ChargeId>) -> Value {
    charge.map_or(Value::NULL, |charge| Value::Bytes(charge.as_bytes().to_vec()))
}

/// An order's row: [`ORDER_COLUMNS`](crate::statement::ORDER_COLUMNS).
pub(crate) fn order_values(row: &OrderRow, values: &mut Vec<Value>) {
    values.extend([
        Value::UInt(row.order.0),
        Value::Bytes(row.buyer.0.to_vec()),
        text(&row.user),
        text(row.status.map_or(GATHERING, OrderStatus::as_str)),
        Value::UInt(row.total),
        Value::Bytes(row.currency.to_vec()),
        Value::UInt(row.placed_at.0),
        Value::UInt(row.changed_at.0),
        Value::UInt(row.pay_by.0),
        charge(row.charge),
        charge(row.refund_due),
    ]);
}

/// An order from its row, without its lines.
pub(crate) fn order_of(row: &Row) -> Result<OrderRow, MysqlError> {
    let mut row = Columns { row, at: 0 };
    Ok(OrderRow {
        order: OrderId(row.next()?),
        buyer: Buyer(row.exactly()?),
        user: Arc::from(row.next::<String>()?),
        lines: Lines::new(),
        status: row.next_as(status)?,
        total: row.next()?,
        currency: row.exactly()?,
        placed_at: Millis(row.next()?),
        changed_at: Millis(row.next()?),
        pay_by: Millis(row.next()?),
        charge: row.charge()?,
        refund_due: row.charge()?,
    })
}

fn status(word: &str) -> Option<Option<OrderStatus>> {
    match word {
        GATHERING => Some(None),
        word => STATUSES
            .into_iter()
            .find(|status| status.as_str() == word)
            .map(Some),
    }
}

/// A SKU as its row has it.
#[derive(Clone, Debug)]
pub(crate) struct SkuRow {
    pub(crate) put: SkuPut,
    pub(crate) changed_at: Millis,
}

pub(crate) fn sku_values(row: &SkuRow, values: &mut Vec<Value>) {
    let SkuRow { put, changed_at } = row;
    let scope = match put.limit_scope {
        LimitScope::Sku => "sku",
        LimitScope::Group => "group",
    };
    let moment = |at: Option<Millis>| at.map_or(Value::NULL, |at| Value::UInt(at.0));
    values.extend([
        text(put.sku.as_str()),
        text(&put.name),
        Value::UInt(put.price),
        Value::Bytes(put.currency.to_vec()),
        Value::UInt(put.stocked),
        put.buyer_limit
            .map_or(Value::NULL, |limit| Value::UInt(limit.into())),
        text(scope),
        moment(put.sale_start),
        moment(put.sale_end),
        Value::UInt(put.hold_ms.into()),
        Value::UInt(put.paused.into()),
        Value::UInt(changed_at.0),
    ]);
}

pub(crate) fn sku_of(row: &Row) -> Result<SkuRow, MysqlError> {
    let mut row = Columns { row, at: 0 };
    let put = SkuPut {
        sku: row.sku()?,
        name: row.next::<String>()?.into(),
        price: row.next()?,
        currency: row.exactly()?,
        stocked: row.next()?,
        buyer_limit: row.next()?,
        limit_scope: row.next_as(|word| match word {
            "sku" => Some(LimitScope::Sku),
            "group" => Some(LimitScope::Group),
            _ => None,
        })?,
        sale_start: row.next::<Option<u64>>()?.map(Millis),
        sale_end: row.next::<Option<u64>>()?.map(Millis),
        hold_ms: row.next()?,
        paused: row.next()?,
    };
    let changed_at = Millis(row.next()?);
    Ok(SkuRow { put, changed_at })
}

/// Reads a row from left to right. A value of another kind is somebody else's doing, and is named.
#[derive(Debug)]
pub(crate) struct Columns<'a> {
    row: &'a Row,
    at: usize,
}

impl<'a> Columns<'a> {
    pub(crate) fn of(row: &'a Row) -> Columns<'a> {
        Columns { row, at: 0 }
    }

    pub(crate) fn next<T: mysql_async::prelude::FromValue>(&mut self) -> Result<T, MysqlError> {
        let got = self.row.get_opt(self.at);
        self.at += 1;
        match got {
            Some(Ok(value)) => Ok(value),
            Some(Err(_)) | None => Err(self.strange()),
        }
    }

    pub(crate) fn next_as<T>(&mut self, read: impl FnOnce(&str) -> Option<T>) -> Result<T, MysqlError> {
        let word: String = self.next()?;
        read(&word).ok_or_else(|| self.strange())
    }

    pub(crate) fn sku(&mut self) -> Result<SkuName, MysqlError> {
        self.next_as(|word| word.parse().ok())
    }

    pub(crate) fn exactly<const N: usize>(&mut self) -> Result<[u8; N], MysqlError> {
        let bytes: Vec<u8> = self.next()?;
        bytes.try_into().map_err(|_| self.strange())
    }

    fn charge(&mut self) -> Result<Option<ChargeId>, MysqlError> {
        let word: Option<String> = self.next()?;
        let charge = word.map(|word| word.parse()).transpose();
        charge.map_err(|_| self.strange())
    }

    pub(crate) fn strange(&self) -> MysqlError {
        let column = self.row.columns_ref().get(self.at - 1);
        MysqlError::Refused(format!(
            "a row of the store has in column {} what this program did not write: {:?}",
            column.map_or_else(
                || self.at.to_string(),
                |column| format!("`{}`", column.name_str())
            ),
            self.row
        ))
    }
}
