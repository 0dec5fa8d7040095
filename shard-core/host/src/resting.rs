//! A data directory that no host serves, held so that none starts meanwhile: what an operator changes in it is changed here.

use std::path::{Path, PathBuf};

use tidegate_log::Manifest;
use tidegate_node::{Files as _, OpenError, open};

use crate::lock::Lock;
use crate::os_files::OsFiles;
use crate::start_error::StartError;

/// A data directory under its lock, until it is dropped.
#[derive(Debug)]
pub struct Resting {
    _lock: Lock,
    data_dir: PathBuf,
    manifest: Manifest,
}

impl Resting {
    /// Takes the directory's lock and reads its manifest.
    ///
    /// # Errors
    /// It was never served, a host serves it ([`StartError::Locked`]), or its manifest cannot be read.
    pub fn hold(data_dir: &Path) -> Result<Resting, StartError> {
        // A lock file would be left in whatever directory was named by mistake.
        if !data_dir.join(open::MANIFEST).exists() {
            return Err(StartError::Config(format!(
                "{}: no tidegate has served it; name a data directory that one has",
                data_dir.display()
            )));
        }
        let lock = Lock::take(data_dir)?;
        let failed = |error| StartError::Open {
            data_dir: data_dir.to_owned(),
            error,
        };
        let bytes = OsFiles::new(data_dir)
            .read(open::MANIFEST)
            .map_err(|error| failed(OpenError::Io(error)))?;
        let manifest = Manifest::decode(&bytes).map_err(|error| failed(OpenError::Manifest(error)))?;
        Ok(Resting {
            _lock: lock,
            data_dir: data_dir.to_owned(),
            manifest,
        })
    }

    /// The name of the store that the directory feeds; [`NO_STORE`](crate::NO_STORE) before it has fed one.
    pub fn store(&self) -> &str {
        &self.manifest.store
    }

    /// Makes the directory feed another store, which must have all that the present one has: the log may have let go of the rest. After a crash it
    /// feeds the one or the other.
    ///
    /// # Errors
    /// The name is not fit for a manifest, or the manifest cannot be written; then it may be the old one or the new one.
    pub fn feed(&mut self, store: &str) -> Result<(), StartError> {
        let manifest = Manifest {
            store: store.to_owned(),
            ..self.manifest.clone()
        };
        let failed = |error| StartError::Open {
            data_dir: self.data_dir.clone(),
            error,
        };
        manifest
            .check()
            .map_err(|error| failed(OpenError::Manifest(error)))?;
        OsFiles::new(&self.data_dir)
            .replace("", open::MANIFEST, &manifest.encode())
            .map_err(|error| failed(OpenError::Io(error)))?;
        self.manifest = manifest;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_log::{Layout, LogId, SegmentNumber, StartNumber};

    fn directory() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let manifest = Manifest {
            shards: 4,
            hash: "h".into(),
            store: "one".into(),
            start: StartNumber(7),
            next_segment: SegmentNumber(9),
            layouts: vec![Layout::spread(1, &[LogId(3)], 4)],
        };
        std::fs::write(dir.path().join(open::MANIFEST), manifest.encode()).unwrap();
        dir
    }

    #[test]
    fn a_directory_feeds_the_store_it_was_given_last_and_nothing_else_of_it_changes() {
        let dir = directory();
        let mut resting = Resting::hold(dir.path()).unwrap();
        let before = resting.manifest.clone();
        assert_eq!(resting.store(), "one");
        assert!(resting.feed("with a blank").is_err());
        resting.feed("two").unwrap();
        drop(resting);
        let resting = Resting::hold(dir.path()).unwrap();
        assert_eq!(
            resting.manifest,
            Manifest {
                store: "two".into(),
                ..before
            }
        );
    }

    #[test]
    fn a_directory_is_held_by_one_and_one_that_was_never_served_by_none() {
        let dir = directory();
        let held = Resting::hold(dir.path()).unwrap();
        assert!(matches!(
            Resting::hold(dir.path()),
            Err(StartError::Locked { .. })
        ));
        drop(held);
        Resting::hold(dir.path()).unwrap();
        let other = tempfile::tempdir().unwrap();
        let said = Resting::hold(other.path()).unwrap_err().to_string();
        assert!(said.contains("name a data directory"), "{said}");
        assert_eq!(std::fs::read_dir(other.path()).unwrap().count(), 0);
    }
}
