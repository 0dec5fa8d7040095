//! `[backoffice]`.

use std::path::{Path, PathBuf};

use super::{Checked, ConfigError};
use crate::config::checked::BackofficeMode;
use crate::config::raw::RawBackoffice;

pub(super) fn mode(raw: &RawBackoffice) -> Checked<BackofficeMode> {
    let key = "backoffice.mode";
    match &*raw.mode {
        "none" => Ok(BackofficeMode::None),
        "embedded" if cfg!(feature = "embedded") => Ok(BackofficeMode::Embedded),
        "embedded" => Err(ConfigError::new(
            key,
            "this binary was built without the feature `embedded`; use \"none\", or a binary that has it",
        )),
        word => Err(ConfigError::new(
            key,
            format!("`{word}` is neither \"embedded\" nor \"none\""),
        )),
    }
}

/// The store's file; a relative path is one under the data directory, so that a copy of the directory finds it.
pub(super) fn store(raw: &RawBackoffice, data: &Path) -> Checked<PathBuf> {
    let key = "backoffice.store";
    let text = &raw.store;
    if text.is_empty() {
        return Err(ConfigError::new(
            key,
            "must name a file; \"store.db\" is the one in the data directory",
        ));
    }
    let path = Path::new(text);
    if text.ends_with('/') || text.ends_with("/.") || path.file_name().is_none() {
        return Err(ConfigError::new(
            key,
            format!(
                "`{text}` names a folder; name a file in it, as {}",
                path.join("store.db").display()
            ),
        ));
    }
    Ok(data.join(path))
}
