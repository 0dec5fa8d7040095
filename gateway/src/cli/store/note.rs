//! The note of a move that is under way: which file it makes, and under which name.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tidegate_host::os_files::OsFiles;
use tidegate_node::Files as _;

/// Its file in the data directory.
const FILE: &str = "store.move";

/// What a move makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    /// The name that the copy is given.
    pub(super) name: String,
    /// Where the copy is put.
    pub(super) file: PathBuf,
}

/// The note of a data directory, if there is one.
pub(super) fn read(data: &Path) -> Result<Option<Note>, String> {
    let path = data.join(FILE);
    match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            format!(
                "{}: {error}; it says what a move that was cut short left: remove it, and the files it names but for the store in force",
                path.display()
            )
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}; ask as the owner of the data directory", path.display())),
    }
}

/// Makes the note durable.
pub(super) fn write(data: &Path, note: &Note) -> Result<(), String> {
    let text = serde_json::to_vec(note).map_err(|error| error.to_string())?;
    OsFiles::new(data)
        .replace("", FILE, &text)
        .map_err(|error| failed(data, &error))
}

/// Removes the note, durably.
pub(super) fn remove(data: &Path) -> Result<(), String> {
    let mut files = OsFiles::new(data);
    files
        .remove(FILE)
        .and_then(|()| files.sync_dir(""))
        .map_err(|error| failed(data, &error))
}

fn failed(data: &Path, error: &std::io::Error) -> String {
    format!(
        "{}: {error}; free space there, or ask as its owner",
        data.display()
    )
}
