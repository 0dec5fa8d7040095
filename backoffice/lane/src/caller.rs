//! Who is asking, as the edge has verified it.

use std::sync::Arc;

/// A verified caller. A backoffice finds it in a request's extensions; there is none on a public route without a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Hash of issuer and subject: whose orders these are. As `tidegate_shard_core::Buyer`.
    pub buyer: [u8; 16],
    /// The token's subject.
    pub subject: Arc<str>,
    /// The token carries the role `operator`.
    pub operator: bool,
}
