//! Who collects money: the seam to Alipay, WeChat Pay and the like.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use tidegate_rows::Standing;
use tidegate_shard_core::ChargeId;

/// A call to a provider. Dropping it may leave the call done or not done.
pub type Doing<'a, T> = Pin<Box<dyn Future<Output = Result<T, ProviderError>> + Send + 'a>>;

/// What a provider is asked to collect.
#[derive(Clone, Debug)]
pub struct ChargeRequest {
    /// Our name for it (`out_trade_no`): the provider's key, so that asking twice makes one.
    pub charge: ChargeId,
    /// In minor units.
    pub amount: u64,
    /// ISO 4217 letters.
    pub currency: [u8; 3],
    /// Shown to the buyer.
    pub subject: String,
}

/// What a callback says, once it was found to be the provider's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Which charge.
    pub charge: ChargeId,
    /// Where it stands.
    pub standing: Standing,
}

/// A callback as it arrived.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// Header fields: WeChat Pay signs by them.
    pub headers: &'a http::HeaderMap,
    /// The body, verbatim: signatures are over its bytes.
    pub raw: &'a [u8],
}

/// Why a provider did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderError {
    /// No answer, or one that is no decision. It may have been done: ask again.
    Unreachable(String),
    /// The callback is not this provider's, or not about us; the text says why, for the log.
    Forged(&'static str),
}

impl ProviderError {
    /// From whatever kept the call from being answered.
    pub fn unreachable(error: impl fmt::Display) -> ProviderError {
        ProviderError::Unreachable(error.to_string())
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProviderError::Unreachable(why) => write!(f, "the payment provider did not answer: {why}"),
            ProviderError::Forged(why) => write!(f, "not a callback of the payment provider: {why}"),
        }
    }
}

impl std::error::Error for ProviderError {}

/// Collects money. Every call may be repeated, with the same effect as once.
pub trait Provider: Send + Sync + 'static {
    /// The word in the store and in the callback's path.
    fn name(&self) -> &'static str;

    /// Makes a charge, or finds it; gives the address where the buyer pays: absolute, or a path of this shop. A charge that was
    /// closed before stays closed.
    fn create<'a>(&'a self, request: &'a ChargeRequest) -> Doing<'a, String>;

    /// Where a charge stands.
    fn query(&self, charge: ChargeId) -> Doing<'_, Standing>;

    /// Makes sure that a charge can no longer be paid, also one that was never made; [`Standing::Paid`] when that came too late.
    fn close(&self, charge: ChargeId) -> Doing<'_, Standing>;

    /// Gives all of the money back.
    fn refund(&self, charge: ChargeId) -> Doing<'_, ()>;

    /// Checks signature, merchant and freshness of a callback, and reads it.
    fn notice<'a>(&'a self, asking: Asking<'a>) -> Doing<'a, Notice>;
}
