//! Who asks.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use tidegate_lane::Caller as Verified;
use tidegate_shard_core::{Buyer, Caller};

use crate::api::code::Code;
use crate::api::problem::Problem;

/// Somebody with a valid token.
pub(super) struct User {
    pub(super) buyer: Buyer,
    pub(super) subject: Arc<str>,
    pub(super) operator: bool,
}

impl User {
    /// As a shard asks.
    pub(super) fn on_behalf(&self) -> Caller {
        match self.operator {
            true => Caller::Operator,
            false => Caller::Buyer(self.buyer),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for User {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<User, Problem> {
        let verified = parts
            .extensions
            .get::<Option<Verified>>()
            .and_then(Option::as_ref);
        let verified = verified
            .ok_or_else(|| Problem::new(Code::Unauthorized, "send Authorization: Bearer and a token"))?;
        Ok(User {
            buyer: Buyer(verified.buyer),
            subject: Arc::clone(&verified.subject),
            operator: verified.operator,
        })
    }
}

/// Somebody whose token carries the role `operator`.
pub(super) struct Operator;

impl<S: Sync> FromRequestParts<S> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Operator, Problem> {
        match User::from_request_parts(parts, state).await?.operator {
            true => Ok(Operator),
            false => Err(Problem::new(
                Code::Forbidden,
                "this needs a token with the role operator",
            )),
        }
    }
}
