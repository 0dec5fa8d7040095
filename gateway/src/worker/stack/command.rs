//! A route, a caller and a body into the command that a shard understands.

use aws_lc_rs::digest;
use tidegate_conn::Request;
use tidegate_shard_core::command::LimitScope;
use tidegate_shard_core::{Buyer, ChangeStock, Command, KeyHash, Millis, Place, PutSku, SkuName, body_hash};

use crate::codes::Code;
use crate::worker::refusal::Refusal;
use crate::worker::stack::decode::{self, SkuBody};
use crate::worker::stack::identify::Caller;
use crate::worker::stack::route::Route;

/// Characters of an idempotency key; a UUID has 36.
const KEY_BYTES_MAX: usize = 128;
/// Bytes of a [`Buyer`].
const BUYER_BYTES: usize = size_of::<Buyer>();
/// The longest hold an operator may set: 24 h, the window in which keys are remembered.
const HOLD_SECONDS_MAX: u32 = 24 * 3600;

/// The command of a request.
pub fn of(route: &Route, caller: Option<&Caller>, request: &Request<'_>) -> Result<Command, Refusal> {
    match route {
        Route::ReadStock(sku) => return Ok(Command::ReadStock { sku: *sku }),
        Route::ReadSku(sku) => return Ok(Command::ReadSku { sku: *sku }),
        _ => {}
    }
    let caller =
        caller.ok_or_else(|| Refusal::new(Code::Unauthorized, "send Authorization: Bearer and a token"))?;
    Ok(match route {
        Route::Place => place(caller, request)?,
        Route::ReadOrder(order) => Command::ReadOrder {
            order: *order,
            caller: caller.on_behalf(),
        },
        Route::Cancel(order) => Command::Cancel {
            order: *order,
            caller: caller.on_behalf(),
        },
        Route::Confirm(order) => Command::Confirm {
            order: *order,
            charge: decode::charge(json(request)?)?,
        },
        Route::PutSku(sku) => Command::PutSku(Box::new(put_sku(*sku, decode::sku(json(request)?)?)?)),
        Route::ChangeStock(sku) => {
            let key = key(caller.buyer, request)?;
            let body = decode::stock_change(json(request)?)?;
            Command::ChangeStock(Box::new(ChangeStock {
                sku: *sku,
                delta: body.delta,
                reason: body.reason.into(),
                key,
            }))
        }
        Route::ReadStock(_) | Route::ReadSku(_) => unreachable!("answered above"),
        Route::Description => unreachable!("answered at once"),
        Route::Slow(_) => unreachable!("the backoffice answers it"),
    })
}

fn place(caller: &Caller, request: &Request<'_>) -> Result<Command, Refusal> {
    let key = key(caller.buyer, request)?;
    let lines = decode::lines(json(request)?)?;
    Ok(Command::Place(Place {
        buyer: caller.buyer,
        subject: caller.subject.clone(),
        key,
        body: body_hash(&lines),
        lines,
    }))
}

/// The body, if it is said to be JSON.
fn json<'a>(request: &Request<'a>) -> Result<&'a [u8], Refusal> {
    let media = request.head.picked.content_type.unwrap_or(b"application/json");
    let essence = media.split(|b| *b == b';').next().unwrap_or(media).trim_ascii();
    if essence.eq_ignore_ascii_case(b"application/json") {
        Ok(request.body)
    } else {
        Err(Refusal::new(
            Code::UnsupportedMedia,
            "send content-type: application/json",
        ))
    }
}

/// The first 16 bytes of SHA-256 over buyer and key: what the shard remembers instead of the key's text.
fn key(buyer: Buyer, request: &Request<'_>) -> Result<KeyHash, Refusal> {
    let Some(text) = request.head.picked.idempotency_key else {
        return Err(Refusal::new(
            Code::MissingKey,
            "send an Idempotency-Key, so that a repeat finds the same order",
        ));
    };
    if !(1..=KEY_BYTES_MAX).contains(&text.len()) || !text.iter().all(u8::is_ascii_graphic) {
        return Err(Refusal::new(
            Code::InvalidKey,
            "an Idempotency-Key is 1 to 128 visible ASCII characters",
        ));
    }
    // In one piece: a context of its own costs as much as the hash.
    let mut whole = [0; BUYER_BYTES + KEY_BYTES_MAX];
    let length = BUYER_BYTES + text.len();
    whole[..BUYER_BYTES].copy_from_slice(&buyer.0);
    whole[BUYER_BYTES..length].copy_from_slice(text);
    let mut hash = [0; 16];
    hash.copy_from_slice(&digest::digest(&digest::SHA256, &whole[..length]).as_ref()[..16]);
    Ok(KeyHash(hash))
}

fn put_sku(sku: SkuName, body: SkuBody) -> Result<PutSku, Refusal> {
    let invalid = |what: &'static str| Refusal::new(Code::InvalidBody, what);
    let currency = match body.currency.as_deref().map(str::as_bytes) {
        None => None,
        Some(&[a, b, c]) if [a, b, c].iter().all(u8::is_ascii_uppercase) => Some([a, b, c]),
        Some(_) => return Err(invalid("currency is three capital letters, as in CNY (ISO 4217)")),
    };
    let limit_scope = match body.limit_scope.as_deref() {
        None => None,
        Some("sku") => Some(LimitScope::Sku),
        Some("group") => Some(LimitScope::Group),
        Some(_) => return Err(invalid("limit_scope is \"sku\" or \"group\"")),
    };
    if body.name.as_ref().is_some_and(|name| name.len() > 200) {
        return Err(invalid("name is at most 200 bytes"));
    }
    if body
        .hold_seconds
        .is_some_and(|s| !(1..=HOLD_SECONDS_MAX).contains(&s))
    {
        return Err(invalid("hold_seconds is a number from 1 to 86400"));
    }
    let time = |field: &str, value: Option<Option<String>>| -> Result<Option<Option<Millis>>, Refusal> {
        match value {
            Some(Some(text)) => Ok(Some(Some(Millis(decode::sale_time(field, &text)?)))),
            Some(None) => Ok(Some(None)),
            None => Ok(None),
        }
    };
    Ok(PutSku {
        sku,
        name: body.name.map(String::into_boxed_str),
        price: body.price,
        currency,
        stock: body.stock,
        buyer_limit: body.buyer_limit,
        limit_scope,
        sale_start: time("sale_start", body.sale_start)?,
        sale_end: time("sale_end", body.sale_end)?,
        hold_ms: body.hold_seconds.map(|s| s * 1000),
        paused: body.paused,
    })
}
