//! The place of the store: whether its file can be there, and whether it is the one that the data directory feeds.

use std::path::Path;

use tidegate_backoffice::store::Sqlite;

use super::fed;

/// The name of the store in a file; `None` where there is no file.
///
/// # Errors
/// A line: its folder is not there, or the file is no store or cannot be read.
pub fn name(path: &Path) -> Result<Option<String>, String> {
    folder(path)?;
    if !path.exists() {
        return Ok(None);
    }
    Sqlite::name_of(path).map(Some).map_err(|error| {
        format!(
            "{}: {error}; is it a store of this version, and may you read it?",
            path.display()
        )
    })
}

/// Whether a start may open, or make, the store in this file. It is asked before anything is made, so that a mistaken path leaves nothing behind;
/// the start of the shards compares the names again, under the directory's lock.
///
/// # Errors
/// A line: the folder is not there, or the data directory feeds another store than the one in the file.
pub fn check(data: &Path, path: &Path) -> Result<(), String> {
    folder(path)?;
    match fed::store(data)? {
        // What a first start left, killed while it made the file, is finished by the next.
        None => Ok(()),
        Some(fed) => match name(path)? {
            Some(name) if name == fed => Ok(()),
            Some(name) => Err(other(data, path, &fed, &name)),
            None => Err(format!(
                "{}: there is no such file, and the data directory {} feeds the store {fed:?}: put that store's file back, or name where it lies \
                 with backoffice.store",
                path.display(),
                data.display()
            )),
        },
    }
}

/// The line about a file with another store than the one that the directory feeds.
pub fn other(data: &Path, path: &Path, fed: &str, name: &str) -> String {
    format!(
        "{}: it is the store {name:?}, and the data directory {} feeds the store {fed:?}: name the file of that one with backoffice.store \
         (`tidegate store migrate` leaves the old file where it was)",
        path.display(),
        data.display()
    )
}

/// That the folder of the file is there. It is never made: behind a disk that is not mounted, a new store would be made on the wrong one.
///
/// # Errors
/// A line.
pub fn folder(path: &Path) -> Result<(), String> {
    let folder = folder_of(path);
    if !folder.is_dir() {
        return Err(format!(
            "{}: there is no such folder for the store; make it, mount its disk, or name another file with backoffice.store",
            folder.display()
        ));
    }
    if path.is_dir() {
        return Err(format!(
            "{}: it is a folder; name a file in it with backoffice.store",
            path.display()
        ));
    }
    Ok(())
}

/// The folder that a file is in.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests;
