//! Between the messages and the types of the rooms. What comes from the other side is checked: a [`Malformed`] names the field.

use std::fmt;

pub mod command;
pub mod exchange;
pub mod outcome;
pub mod record;

/// What the other side sent is not what the protocol says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the other side's message has no or a wrong {}: are both of the same version?",
            self.0
        )
    }
}

impl std::error::Error for Malformed {}

/// Three ISO 4217 letters.
fn currency(text: &str) -> Result<[u8; 3], Malformed> {
    text.as_bytes().try_into().map_err(|_| Malformed("currency"))
}

fn letters(currency: [u8; 3]) -> String {
    String::from_utf8_lossy(&currency).into_owned()
}

fn sku(text: &str) -> Result<tidegate_shard_core::SkuName, Malformed> {
    text.parse().map_err(|_| Malformed("sku"))
}

fn charge(text: &str) -> Result<tidegate_shard_core::ChargeId, Malformed> {
    text.parse().map_err(|_| Malformed("charge"))
}

#[cfg(test)]
mod tests;
