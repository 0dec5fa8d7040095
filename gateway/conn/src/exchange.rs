//! One request and its answer.

/// Names one exchange of one connection; never used twice on it.
/// HTTP/1.1: the number of the request, from 1. HTTP/2: the stream id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub u64);
