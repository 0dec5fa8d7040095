//! The slow lane: requests that are not for the hot path, from a net thread to a backoffice and back.

mod caller;

pub use caller::Caller;
