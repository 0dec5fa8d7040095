//! `POST /v1/orders/{id}/pay`.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use tidegate_shard_core::{Command, OrderStatus, OrderView, Outcome, Refusal};

use crate::api::answer;
use crate::api::caller::User;
use crate::api::code::Code;
use crate::api::orders::{order_id, visible};
use crate::api::problem::Problem;
use crate::shop::Shop;
use crate::time::rfc3339;

#[derive(Serialize)]
struct ChargeBody<'a> {
    charge: &'a str,
    order_id: String,
    status: &'a str,
    amount: u64,
    currency: std::borrow::Cow<'a, str>,
    /// Where the buyer pays: absolute, or a path of this shop.
    payment_url: Option<&'a str>,
    expires: String,
}

/// Makes a charge for a pending order, or finds the one that is under way.
pub(super) async fn pay(
    State(shop): State<Arc<Shop>>,
    user: User,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let order = payable(&shop, &user, &id).await?;
    let (charge, repeated) = shop.payments.pay(&order).await?;
    let body = ChargeBody {
        charge: charge.id.as_str(),
        order_id: charge.order.to_string(),
        status: charge.status.as_str(),
        amount: charge.amount,
        currency: String::from_utf8_lossy(&charge.currency),
        payment_url: charge.payment_url.as_deref(),
        expires: rfc3339(charge.close_at),
    };
    let mut response = answer::json(StatusCode::CREATED, &body);
    if repeated {
        let header = HeaderName::from_static("idempotency-replayed");
        response
            .headers_mut()
            .insert(header, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// The caller's order, if it can be paid at all. The shard has the last word when the payment is started.
async fn payable(shop: &Shop, user: &User, id: &str) -> Result<OrderView, Problem> {
    let read = Command::ReadOrder {
        order: order_id(id)?,
        caller: user.on_behalf(),
    };
    let status = match shop.shards.ask(read).await? {
        Outcome::Order(view) if view.status == OrderStatus::Pending => return Ok(view),
        Outcome::Order(view) => view.status.as_str().to_owned(),
        // It has ended and left the shard's memory, or it never was.
        Outcome::Refused(Refusal::UnknownOrder) => visible(shop, user, id).await?.status,
        Outcome::Refused(refusal) => return Err(Problem::refused(&refusal)),
        other => return Err(Problem::unexpected(&other)),
    };
    Err(match status.as_str() {
        "confirmed" => Problem::new(Code::AlreadyPaid, "the order is paid"),
        status => Problem::new(Code::WrongStatus, format!("the order is {status}")),
    })
}
