//! What the protocols need to know about the connection they run on.

use crate::{ConnConfig, Nanos};

/// Handed down with each call: a protocol keeps none of it.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub config: &'a ConnConfig,
    pub now: Nanos,
    /// The connection's number, for the request ids of its own refusals.
    pub conn: u64,
    pub is_tls: bool,
    pub sni: Option<&'a str>,
}

impl Context<'_> {
    /// Whether the served certificate covers this host.
    pub fn covers(&self, host: &str) -> bool {
        match &self.config.covers {
            Some(covers) if self.is_tls => covers(self.sni, host),
            _ => true,
        }
    }
}
