//! Who is asking, and whether the route is theirs to use.

use std::sync::Arc;

use tidegate_conn::Request;
use tidegate_shard_core::{self as core, Buyer};

use crate::auth::Denied;
use crate::codes::Code;
use crate::worker::refusal::Refusal;
use crate::worker::slow_lane::is_safe;
use crate::worker::stack::Edge;
use crate::worker::stack::route::{Access, Route};

/// A verified caller.
pub struct Caller {
    pub buyer: Buyer,
    pub subject: Arc<str>,
    pub operator: bool,
}

impl Caller {
    /// On whose behalf an order is looked at.
    pub fn on_behalf(&self) -> core::Caller {
        if self.operator {
            core::Caller::Operator
        } else {
            core::Caller::Buyer(self.buyer)
        }
    }
}

/// The caller of a request; `None` on a public route without a token.
///
/// A token that was never seen costs as much as several orders to verify. A request that has waited nearly as long as it may
/// would be shed at the shard all the same, so that is not spent on it; nor on one that the backoffice has no room for.
pub fn caller(
    edge: &mut Edge,
    route: &Route,
    request: &Request<'_>,
    now_ns: u64,
) -> Result<Option<Caller>, Refusal> {
    let authorization = request.head.picked.authorization;
    let access = route.access();
    if access == Access::Public && authorization.is_none() {
        return Ok(None);
    }
    let now_s = edge.wall_ms / 1000;
    let waited_ns = now_ns.saturating_sub(request.whole_at.0);
    let no_room =
        matches!(route, Route::Slow(_)) && edge.lane_room(is_safe(request.head.method), now_ns).is_err();
    let known = if no_room || waited_ns > edge.verify_within_ns {
        edge.auth.recall(authorization, now_s)
    } else {
        edge.auth.identify(authorization, now_s).map(Some)
    };
    let identity = match known {
        Ok(Some(identity)) => identity,
        Ok(None) if no_room => return Err(edge.busy()),
        Ok(None) => return Err(edge.overloaded()),
        Err(denied) => return Err(unauthorized(denied, edge.auth.is_fetched())),
    };
    if access == Access::Operator && !identity.operator {
        return Err(Refusal::new(
            Code::Forbidden,
            "this route needs a token with the role \"operator\"",
        ));
    }
    Ok(Some(Caller {
        buyer: Buyer(identity.buyer),
        subject: Arc::clone(&identity.subject),
        operator: identity.operator,
    }))
}

/// `fetched`: keys come from a URL as well, and an unknown one has just had it asked.
fn unauthorized(denied: Denied, fetched: bool) -> Refusal {
    let detail = match denied {
        Denied::Missing => "send Authorization: Bearer and a token",
        Denied::Malformed => "the token is no JSON Web Token that this gateway reads",
        Denied::UnknownKey if fetched => {
            "no key is known by the token's kid; the identity provider is asked for its keys again, so a new key may be known in a moment"
        }
        Denied::UnknownKey => "no key is known by the token's kid",
        Denied::Algorithm => "the token's algorithm is not the one its key is for",
        Denied::Signature => "the token's signature does not hold",
        Denied::Expired => "the token has expired",
        Denied::NotYetValid => "the token is not valid yet",
        Denied::Issuer => "the token's issuer is not the one its key is for",
        Denied::Audience => "the token is meant for another audience",
        Denied::Subject => "the token needs a subject of 1 to 128 bytes",
    };
    Refusal::new(Code::Unauthorized, detail).challenge(denied.challenge())
}
