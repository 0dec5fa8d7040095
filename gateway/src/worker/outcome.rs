//! What a shard answered, as HTTP: status, headers and JSON.

use tidegate_shard_core::command::LimitScope;
use tidegate_shard_core::outcome::Bound;
use tidegate_shard_core::{Millis, OrderView, Outcome, Refusal as Refused, SkuView, StockView};

use tidegate_host::Unavailable;

use crate::codes::Code;
use crate::worker::answer::{Draft, push_json_string, push_number, push_rfc3339};
use crate::worker::jitter::Jitter;
use crate::worker::refusal::Refusal;
use crate::worker::stock_view::StockLine;

/// What the mapping needs beside the outcome.
pub struct Context<'a> {
    /// Index of the request's route: only a fresh order is "created".
    pub route: usize,
    /// Wall clock, unix milliseconds, for `Retry-After` until a sale begins.
    pub wall_ms: u64,
    /// Spreads the retries of a crowd.
    pub jitter: &'a mut Jitter,
}

/// Writes the answer to `outcome` into `draft`; returns the refusal's code, if it is one.
pub fn write(draft: &mut Draft, outcome: &Outcome, context: Context<'_>) -> Option<Code> {
    match outcome {
        Outcome::Order(view) => order(draft, view, context.route),
        Outcome::Stock(view) => stock_view(draft, view),
        Outcome::Sku(view) => sku(draft, view),
        Outcome::Refused(refused) => {
            let refusal = refusal(refused, context.wall_ms, context.jitter);
            refusal.write(draft);
            return Some(refusal.code());
        }
    }
    None
}

fn order(draft: &mut Draft, view: &OrderView, route: usize) {
    let placed = route == PLACE;
    draft.begin(if placed { 201 } else { 200 });
    draft.header("content-type", b"application/json");
    let id = view.id.0;
    if placed {
        draft.header_with("location", |out| {
            out.extend_from_slice(b"/v1/orders/");
            push_number(out, id);
        });
        if view.repeated {
            draft.header("idempotency-replayed", b"true");
        }
    }
    let body = &mut draft.body;
    body.extend_from_slice(b"{\"order_id\":\"");
    push_number(body, id);
    body.extend_from_slice(b"\",\"status\":\"");
    body.extend_from_slice(view.status.as_str().as_bytes());
    body.extend_from_slice(b"\",\"total\":");
    push_number(body, view.total);
    body.extend_from_slice(b",\"currency\":\"");
    body.extend_from_slice(&view.currency);
    body.push(b'"');
    push_time(body, "pay_by", Some(view.pay_by));
    push_time(body, "created", Some(view.created));
    body.extend_from_slice(b",\"lines\":[");
    for (index, line) in view.lines.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        body.extend_from_slice(b"{\"sku\":\"");
        body.extend_from_slice(line.sku.as_bytes());
        body.extend_from_slice(b"\",\"qty\":");
        push_number(body, u64::from(line.qty));
        body.push(b'}');
    }
    body.extend_from_slice(b"]}");
}

/// Index of the route that places orders.
pub const PLACE: usize = 0;

