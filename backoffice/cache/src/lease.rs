//! Leases: one runner of a job at a time, and a token by which a store refuses those that only believe to be it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cache::check_key;
use crate::link::{Link, millis};
use crate::{Cache, CacheError};

/// Lua counts in doubles.
const TOKEN_MAX: u64 = 1 << 53;

/// Gives leases.
#[derive(Clone, Debug)]
pub struct Leases {
    link: Arc<Link>,
    prefix: String,
}

/// A lease that was taken. Dropped, it ends by itself.
#[derive(Debug)]
pub struct Lease {
    link: Arc<Link>,
    key: String,
    holder: String,
    life: Duration,
    until: Instant,
    token: u64,
}

impl Cache {
    /// Leases, by the same connection.
    #[must_use]
    pub fn leases(&self) -> Leases {
        Leases {
            link: self.link().clone(),
            prefix: self.settings().prefix.clone(),
        }
    }
}

impl Leases {
    /// Takes the lease of `job` for `life`, if nobody has it. `known` is the highest token that the store has seen (0: none): Redis may have
    /// lost its own count.
    ///
    /// The token must be claimed at the store before anything is done by it (`tidegate_mysql::fences::claim`): a Redis that lost its count
    /// can give a token that an earlier holder had and never used. Who cannot claim it takes the lease again, with what the store knows by then.
    pub async fn acquire(&self, job: &str, life: Duration, known: u64) -> Result<Option<Lease>, CacheError> {
        check_key(job)?;
        if known >= TOKEN_MAX {
            return Err(CacheError::Argument(format!(
                "the token {known} of {job:?} is not below 2^53"
            )));
        }
        let holder = self.link.token();
        let key = format!("{}:lease:{job}", self.prefix);
        let keys = vec![key.clone(), format!("{}:token:{job}", self.prefix)];
        let args = vec![
            holder.as_str().into(),
            millis(life).into(),
            known.to_string().into(),
        ];
        let asked = Instant::now();
        let token: u64 = self.link.run(&self.link.scripts.lease, keys, args).await?;
        Ok((token > 0).then(|| Lease {
            link: self.link.clone(),
            key,
            holder,
            life,
            until: asked + life,
            token,
        }))
    }
}

impl Lease {
    /// The fencing token: higher than that of every earlier holder.
    #[must_use]
    pub fn token(&self) -> u64 {
        self.token
    }

    /// Whether it had not run out by this process's clock. A process that is stopped afterwards does not notice: the store's fence does.
    #[must_use]
    pub fn holds(&self) -> bool {
        Instant::now() < self.until
    }

    /// Makes it last for its life from now. False: it ran out, and may be another's.
    pub async fn renew(&mut self) -> Result<bool, CacheError> {
        let asked = Instant::now();
        let args = vec![self.holder.as_str().into(), millis(self.life).into()];
        let kept: i64 = self
            .link
            .run(&self.link.scripts.beat, vec![self.key.clone()], args)
            .await?;
        self.until = if kept == 1 { asked + self.life } else { asked };
        Ok(kept == 1)
    }

    /// Gives it back, unless it ran out and is another's. False: it was not held any more.
    pub async fn release(self) -> Result<bool, CacheError> {
        let args = vec![self.holder.as_str().into()];
        let held: i64 = self
            .link
            .run(&self.link.scripts.unlock, vec![self.key.clone()], args)
            .await?;
        Ok(held == 1)
    }
}
