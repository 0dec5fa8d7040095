//! Token buckets: per client address before the token is looked at, per user after it.

use std::net::IpAddr;

use crate::gcra::{Table, Take};
use crate::worker::refusal::{Rate, Refusal};
use crate::worker::stack::identify::Caller;

/// Takes a token of the client's address.
pub fn address(table: Option<&Table>, address: IpAddr, now_ns: u64) -> Result<(), Refusal> {
    let Some(table) = table else { return Ok(()) };
    admit(table, "address", table.take(table.address_key(address), now_ns))
}

/// Takes a token of the user. Operators are counted like everybody.
pub fn user(table: Option<&Table>, caller: Option<&Caller>, now_ns: u64) -> Result<(), Refusal> {
    let (Some(table), Some(caller)) = (table, caller) else {
        return Ok(());
    };
    admit(
        table,
        "user",
        table.take(table.buyer_key(&caller.buyer.0), now_ns),
    )
}

fn admit(table: &Table, policy: &'static str, take: Take) -> Result<(), Refusal> {
    if take.allowed {
        return Ok(());
    }
    Err(Refusal::rate_limited(Rate {
        policy,
        policy_header: table.policy_header(policy),
        reset_s: take.retry_after_s(),
    }))
}
