//! Token buckets: per client address before the token is looked at, per user after it.

use std::net::IpAddr;

use crate::gcra::{Table, Take};
use crate::worker::jitter::Jitter;
use crate::worker::refusal::Refusal;
use crate::worker::stack::identify::Caller;

/// Takes a token of the client's address.
pub fn address(table: &Table, address: IpAddr, now_ns: u64, jitter: &mut Jitter) -> Result<(), Refusal> {
    if table.is_off() {
        return Ok(());
    }
    admit("address", table.take(table.address_key(address), now_ns), jitter)
}

/// Takes a token of the user. Operators are counted like everybody.
pub fn user(table: &Table, caller: Option<&Caller>, now_ns: u64, jitter: &mut Jitter) -> Result<(), Refusal> {
    match caller {
        Some(caller) if !table.is_off() => admit(
            "user",
            table.take(table.buyer_key(&caller.buyer.0), now_ns),
            jitter,
        ),
        _ => Ok(()),
    }
}

fn admit(policy: &'static str, take: Take, jitter: &mut Jitter) -> Result<(), Refusal> {
    if take.allowed {
        return Ok(());
    }
    Err(Refusal::rate_limited(policy, &take).retry_after(jitter.spread(take.retry_after_s())))
}
