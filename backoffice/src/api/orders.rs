//! `GET /v1/orders`, `GET /v1/orders/{id}` and its history.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use http::{StatusCode, Uri};
use serde::Serialize;
use tidegate_rows::Filter;
use tidegate_shard_core::{OrderId, OrderStatus, SkuName};

use crate::api::answer;
use crate::api::caller::User;
use crate::api::code::Code;
use crate::api::parameters::{Parameters, invalid};
use crate::api::problem::Problem;
use crate::orders::{Order, Step};
use crate::shop::Shop;

/// What everybody may ask for.
const OWN: [&str; 3] = ["limit", "after", "status"];
/// What an operator may ask for.
const ALL: [&str; 7] = ["limit", "after", "status", "user", "sku", "from", "to"];

#[derive(Serialize)]
struct Page {
    orders: Vec<Order>,
    /// The `after` of the next page; `null` on the last.
    next: Option<String>,
}

/// `GET /v1/orders`: the caller's own, newest first; an operator's list is everybody's.
pub(super) async fn list(State(shop): State<Arc<Shop>>, user: User, uri: Uri) -> Result<Response, Problem> {
    let parameters = Parameters::read(&uri, &ALL)?;
    if !user.operator
        && let Some(name) = ALL
            .iter()
            .find(|name| !OWN.contains(name) && parameters.text(name).is_some())
    {
        return Err(Problem::new(
            Code::Forbidden,
            format!("`{name}` is for the role operator"),
        ));
    }
    let filter = filter(&parameters, &user)?;
    let limit = parameters.limit()?;
    // One more than the page, if there is one.
    let mut rows = shop.rows.orders(filter, limit + 1).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let orders: Vec<Order> = rows.iter().map(Order::from).collect();
    let next = orders.last().filter(|_| more).map(|order| order.order_id.clone());
    let link = next.as_deref().map(|next| parameters.link("/v1/orders", next));
    Ok(answer::page(&Page { orders, next }, link))
}

fn filter(parameters: &Parameters, user: &User) -> Result<Filter, Problem> {
    let status = |word: &str| {
        use OrderStatus::{Cancelled, Confirmed, Expired, Pending};
        [Pending, Confirmed, Cancelled, Expired]
            .into_iter()
            .find(|status| status.as_str() == word)
    };
    let filter = Filter {
        buyer: (!user.operator).then_some(user.buyer),
        user: match user.operator {
            true => parameters.text("user").map(str::to_owned),
            // The store finds orders by subject, and compares the buyer.
            false => Some(user.subject.to_string()),
        },
        status: parameters.parsed("status", "pending, confirmed, cancelled or expired", status)?,
        sku: parameters.parsed("sku", "1 to 47 characters of A-Z a-z 0-9 . _ : -", |text| {
            SkuName::parse(text.as_bytes()).ok()
        })?,
        from: parameters.time("from")?,
        to: parameters.time("to")?,
        after: parameters.parsed("after", "the id of an order", |text| text.parse().ok())?,
    };
    match (filter.from, filter.to) {
        (Some(from), Some(to)) if from >= to => Err(invalid("`from` is before `to`, not after it".into())),
        _ => Ok(filter),
    }
}

/// `GET /v1/orders/{id}`: of an order that has left its shard's memory.
pub(super) async fn read(
    State(shop): State<Arc<Shop>>,
    user: User,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let order = visible(&shop, &user, &id).await?;
    Ok(answer::json(StatusCode::OK, &order))
}

#[derive(Serialize)]
struct History {
    order_id: String,
    steps: Vec<Step>,
}

/// `GET /v1/orders/{id}/history`.
pub(super) async fn history(
    State(shop): State<Arc<Shop>>,
    user: User,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let order = visible(&shop, &user, &id).await?;
    let id = order_id(&id)?;
    let steps = shop.rows.history(id).await?.into_iter().map(Step::from).collect();
    Ok(answer::json(
        StatusCode::OK,
        &History {
            order_id: order.order_id,
            steps,
        },
    ))
}

/// The order in the store, if the caller may see it.
pub(super) async fn visible(shop: &Shop, user: &User, id: &str) -> Result<Order, Problem> {
    let (id, buyer) = (order_id(id)?, (!user.operator).then_some(user.buyer));
    let found = shop.rows.order(id).await?;
    found
        .filter(|row| buyer.is_none_or(|buyer| row.buyer == buyer))
        .map(|row| Order::from(&row))
        .ok_or_else(Problem::unknown_order)
}

pub(super) fn order_id(text: &str) -> Result<OrderId, Problem> {
    text.parse().map_err(|_| {
        Problem::new(
            Code::UnknownOrder,
            "an order id is a decimal number of up to 19 digits",
        )
    })
}
