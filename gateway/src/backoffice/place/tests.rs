use std::fs;

use tidegate_log::{Layout, LogId, Manifest, SegmentNumber, StartNumber};

use super::*;
use crate::shards::NO_STORE;

/// A data directory that feeds a store.
fn feeding(store: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let manifest = Manifest {
        shards: 4,
        hash: "h".into(),
        store: store.into(),
        start: StartNumber(1),
        next_segment: SegmentNumber(1),
        layouts: vec![Layout::spread(1, &[LogId(1)], 4)],
    };
    fs::write(folder.path().join("MANIFEST"), manifest.encode()).unwrap();
    folder
}

fn refusal(data: &Path, path: &Path) -> String {
    check(data, path).unwrap_err()
}

#[test]
fn a_directory_that_fed_none_takes_any_store_and_one_that_feeds_a_store_takes_that_one() {
    let none = feeding(NO_STORE);
    let path = none.path().join("store.db");
    check(none.path(), &path).unwrap();
    let store = Sqlite::open(&path).unwrap().name().to_owned();
    check(none.path(), &path).unwrap();
    check(feeding(&store).path(), &path).unwrap();
    let other = feeding("sqlite-of-another");
    let said = refusal(other.path(), &path);
    for part in [
        &store,
        "sqlite-of-another",
        "backoffice.store",
        path.to_str().unwrap(),
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn what_is_missing_is_named_and_nothing_is_made_in_its_place() {
    let data = feeding("sqlite-1");
    let path = data.path().join("store.db");
    assert!(refusal(data.path(), &path).contains("put that store's file back"));
    assert!(!path.exists());
    let unmounted = data.path().join("disk");
    let said = refusal(data.path(), &unmounted.join("store.db"));
    assert!(
        said.starts_with(unmounted.to_str().unwrap()) && said.contains("mount its disk"),
        "{said}"
    );
    assert!(!unmounted.exists());
    assert!(refusal(data.path(), data.path()).contains("it is a folder"));
    fs::write(&path, "no database, and long enough to be looked at as one").unwrap();
    assert!(refusal(data.path(), &path).contains("is it a store"));
}
