//! The store on a real server.

#[path = "support/database.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod database;
#[path = "support/shop.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod shop;

use database::{Scratch, block_on};
use proptest::prelude::*;
use shop::Shop;
use tidegate_follow::{Change, OrderRows, Parted, Record, Store, StoreError};
use tidegate_mysql::{Mysql, Reader};
use tidegate_shard_core::Entry;

/// What a shop of three shards logs in so many acts.
fn a_day(seed: u64, acts: usize) -> Vec<Record> {
    let mut shop = Shop::new(3, seed);
    for _ in 0..acts {
        shop.act();
    }
    shop.pass(3_600_000);
    shop.log
}

/// The rows of a store that took the log in one go.
fn undisturbed(log: &[Record]) -> Option<Vec<String>> {
    let scratch = Scratch::make()?;
    scratch.open().apply(log).unwrap();
    Some(scratch.dump())
}

#[test]
fn a_day_of_the_shop_is_in_the_store_as_the_fold_of_its_entries_has_it() {
    let Some(scratch) = Scratch::make() else { return };
    let log = a_day(1, 600);
    let (mut rows, mut dropped) = (OrderRows::new(), 0);
    for record in &log {
        let entry = Entry::decode(&record.payload).unwrap();
        dropped += usize::from(matches!(Change::of(&entry), Some(Change::Dropped { .. })));
        rows.apply(&entry);
    }
    let mut store = scratch.open();
    for batch in log.chunks(100) {
        store.apply(batch).unwrap();
    }
    let reader = Reader::new(scratch.settings()).unwrap();
    let (mut orders, mut kinds) = (0, std::collections::BTreeSet::new());
    block_on(async {
        for expected in rows.iter().filter(|row| row.status.is_some()) {
            let found = reader.order(expected.order).await.unwrap().unwrap();
            assert_eq!(&found, expected);
            let history = reader.history(expected.order).await.unwrap();
            assert!(history.is_sorted_by_key(|step| step.op));
            kinds.extend(history.into_iter().map(|step| step.kind));
            orders += 1;
        }
        reader.close().await.unwrap();
    });
    assert!(orders > 150, "{orders}");
    // The shop did what the store has to follow.
    for kind in [
        "placed",
        "gathering",
        "committed",
        "confirmed",
        "cancelled",
        "expired",
        "refund_due",
    ] {
        assert!(kinds.contains(kind), "{kind} is not among {kinds:?}");
    }
    assert!(dropped > 0);
    for table in ["orders", "order_lines", "history"] {
        let column = if table == "orders" { "id" } else { "order_id" };
        let ids = scratch.rows(&format!("SELECT DISTINCT {column} FROM {table}"));
        assert_eq!(ids.len(), rows.iter().count(), "{table}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn batches_cut_anywhere_and_repeated_give_the_same_rows_as_in_one_go(
        seed in any::<u64>(),
        cuts in proptest::collection::vec((0usize..120, 0usize..80), 4..20),
    ) {
        let log = a_day(seed, 150);
        let (Some(expected), Some(scratch)) = (undisturbed(&log), Scratch::make()) else { return Ok(()) };
        let mut store = scratch.open();
        let mut at = 0;
        for (forward, back) in cuts.into_iter().cycle().take(200) {
            // A batch that begins with what is known already, as after an answer that was lost.
            let from = at.min(log.len()).saturating_sub(back);
            at = (at + forward).min(log.len());
            store.apply(&log[from.min(at)..at]).unwrap();
        }
        store.apply(&log[at..]).unwrap();
        prop_assert_eq!(scratch.dump(), expected);
    }
}

#[test]
fn two_stores_of_the_same_name_apply_at_once_and_nothing_is_doubled() {
    let log = a_day(2, 800);
    let (Some(expected), Some(scratch)) = (undisturbed(&log), Scratch::make()) else {
        return;
    };
    let bring_in = |mut store: Mysql| {
        for batch in log.chunks(37) {
            while let Err(error) = store.apply(batch) {
                assert!(error.shard().is_none(), "{error}");
            }
        }
    };
    let (one, other) = (scratch.open(), scratch.open());
    assert_eq!(one.name(), other.name());
    std::thread::scope(|threads| {
        threads.spawn(|| bring_in(one));
        threads.spawn(|| bring_in(other));
    });
    assert_eq!(scratch.dump(), expected);
}

#[test]
fn a_store_that_was_restored_from_a_backup_catches_up_from_its_older_marks() {
    let log = a_day(3, 400);
    let (Some(expected), Some(scratch)) = (undisturbed(&log), Scratch::make()) else {
        return;
    };
    let mut store = scratch.open();
    let tables = ["orders", "order_lines", "history", "skus", "marks"];
    store.apply(&log[..log.len() / 3]).unwrap();
    for table in tables {
        scratch.run(&format!("CREATE TABLE backup_{table} AS SELECT * FROM {table}"));
    }
    let older = store.marks().unwrap();
    store.apply(&log[log.len() / 3..]).unwrap();
    assert_eq!(scratch.dump(), expected);
    for table in tables {
        scratch.run(&format!(
            "DELETE FROM {table}; INSERT INTO {table} SELECT * FROM backup_{table}"
        ));
    }
    assert_eq!(store.marks().unwrap(), older);
    store.apply(&log).unwrap();
    assert_eq!(scratch.dump(), expected);
}

#[test]
fn a_gap_another_history_and_an_entry_that_cannot_be_read_leave_rows_and_marks_as_they_were() {
    let Some(scratch) = Scratch::make() else { return };
    let log = a_day(4, 50);
    let mut store = scratch.open();
    store.apply(&log[..40]).unwrap();
    let before = scratch.dump();
    let shard = log[40].shard;
    let gap = Record {
        op: log[40].op + 1,
        ..log[40].clone()
    };
    let other = Record {
        previous: 7,
        ..log[40].clone()
    };
    let strange = Record {
        payload: [9, 9, 9].into(),
        ..log[40].clone()
    };
    let gap = store.apply(&[gap]).unwrap_err();
    assert!(matches!(gap, StoreError::Parted(Parted::Gap { .. })), "{gap}");
    let parted = store.apply(&[other]).unwrap_err();
    assert!(
        matches!(parted, StoreError::Parted(Parted::OtherContent { .. })),
        "{parted}"
    );
    let unreadable = store.apply(&[strange]).unwrap_err();
    assert!(
        matches!(unreadable, StoreError::Unreadable { .. }),
        "{unreadable}"
    );
    assert_eq!(unreadable.shard(), Some(shard));
    assert_eq!(scratch.dump(), before);
    store.apply(&log[40..]).unwrap();
}

#[test]
fn rows_that_contradict_entries_stop_the_shard_of_just_those_entries() {
    let Some(scratch) = Scratch::make() else { return };
    let log = a_day(5, 200);
    let mut store = scratch.open();
    store.apply(&log[..150]).unwrap();
    let before = scratch.dump();
    // Somebody has taken one shard's mark back and left the rows.
    let homes = scratch.rows("SELECT DISTINCT (id >> 12) & 1023 FROM orders ORDER BY 1");
    let home: u16 = homes[0]
        .trim_matches(|c: char| !c.is_ascii_digit())
        .parse()
        .unwrap();
    scratch.run(&format!("DELETE FROM marks WHERE shard = {home}"));
    let refused = store.apply(&log).unwrap_err();
    assert!(matches!(refused, StoreError::Unreadable { .. }), "{refused}");
    assert_eq!(refused.shard(), Some(home), "{refused}");
    assert!(refused.to_string().contains("Duplicate entry"), "{refused}");
    // The other shards go on without it, and nothing of the batch was written.
    let rows = |dump: Vec<String>| -> Vec<String> {
        dump.into_iter()
            .filter(|row| !row.starts_with("'marks'"))
            .collect()
    };
    assert_eq!(rows(scratch.dump()), rows(before));
    let others: Vec<Record> = log
        .iter()
        .filter(|record| record.shard != home)
        .cloned()
        .collect();
    store.apply(&others).unwrap();
}
