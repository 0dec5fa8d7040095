//! Which request this is, in logs and answers.

use std::sync::Arc;

/// The `x-request-id` of a request, visible ASCII. A backoffice finds it in a request's extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub Arc<str>);
