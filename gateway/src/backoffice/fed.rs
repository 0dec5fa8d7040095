//! What a data directory says of itself before it is opened.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use tidegate_log::Manifest;

use crate::shards::NO_STORE;

/// The manifest of a data directory; `None` before its first start.
///
/// # Errors
/// A line: it cannot be read.
pub fn manifest(data: &Path) -> Result<Option<Manifest>, String> {
    let path = data.join("MANIFEST");
    let failed = |error: &dyn std::fmt::Display| {
        format!(
            "{}: {error}; restore it from a copy of the directory",
            path.display()
        )
    };
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(&error)),
    };
    Manifest::decode(&bytes).map(Some).map_err(|error| failed(&error))
}

/// The name of the store that a data directory feeds; `None` before it has fed one.
///
/// # Errors
/// As [`manifest`].
pub fn store(data: &Path) -> Result<Option<String>, String> {
    let manifest = manifest(data)?;
    Ok(manifest
        .map(|manifest| manifest.store)
        .filter(|store| store != NO_STORE))
}
