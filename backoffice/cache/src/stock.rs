//! What is available of each SKU, for storefronts: written by whoever follows the shards, read without asking them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use moka::sync::Cache as Seen;

use crate::cache::check_key;
use crate::invalidator::digits;
use crate::link::Link;
use crate::{Cache, CacheError};

/// SKUs of which a reader remembers what it saw.
const SEEN_MAX: u64 = 1 << 17;
/// And for how long after it was last asked.
const SEEN_FOR: Duration = Duration::from_secs(3600);

/// Units of a SKU as of an op of its shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stock {
    /// Units that can be ordered.
    pub available: u64,
    /// The shard's operation that made it so.
    pub op: u64,
    /// The shard.
    pub shard: u16,
}

/// The mirror. It is for display: whether an order gets its units is decided by the shard alone.
#[derive(Clone, Debug)]
pub struct StockMirror {
    link: Arc<Link>,
    prefix: String,
    seen: Seen<Arc<str>, Arc<Mutex<Stock>>>,
}

impl Cache {
    /// The mirror of stock, by the same connection.
    #[must_use]
    pub fn stock(&self) -> StockMirror {
        StockMirror {
            link: self.link().clone(),
            prefix: self.settings().prefix.clone(),
            seen: Seen::builder()
                .max_capacity(SEEN_MAX)
                .time_to_idle(SEEN_FOR)
                .build(),
        }
    }
}

impl StockMirror {
    /// Writes it if its op is newer than what is there. Any number of writers may do so, in any order and again. Gives whether it was written.
    pub async fn write(&self, sku: &str, stock: Stock) -> Result<bool, CacheError> {
        check_key(sku)?;
        let args = vec![
            digits(stock.op).into(),
            stock.shard.to_string().into(),
            stock.available.to_string().into(),
        ];
        let written: i64 = self
            .link
            .run(&self.link.scripts.stock, vec![self.key(sku)], args)
            .await?;
        if written < 0 {
            return Err(CacheError::Argument(format!(
                "the stock of {sku:?} is of another shard than {}: ops of two shards cannot be compared",
                stock.shard
            )));
        }
        Ok(written == 1)
    }

    /// The newest that is there, and never an older one than this mirror gave before, whatever Redis lost meanwhile: then the last seen is
    /// given again. (A mirror remembers 131,072 SKUs for an hour.) `None`: nobody wrote it.
    pub async fn read(&self, sku: &str) -> Result<Option<Stock>, CacheError> {
        check_key(sku)?;
        let text = self.link.get(self.key(sku)).await?;
        let read = text.as_deref().map(|text| parse(sku, text)).transpose()?;
        let Some(read) = read else {
            return Ok(self.seen.get(sku).map(|seen| *lock(&seen)));
        };
        let seen = self.seen.get_with(sku.into(), || Arc::new(Mutex::new(read)));
        // Two answers to one reader may come out of order: they are compared one at a time.
        let mut seen = lock(&seen);
        if read.op > seen.op {
            *seen = read;
        }
        Ok(Some(*seen))
    }

    fn key(&self, sku: &str) -> String {
        format!("{}:stock:{sku}", self.prefix)
    }
}

fn lock(seen: &Mutex<Stock>) -> std::sync::MutexGuard<'_, Stock> {
    seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn parse(sku: &str, text: &str) -> Result<Stock, CacheError> {
    let mut words = text.split(' ');
    let mut word = || words.next().and_then(|word| word.parse::<u64>().ok());
    let parsed = (word(), word().and_then(|shard| u16::try_from(shard).ok()), word());
    match parsed {
        (Some(op), Some(shard), Some(available)) => Ok(Stock { available, op, shard }),
        _ => Err(CacheError::Redis(format!(
            "the stock of {sku:?} is not as this program writes it"
        ))),
    }
}
