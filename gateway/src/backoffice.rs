//! What stands behind the edge, chosen by `backoffice.mode`.

use crate::config::Config;
use crate::config::checked::BackofficeMode;
use crate::serve::OpenBackoffice;
use crate::shards::NO_STORE;

#[cfg(feature = "embedded")]
mod embedded;
#[cfg(feature = "embedded")]
mod follow;
#[cfg(feature = "embedded")]
pub mod place;
#[cfg(feature = "embedded")]
mod shards;

/// The backoffice that a configuration asks for.
pub fn of(config: &Config) -> Option<OpenBackoffice> {
    match config.backoffice {
        BackofficeMode::None => None,
        #[cfg(feature = "embedded")]
        BackofficeMode::Embedded => Some(Box::new(embedded::open)),
        #[cfg(not(feature = "embedded"))]
        BackofficeMode::Embedded => None,
    }
}

/// The name of the store that a start with this configuration would feed; that of none for a store that is not there yet.
///
/// # Errors
/// A line: the store cannot be read.
pub fn store(config: &Config) -> Result<String, String> {
    #[cfg(feature = "embedded")]
    if config.backoffice == BackofficeMode::Embedded {
        return place::name(&config.store).map(|name| name.unwrap_or_else(|| NO_STORE.to_owned()));
    }
    let _ = config;
    Ok(NO_STORE.to_owned())
}
