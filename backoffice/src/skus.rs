//! SKUs as the API shows them.

use serde::Serialize;
use tidegate_shard_core::command::LimitScope;
use tidegate_shard_core::entry::SkuPut;

use crate::time::rfc3339;

/// A SKU's settings. Units that can be ordered are the shards' to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sku {
    /// Its name for programs.
    pub sku: String,
    /// Its name for people.
    pub name: String,
    /// In minor units.
    pub price: u64,
    /// ISO 4217 letters.
    pub currency: String,
    /// Units ever put on sale.
    pub stock: u64,
    /// Units a buyer may hold and have bought.
    pub buyer_limit: Option<u32>,
    /// `sku` or `group`.
    pub limit_scope: String,
    /// First moment of the sale.
    pub sale_start: Option<String>,
    /// First moment after the sale.
    pub sale_end: Option<String>,
    /// How long an unpaid order holds its stock.
    pub hold_seconds: u32,
    /// Orders are refused for now.
    pub paused: bool,
}

impl From<&SkuPut> for Sku {
    fn from(put: &SkuPut) -> Sku {
        let scope = match put.limit_scope {
            LimitScope::Sku => "sku",
            LimitScope::Group => "group",
        };
        Sku {
            sku: put.sku.to_string(),
            name: put.name.to_string(),
            price: put.price,
            currency: String::from_utf8_lossy(&put.currency).into_owned(),
            stock: put.stocked,
            buyer_limit: put.buyer_limit,
            limit_scope: scope.to_owned(),
            sale_start: put.sale_start.map(rfc3339),
            sale_end: put.sale_end.map(rfc3339),
            hold_seconds: put.hold_ms / 1000,
            paused: put.paused,
        }
    }
}