fn push_time(out: &mut Vec<u8>, name: &str, time: Option<Millis>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    match time {
        Some(Millis(ms)) => {
            out.push(b'"');
            push_rfc3339(out, ms);
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
}

fn stock_view(draft: &mut Draft, view: &StockView) {
    stock(draft, view.sku.as_str(), &StockLine::from(view));
}

/// The stock of a SKU: from the snapshot of this thread, or exact from the shard.
pub fn stock(draft: &mut Draft, sku: &str, line: &StockLine) {
    draft.begin(200);
    draft.header("content-type", b"application/json");
    draft.header("cache-control", b"max-age=1");
    draft.body.push(b'{');
    push_stock(&mut draft.body, sku, line);
    draft.body.push(b'}');
}

fn push_stock(body: &mut Vec<u8>, sku: &str, line: &StockLine) {
    body.extend_from_slice(b"\"sku\":\"");
    body.extend_from_slice(sku.as_bytes());
    body.push(b'"');
    let numbers = [
        ("stocked", line.stocked),
        ("available", line.available),
        ("held", line.held),
        ("sold", line.sold),
        ("op", line.op),
    ];
    for (name, value) in numbers {
        body.extend_from_slice(b",\"");
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(b"\":");
        push_number(body, value);
    }
}

fn sku(draft: &mut Draft, view: &SkuView) {
    draft.begin(200);
    draft.header("content-type", b"application/json");
    let body = &mut draft.body;
    body.push(b'{');
    push_stock(body, view.stock.sku.as_str(), &StockLine::from(&view.stock));
    body.extend_from_slice(b",\"name\":");
    push_json_string(body, &view.name);
    body.extend_from_slice(b",\"price\":");
    push_number(body, view.price);
    body.extend_from_slice(b",\"currency\":\"");
    body.extend_from_slice(&view.currency);
    body.extend_from_slice(b"\",\"buyer_limit\":");
    match view.buyer_limit {
        Some(limit) => push_number(body, u64::from(limit)),
        None => body.extend_from_slice(b"null"),
    }
    body.extend_from_slice(b",\"limit_scope\":");
    let scope: &[u8] = match view.limit_scope {
        LimitScope::Sku => b"\"sku\"",
        LimitScope::Group => b"\"group\"",
    };
    body.extend_from_slice(scope);
    push_time(body, "sale_start", view.sale_start);
    push_time(body, "sale_end", view.sale_end);
    body.extend_from_slice(b",\"hold_seconds\":");
    push_number(body, u64::from(view.hold_ms / 1000));
    body.extend_from_slice(if view.paused {
        b",\"paused\":true}"
    } else {
        b",\"paused\":false}"
    });
}

/// One place maps a shard's refusals to codes.
fn refusal(refused: &Refused, wall_ms: u64, jitter: &mut Jitter) -> Refusal {
    match refused {
        Refused::SoldOut { sku } => Refusal::new(
            Code::SoldOut,
            format!("{sku} has fewer units available than asked for"),
        ),
        Refused::LimitReached { sku, limit } => Refusal::new(
            Code::LimitReached,
            format!("a buyer may have {limit} units of {sku}"),
        ),
        Refused::NotOnSale { sku, starts } => {
            let wait_s = starts.0.saturating_sub(wall_ms).div_ceil(1000);
            let mut when = Vec::new();
            push_rfc3339(&mut when, starts.0);
            let detail = format!("the sale of {sku} begins at {}", String::from_utf8_lossy(&when));
            Refusal::new(Code::NotOnSale, detail).retry_after(jitter.spread(wait_s))
        }
        Refused::SaleEnded { sku } => Refusal::new(Code::SaleEnded, format!("the sale of {sku} is over")),
        Refused::Paused { sku } => {
            Refusal::new(Code::Paused, format!("the sale of {sku} is paused")).retry_after(jitter.spread(5))
        }
        Refused::KeyReused => Refusal::new(
            Code::KeyReused,
            "this Idempotency-Key came before with other lines",
        ),
        Refused::UnknownSku { sku } => Refusal::new(Code::UnknownSku, format!("there is no SKU {sku}")),
        Refused::UnknownOrder => Refusal::new(
            Code::UnknownOrder,
            "there is no such order, or it is someone else's",
        ),
        Refused::WrongStatus { status } => {
            Refusal::new(Code::WrongStatus, format!("the order is {}", status.as_str()))
        }
        Refused::PaymentInProgress => Refusal::new(Code::PaymentOpen, "another charge of this order is open"),
        Refused::DeadlineTooNear => Refusal::new(
            Code::DeadlineNear,
            "the order's pay_by is too near to start a payment",
        ),
        Refused::ChargeClosed => Refusal::new(
            Code::ChargeClosed,
            "this charge was closed; a payment needs a new one",
        ),
        Refused::AlreadyPaid { charge } => Refusal::new(
            Code::AlreadyPaid,
            format!("charge {charge} has paid this order; refund the other"),
        ),
        Refused::RefundDue => Refusal::new(
            Code::RefundDue,
            "the order had ended and its stock is gone: refund the charge",
        ),
        Refused::BelowCommitted { held, sold } => Refusal::new(
            Code::BelowCommitted,
            format!("{held} units are held and {sold} sold"),
        ),
        Refused::MissingFields(which) => Refusal::new(Code::MissingFields, *which),
        Refused::Malformed(what) => Refusal::new(Code::InvalidBody, *what),
        Refused::MixedCurrencies => Refusal::new(Code::MixedCurrencies, "an order is paid in one currency"),
        Refused::Bound(bound) => {
            Refusal::new(Code::AtBound, bound_words(*bound)).retry_after(jitter.spread(2))
        }
        Refused::Busy => {
            Refusal::new(Code::TryAgain, "the shard waits for its next ids to be durable").retry_after(1)
        }
        Refused::TryAgain => {
            Refusal::new(Code::TryAgain, "another shard did not answer in time").retry_after(jitter.spread(1))
        }
    }
}

/// A shard that was not asked.
pub fn unavailable(why: Unavailable, jitter: &mut Jitter) -> Refusal {
    let (code, detail) = match why {
        Unavailable::Backlog => (
            Code::BacklogFull,
            "store or bus are as far behind the log as they may be; nothing was reserved",
        ),
        Unavailable::LogFull => (
            Code::LogFull,
            "the log cannot take more now; nothing was reserved",
        ),
        Unavailable::Congested => (
            Code::Overloaded,
            "too many orders over several shards are under way",
        ),
        Unavailable::NotHere | Unavailable::NotStarted => {
            (Code::TryAgain, "the shard is not being served yet")
        }
        Unavailable::Stopped => (
            Code::TryAgain,
            "the shard was stopped, since its store has another history; nothing was reserved",
        ),
        Unavailable::NotPublished => (
            Code::OutcomeUnknown,
            "the shard was stopped before the bus had it: what became of it is not known here",
        ),
        Unavailable::TooManyWaiting => (
            Code::OutcomeUnknown,
            "the same order is under way for too many callers: ask again with the same key",
        ),
    };
    Refusal::new(code, detail).retry_after(jitter.spread(1))
}

fn bound_words(bound: Bound) -> &'static str {
    match bound {
        Bound::Orders => "the shard remembers as many orders as it may",
        Bound::Buyers => "the shard counts as many buyers as it may",
        Bound::Skus => "the shard has as many SKUs as it may",
        Bound::Gathering => "the shard gathers as many orders from other shards as it may",
        Bound::Holds => "the shard holds as much for other shards as it may",
        Bound::Charges => "this order has had as many charges as it may",
        Bound::Changes => "the shard remembers as many stock changes as it may",
    }
}
