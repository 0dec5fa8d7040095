//! Whether an edge belongs here.

use tidegate_api::pb::Hello;
use tonic::Status;

/// The version of the protocol that this program speaks.
const VERSION: u32 = 1;

/// Of the same protocol, with the same shards.
pub(super) fn of_this_version(hello: &Hello, shards: u16) -> Result<(), Status> {
    if hello.version != VERSION {
        return Err(Status::failed_precondition(format!(
            "the edge speaks version {} of the protocol and this backoffice version {VERSION}: run programs of one version",
            hello.version
        )));
    }
    if hello.shards != u32::from(shards) {
        return Err(Status::failed_precondition(format!(
            "the edge has {} shards and this backoffice is set to {shards}: set process.shards to what the data directory was made with",
            hello.shards
        )));
    }
    Ok(())
}

/// Of a data directory that feeds this store, or none yet.
pub(super) fn of_this_store(hello: &Hello, name: &str) -> Result<(), Status> {
    match hello.store.as_str() {
        "" => Ok(()),
        store if store == name => Ok(()),
        store => Err(Status::failed_precondition(format!(
            "the edge's data directory feeds the store {store}, and this backoffice keeps {name}: give each its own, or move the rows and marks first"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(version: u32, shards: u32, store: &str) -> Hello {
        Hello {
            version,
            shards,
            store: store.into(),
            program: "test".into(),
        }
    }

    #[test]
    fn an_edge_of_another_version_or_with_other_shards_is_told_what_would_be_right() {
        assert!(of_this_version(&hello(1, 64, ""), 64).is_ok());
        let refused = of_this_version(&hello(2, 64, ""), 64).unwrap_err();
        assert!(refused.message().contains("version 2"), "{refused}");
        let refused = of_this_version(&hello(1, 8, ""), 64).unwrap_err();
        assert!(refused.message().contains("process.shards"), "{refused}");
    }

    #[test]
    fn an_edge_that_feeds_another_store_is_refused_and_one_that_fed_none_is_not() {
        assert!(of_this_store(&hello(1, 64, ""), "mysql-1").is_ok());
        assert!(of_this_store(&hello(1, 64, "mysql-1"), "mysql-1").is_ok());
        let refused = of_this_store(&hello(1, 64, "mysql-2"), "mysql-1").unwrap_err();
        assert!(
            refused.message().contains("mysql-2") && refused.message().contains("mysql-1"),
            "{refused}"
        );
    }
}
