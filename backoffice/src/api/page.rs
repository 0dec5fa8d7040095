//! The payment page of the provider `simulated`: plain forms, no script, nothing from elsewhere.
//!
//! Whoever knows a charge's id may decide about it, as with a payment link of a real provider: the id has 128 random bits, so a
//! page of somebody else cannot name one (and that is what a forged form would need).

use std::sync::Arc;

use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use tidegate_shard_core::ChargeId;

use crate::pay::{Asking, Book, Charge, ChargeStatus, SimulatedAction, Standing};
use crate::shop::Shop;
use crate::time::rfc3339;

/// How long a decision waits for the shard before the page is shown all the same; the recovery job goes on.
const DRIVE_TIME: std::time::Duration = std::time::Duration::from_secs(2);

/// What the forms send.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Decision {
    action: SimulatedAction,
}

/// `GET /pay/simulated/{charge}`.
pub(super) async fn show(State(shop): State<Arc<Shop>>, Path(charge): Path<String>) -> Response {
    match both(&shop, &charge).await {
        Ok(Some((charge, book))) => html(StatusCode::OK, &page(&charge, &book)),
        Ok(None) => missing(),
        Err(()) => broken(),
    }
}

/// `POST /pay/simulated/{charge}`: decides, delivers the callback, and shows the page again.
pub(super) async fn act(
    State(shop): State<Arc<Shop>>,
    Path(charge): Path<String>,
    form: Result<Form<Decision>, axum::extract::rejection::FormRejection>,
) -> Response {
    let Ok(Form(Decision { action })) = form else {
        return html(
            StatusCode::BAD_REQUEST,
            &simple("Not understood", "Choose one of the buttons of the page."),
        );
    };
    let id = match both(&shop, &charge).await {
        Ok(Some((charge, _))) => charge.id,
        Ok(None) => return missing(),
        Err(()) => return broken(),
    };
    match shop.simulated.act(id, action).await {
        Ok(Some(raw)) => {
            let asking = Asking {
                headers: &HeaderMap::new(),
                raw: &raw,
            };
            if shop.payments.callback(asking).await.is_err() {
                // A callback that was not taken is repeated by nobody here: the shop asks by itself.
                tracing::warn!(
                    charge = id.as_str(),
                    "a callback of the simulated provider was not taken"
                );
            }
            _ = tokio::time::timeout(DRIVE_TIME, shop.payments.drive(id)).await;
        }
        Ok(None) => {}
        Err(_) => return broken(),
    }
    Redirect::to(&format!("/pay/simulated/{id}")).into_response()
}

async fn both(shop: &Shop, charge: &str) -> Result<Option<(Charge, Book)>, ()> {
    let Ok(id) = ChargeId::parse(charge.as_bytes()) else {
        return Ok(None);
    };
    let charge = shop.payments.find(id).await.map_err(drop)?;
    let book = shop.simulated.look(id).await.map_err(drop)?;
    Ok(charge.zip(book))
}

fn page(charge: &Charge, book: &Book) -> String {
    let currency = String::from_utf8_lossy(&charge.currency);
    let amount = format!("{} {currency}", money(charge.amount));
    let facts = format!(
        "<dl><dt>Order</dt><dd>{}</dd><dt>Amount</dt><dd>{amount}</dd><dt>Pay before</dt><dd>{}</dd></dl>",
        charge.order,
        rfc3339(charge.close_at)
    );
    let state = match (book.standing, charge.status) {
        (_, ChargeStatus::Paid) => "<p role=\"status\">Paid. The order is confirmed.</p>".into(),
        (_, ChargeStatus::RefundDue | ChargeStatus::Refunded) => {
            "<p role=\"status\">The order had ended: the money goes back.</p>".into()
        }
        (Standing::Open, ChargeStatus::Created | ChargeStatus::Started) => match book.pays_at {
            Some(at) => format!(
                "<p role=\"status\">Approved; the money arrives at {}.</p>",
                rfc3339(at)
            ),
            None => buttons(&amount),
        },
        (Standing::Paid { .. }, _) => "<p role=\"status\">Paid; the shop is being told.</p>".into(),
        (Standing::Declined, _) => "<p role=\"status\">Declined. Nothing was paid.</p>".into(),
        _ => "<p role=\"status\">Closed. This charge can no longer be paid.</p>".into(),
    };
    layout(
        "Simulated payment",
        &format!("<p>No money moves here.</p>{facts}{state}"),
    )
}

fn buttons(amount: &str) -> String {
    format!(
        "<form method=\"post\"><button name=\"action\" value=\"approve\">Pay {amount}</button> \
         <button name=\"action\" value=\"decline\">Decline</button> \
         <button name=\"action\" value=\"delay\">Pay, but let it arrive 20 seconds late</button></form>"
    )
}

/// Minor units as people write them. Two digits: the simulated bank knows no other currencies.
fn money(minor: u64) -> String {
    format!("{}.{:02}", minor / 100, minor % 100)
}

fn simple(title: &str, text: &str) -> String {
    layout(title, &format!("<p>{text}</p>"))
}

/// Everything put into it is ours or was checked: no text of a client is on these pages.
fn layout(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"referrer\" content=\"no-referrer\">\
         <meta name=\"color-scheme\" content=\"light dark\"></head>\
         <body><main><h1>{title}</h1>{body}</main></body></html>"
    )
}

fn missing() -> Response {
    html(
        StatusCode::NOT_FOUND,
        &simple(
            "No such payment",
            "The address is not one that the shop has given out.",
        ),
    )
}

fn broken() -> Response {
    html(
        StatusCode::SERVICE_UNAVAILABLE,
        &simple("Not now", "The payment cannot be looked up now. Try again."),
    )
}

fn html(status: StatusCode, page: &str) -> Response {
    let policy = "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
    let mut response = (status, page.to_owned()).into_response();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}
