//! Names of things: shards, operations, orders, SKUs, charges, buyers and keys.
//!
//! All of them are plain values without a pointer, so that a command can cross threads without an allocation.

use core::fmt;
use core::hash::Hasher;
use core::str::FromStr;
use siphasher::sip::SipHasher13;

/// 2025-01-01T00:00:00Z in unix milliseconds: where the 41 bits of an [`OrderId`] begin. They last until 2094.
pub const EPOCH: Millis = Millis(1_735_689_600_000);

/// Number of a shard, below the data directory's shard count (at most [`ShardId::COUNT_MAX`]).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ShardId(pub u16);

impl ShardId {
    /// The shard is the 10-bit worker field of a snowflake id, so there are at most 1024.
    pub const COUNT_MAX: u16 = 1024;
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Operation counter of one shard: the number of entries applied so far. The first entry makes it 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Op(pub u64);

impl Op {
    /// The op after this one.
    #[must_use]
    pub fn next(self) -> Op {
        Op(self.0 + 1)
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Milliseconds since the unix epoch, in shard time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Millis(pub u64);

impl Millis {
    /// This time and `ms` more; never wraps.
    #[must_use]
    pub fn after(self, ms: u64) -> Millis {
        Millis(self.0.saturating_add(ms))
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A snowflake: 41 bits of milliseconds since [`EPOCH`], 10 bits of shard, 12 bits of sequence; bit 63 is zero.
/// Strictly increasing within a shard. In JSON it is a decimal string, because it passes 2^53.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct OrderId(pub u64);

impl OrderId {
    const SEQUENCE_BITS: u32 = 12;
    const SHARD_BITS: u32 = 10;
    /// Sequence numbers in one millisecond of one shard.
    pub const SEQUENCE_MAX: u16 = (1 << Self::SEQUENCE_BITS) - 1;
    const MILLIS_MAX: u64 = (1 << 41) - 1;

    /// Puts an id together. Times outside the 41 bits are clamped to them.
    #[must_use]
    pub fn new(at: Millis, shard: ShardId, sequence: u16) -> OrderId {
        let millis = at.0.saturating_sub(EPOCH.0).min(Self::MILLIS_MAX);
        let shard = u64::from(shard.0 & (ShardId::COUNT_MAX - 1));
        let sequence = u64::from(sequence & Self::SEQUENCE_MAX);
        OrderId(
            (millis << (Self::SEQUENCE_BITS + Self::SHARD_BITS)) | (shard << Self::SEQUENCE_BITS) | sequence,
        )
    }

    /// The home shard of the order.
    #[must_use]
    pub fn shard(self) -> ShardId {
        ShardId(((self.0 >> Self::SEQUENCE_BITS) & ((1 << Self::SHARD_BITS) - 1)) as u16)
    }

    /// The logical time of the id in unix milliseconds; up to a lease (5 s) ahead of the clock after a restart.
    #[must_use]
    pub fn millis(self) -> Millis {
        Millis((self.0 >> (Self::SEQUENCE_BITS + Self::SHARD_BITS)) + EPOCH.0)
    }

    /// The sequence number within the millisecond.
    #[must_use]
    pub fn sequence(self) -> u16 {
        (self.0 as u16) & Self::SEQUENCE_MAX
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for OrderId {
    type Err = BadName;

    /// Reads the decimal form, without sign, spaces or leading zeros.
    fn from_str(text: &str) -> Result<OrderId, BadName> {
        let canonical =
            text.bytes().all(|b| b.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
        let number: u64 = if canonical {
            text.parse().map_err(|_| BadName)?
        } else {
            return Err(BadName);
        };
        if number >> 63 == 0 {
            Ok(OrderId(number))
        } else {
            Err(BadName)
        }
    }
}

/// The text is not a name of this kind: wrong length or a character outside its alphabet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadName;

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("wrong length or character")
    }
}

impl core::error::Error for BadName {}

macro_rules! inline_name {
    ($name:ident, $max:expr, $allowed:expr) => {
        impl $name {
            /// Longest name in bytes.
            pub const LEN_MAX: usize = $max;

            /// Reads a name from bytes.
            ///
            /// # Errors
            /// When it is empty, too long, or holds a byte outside the alphabet.
            pub fn parse(text: &[u8]) -> Result<Self, BadName> {
                let allowed: fn(&u8) -> bool = $allowed;
                if text.is_empty() || text.len() > Self::LEN_MAX || !text.iter().all(allowed) {
                    return Err(BadName);
                }
                let mut bytes = [0; $max];
                bytes[..text.len()].copy_from_slice(text);
                Ok(Self {
                    bytes,
                    len: text.len() as u8,
                })
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                // The constructor admits ASCII only, so the fallback is never taken.
                core::str::from_utf8(self.as_bytes()).unwrap_or_default()
            }

            /// The name as bytes.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8] {
                &self.bytes[..usize::from(self.len)]
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                Self::parse(text.as_bytes())
            }
        }
    };
}

/// Name of a SKU: 1 to 47 bytes of `[A-Za-z0-9._:-]`, inline. Padding is zero, so the derived order is the text's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SkuName {
    bytes: [u8; 47],
    len: u8,
}

inline_name!(SkuName, 47, |b| b.is_ascii_alphanumeric()
    || matches!(b, b'.' | b'_' | b':' | b'-'));

impl SkuName {
    /// The name up to the first colon: SKUs of one group live on one shard.
    #[must_use]
    pub fn group(&self) -> &str {
        let name = self.as_str();
        name.split_once(':').map_or(name, |(group, _)| group)
    }
}

/// Name of a charge at the payments side: 1 to 63 bytes of printable ASCII without spaces, inline.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChargeId {
    bytes: [u8; 63],
    len: u8,
}

inline_name!(ChargeId, 63, |b| b.is_ascii_graphic());

/// First 16 bytes of SHA-256 over the length-prefixed issuer and subject of a token; made by the gateway.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Buyer(pub [u8; 16]);

/// First 16 bytes of SHA-256 over a buyer (or operator) and an idempotency key; made by the gateway.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KeyHash(pub [u8; 16]);

/// Hash of a decoded request body: what a repeated key is compared by. See [`crate::command::body_hash`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BodyHash(pub u64);

/// The shard of a SKU: SipHash-1-3 (key `"tidegate"`, `"skushard"`) of its group, scaled to `shards` by the upper
/// half of the 128-bit product. It is part of the format of a data directory and never changes.
///
/// # Panics
/// When `shards` is 0 or above [`ShardId::COUNT_MAX`].
#[must_use]
pub fn shard_of(sku: &SkuName, shards: u16) -> ShardId {
    assert!(shards > 0 && shards <= ShardId::COUNT_MAX);
    let mut hasher =
        SipHasher13::new_with_keys(u64::from_le_bytes(*b"tidegate"), u64::from_le_bytes(*b"skushard"));
    hasher.write(sku.group().as_bytes());
    ShardId(((u128::from(hasher.finish()) * u128::from(shards)) >> 64) as u16)
}

#[cfg(test)]
mod tests;
