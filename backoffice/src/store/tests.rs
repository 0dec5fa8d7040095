//! The behaviours that every store is held to.

use std::sync::Arc;

use tidegate_follow::Store as _;
use tidegate_rows::suite::{self, Two};

use super::Sqlite;

/// A store, twice the same: a file has one process.
struct Scratch {
    _dir: tempfile::TempDir,
    store: Sqlite,
    two: Two,
}

fn empty() -> Scratch {
    let dir = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&dir.path().join("store.db")).unwrap();
    let two: Two = [Arc::new(store.clone()), Arc::new(store.clone())];
    Scratch {
        _dir: dir,
        store,
        two,
    }
}

/// A store that has followed the suite's log.
fn fed() -> Scratch {
    let mut scratch = empty();
    scratch.store.apply(&suite::log::records()).unwrap();
    scratch
}

/// A test for each behaviour, on a store of its own.
macro_rules! held_to {
    ($from:expr => $($room:ident :: $behaviour:ident)*) => {
        $(#[tokio::test] async fn $behaviour() { suite::$room::$behaviour(&$from.two).await })*
    };
}

held_to! { fed() =>
    lists::orders_are_found_by_any_filter_page_by_page
    lists::an_order_is_found_with_its_history_and_one_that_gathers_is_not
    lists::skus_are_listed_by_bytes_and_found_by_a_name_of_theirs
    lists::a_window_of_time_begins_with_its_first_millisecond_and_ends_before_its_last
}

held_to! { empty() =>
    charges::a_charge_under_way_is_given_again_and_one_that_is_over_is_not
    charges::many_that_open_a_charge_at_once_are_given_one
    charges::an_order_has_so_many_charges_and_no_more
    charges::a_charge_moves_on_only_from_where_it_was_seen
    charges::charges_are_due_by_the_moment_and_failures_are_counted_until_one_goes_on
    books::a_charge_is_decided_once
    books::a_delayed_payment_arrives_at_its_moment
    books::a_closed_charge_stays_closed_also_one_that_never_was
    books::only_paid_money_goes_back
    imports::parts_are_kept_until_their_import_is_done
    imports::lines_are_counted_once_and_from_where_they_were_seen
    imports::imports_are_applied_one_after_another
    imports::uploads_and_what_is_done_are_bounded
    imports::parts_that_come_at_once_are_all_kept
}

#[tokio::test]
async fn a_callback_is_kept_once_and_with_what_it_changed_or_not_at_all() {
    let scratch = empty();
    let kept = || {
        let read = |connection: &rusqlite::Connection| -> rusqlite::Result<Vec<Vec<u8>>> {
            let mut statement = connection.prepare("SELECT raw FROM callbacks ORDER BY id")?;
            statement.query_map([], |row| row.get(0))?.collect()
        };
        scratch.store.database().read(read).unwrap()
    };
    suite::charges::a_callback_is_kept_once_and_with_what_it_changed_or_not_at_all(&scratch.two, &kept).await;
}
