//! Answers that are not what was asked for: problem documents (RFC 9457), as the gateway's.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};
use tidegate_rows::RowsError;
use tidegate_shard_core::Refusal;

use crate::api::code::Code;
use crate::pay::Stuck;
use crate::shards::NotDecided;

/// The first seconds of a `Retry-After`, and how many more at random, so that a crowd does not come back all at once.
const RETRY_S: (u64, u8) = (1, 3);

/// A problem document.
#[derive(Debug)]
pub struct Problem {
    code: Code,
    detail: String,
    /// Members beside the standard ones.
    more: Map<String, Value>,
}

impl Problem {
    /// A problem with a sentence that says what was wrong and what would be right.
    pub fn new(code: Code, detail: impl Into<String>) -> Problem {
        Problem {
            code,
            detail: detail.into(),
            more: Map::new(),
        }
    }

    /// The machine word.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// What was wrong with this request and what would be right.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// With a member beside the standard ones.
    pub(super) fn with(mut self, name: &str, value: Value) -> Problem {
        self.more.insert(name.to_owned(), value);
        self
    }

    /// An answer that a shard does not give to what it was asked.
    pub(crate) fn unexpected(outcome: &impl std::fmt::Debug) -> Problem {
        Problem::new(
            Code::Internal,
            format!("the shard's answer was not expected here: {outcome:?}"),
        )
    }

    pub(super) fn unknown_order() -> Problem {
        Problem::new(
            Code::UnknownOrder,
            "there is no such order, or it is someone else's",
        )
    }

    /// A shard's refusal about an order or a SKU.
    pub(crate) fn refused(refusal: &Refusal) -> Problem {
        let (code, detail) = match refusal {
            Refusal::UnknownOrder => return Problem::unknown_order(),
            Refusal::WrongStatus { status } => {
                (Code::WrongStatus, format!("the order is {}", status.as_str()))
            }
            Refusal::PaymentInProgress => (Code::PaymentOpen, "another charge of this order is open".into()),
            Refusal::DeadlineTooNear => (
                Code::DeadlineNear,
                "the order's pay_by is too near to start a payment".into(),
            ),
            Refusal::ChargeClosed => (
                Code::ChargeClosed,
                "this charge was closed; a payment needs a new one".into(),
            ),
            Refusal::AlreadyPaid { charge } => {
                (Code::AlreadyPaid, format!("charge {charge} has paid this order"))
            }
            Refusal::RefundDue => (
                Code::RefundDue,
                "the order had ended and its stock is gone: the charge is refunded".into(),
            ),
            Refusal::BelowCommitted { held, sold } => (
                Code::BelowCommitted,
                format!("{held} units are held and {sold} sold"),
            ),
            Refusal::MissingFields(which) => (Code::MissingFields, (*which).into()),
            Refusal::Malformed(what) => (Code::InvalidBody, (*what).into()),
            Refusal::Bound(bound) => (Code::AtBound, format!("a bound is reached: {bound:?}")),
            Refusal::Busy => (
                Code::TryAgain,
                "the shard waits for its next ids to be durable".into(),
            ),
            Refusal::TryAgain => (Code::TryAgain, "another shard did not answer in time".into()),
            other => return Problem::unexpected(other),
        };
        Problem::new(code, detail)
    }

    fn retry_after(&self) -> Option<u64> {
        (self.code.status() == 503).then(|| {
            let mut random = [0];
            // Without a random number everybody comes back after the same second: no reason to fail.
            _ = getrandom::fill(&mut random);
            RETRY_S.0 + u64::from(random[0] % RETRY_S.1)
        })
    }
}

impl From<RowsError> for Problem {
    fn from(error: RowsError) -> Problem {
        tracing::warn!(%error, "the store could not be asked");
        Problem::new(Code::StoreUnavailable, "the store cannot be read or written now")
    }
}

impl From<NotDecided> for Problem {
    fn from(why: NotDecided) -> Problem {
        match why {
            NotDecided::NotDone => Problem::new(Code::Overloaded, why.to_string()),
            NotDecided::Unknown => Problem::new(Code::OutcomeUnknown, why.to_string()),
        }
    }
}

impl From<Stuck> for Problem {
    /// Of a payment that was asked for: whatever it is stuck on but a refusal, the charge may exist, and a repeat finds it.
    fn from(stuck: Stuck) -> Problem {
        let again = "; ask again, and the same charge is found";
        match stuck {
            Stuck::Refused(refusal) => Problem::refused(&refusal),
            Stuck::Shards(NotDecided::NotDone) => NotDecided::NotDone.into(),
            stuck => {
                tracing::warn!(error = %stuck, "a payment could not be started");
                Problem::new(Code::OutcomeUnknown, format!("{}{again}", public(&stuck)))
            }
        }
    }
}

/// What a client may know of it.
fn public(stuck: &Stuck) -> &'static str {
    match stuck {
        Stuck::Provider(_) => "the payment provider has not answered",
        Stuck::Store(_) => "the store cannot be read or written now",
        Stuck::Shards(_) | Stuck::Refused(_) => "the shard has not answered in time",
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let retry_after = self.retry_after();
        let mut body = json!({
            "type": format!("https://tidegate.dev/problems/{}", self.code.word()),
            "title": self.code.title(),
            "status": self.code.status(),
            "detail": self.detail,
            "code": self.code.word(),
        });
        if let Value::Object(members) = &mut body {
            members.extend(self.more);
        }
        let status = StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
