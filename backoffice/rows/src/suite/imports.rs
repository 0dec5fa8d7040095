//! The ledger of imports.

use super::{NOW, Two, at_once};
use crate::{
    Driver, FAILURES_SHOWN, FINISHED_MAX, Failure, ImportRow, ImportState, Part, Rows, Taken, UPLOADS_MAX,
};

const DRIVER: Driver = Driver(u64::MAX);

fn part(number: u32, text: &str) -> Part {
    Part {
        number,
        first_line: u64::from(number) * 100,
        text: text.to_owned(),
    }
}

async fn put(rows: &dyn Rows, id: &str, number: u32, at: u64) -> bool {
    let put = rows.put_part(id.to_owned(), part(number, "sku\nA\n"), NOW.after(at));
    put.await.expect("an answer")
}

async fn start(rows: &dyn Rows, id: &str, parts: u32) -> bool {
    let started = rows.start_import(id.to_owned(), parts, 9, NOW.after(1_000));
    started.await.expect("an answer")
}

async fn row(rows: &dyn Rows, id: &str) -> Option<ImportRow> {
    let found = rows.import(id.to_owned()).await.expect("a read");
    found.map(|(row, _)| row)
}

fn taken(id: &str, done: u64) -> Taken {
    Taken {
        id: id.to_owned(),
        done,
    }
}

async fn advance(rows: &dyn Rows, seen: Taken, lines: u64, failures: &[Failure]) -> bool {
    let advanced = rows.advance_import(DRIVER, seen, lines, failures.to_vec(), NOW.after(2_000));
    advanced.await.expect("an answer")
}

async fn finish(rows: &dyn Rows, seen: Taken) -> bool {
    let finished = rows.finish_import(DRIVER, seen, NOW.after(3_000));
    finished.await.expect("an answer")
}

fn failure(line: u64) -> Failure {
    Failure {
        line,
        code: "below_committed".to_owned(),
        detail: format!("line {line}: 1 unit is held — 好"),
    }
}

/// Parts come in any order and again, and are read in theirs; those behind what was checked go.
pub async fn parts_are_kept_until_their_import_is_done(two: &Two) {
    let [a, b] = two;
    let next = async |number| b.part_after("x".to_owned(), number).await.expect("a read");
    assert_eq!((row(&**a, "x").await, next(None).await), (None, None));
    for (number, text) in [
        (3, "three"),
        (1, "one"),
        (2, "two"),
        (7, "seven"),
        (1, "\u{feff}eins, 好 \0 "),
    ] {
        let put = a.put_part("x".to_owned(), part(number, text), NOW.after(number.into()));
        assert!(put.await.expect("an answer"));
    }
    let uploading = ImportRow {
        state: ImportState::Uploading,
        lines: 0,
        done: 0,
        failed: 0,
        created_at: NOW.after(3),
        changed_at: NOW.after(1),
    };
    assert_eq!(row(&**b, "x").await, Some(uploading));
    assert_eq!(next(None).await, Some(part(1, "\u{feff}eins, 好 \0 ")));
    assert_eq!(next(Some(1)).await, Some(part(2, "two")));
    assert_eq!(next(Some(3)).await, Some(part(7, "seven")));
    assert_eq!(next(Some(7)).await, None);
    assert!(!start(&**a, "y", 1).await, "there is none");
    assert_eq!(a.take_import(DRIVER).await.expect("an answer"), None);
    assert!(start(&**a, "x", 3).await);
    assert!(!start(&**b, "x", 7).await, "somebody was faster");
    assert!(!put(&**b, "x", 1, 0).await, "its parts stand");
    assert_eq!(next(Some(3)).await, None, "it was not checked");
    assert_eq!(
        a.take_import(DRIVER).await.expect("an answer"),
        Some(taken("x", 0))
    );
    assert!(finish(&**a, taken("x", 0)).await);
    assert_eq!(next(None).await, None);
    assert_eq!(row(&**b, "x").await.expect("a row").state, ImportState::Done);
    assert!(!put(&**b, "x", 1, 0).await && !start(&**b, "x", 1).await);
    assert_eq!(b.take_import(DRIVER).await.expect("an answer"), None);
}

/// Lines are counted from where they were seen, once; failures come by line, and are counted.
pub async fn lines_are_counted_once_and_from_where_they_were_seen(two: &Two) {
    let [a, b] = two;
    put(&**a, "x", 1, 0).await;
    assert!(
        !advance(&**a, taken("x", 0), 5, &[]).await,
        "it is not applied yet"
    );
    start(&**a, "x", 1).await;
    assert_eq!(
        a.take_import(DRIVER).await.expect("an answer"),
        Some(taken("x", 0))
    );
    assert!(advance(&**a, taken("x", 0), 5, &[failure(9), failure(4)]).await);
    assert!(!advance(&**b, taken("x", 0), 5, &[failure(5)]).await);
    assert!(
        advance(&**a, taken("x", 5), 0, &[]).await,
        "it is only said that the driver lives"
    );
    let twice = at_once(two, 8, |rows, time| {
        rows.advance_import(DRIVER, taken("x", 5), 2, vec![failure(20 + time as u64)], NOW)
    });
    assert_eq!(twice.await.iter().filter(|counted| **counted).count(), 1);
    assert!(!finish(&**b, taken("x", 5)).await);
    let (row, failures) = a.import("x".to_owned()).await.expect("a read").expect("a row");
    assert_eq!((row.lines, row.done, row.failed), (9, 7, 3));
    assert_eq!(failures[..2], [failure(4), failure(9)]);
    assert_eq!(failures.len(), 3);
    let many: Vec<Failure> = (100..100 + u64::from(FAILURES_SHOWN)).map(failure).collect();
    assert!(advance(&**a, taken("x", 7), 200, &many).await);
    let (row, failures) = b.import("x".to_owned()).await.expect("a read").expect("a row");
    assert_eq!(
        (row.failed, failures.len()),
        (3 + u64::from(FAILURES_SHOWN), FAILURES_SHOWN as usize)
    );
    assert!(finish(&**a, taken("x", 207)).await);
    assert!(!finish(&**a, taken("x", 207)).await);
    assert!(!advance(&**a, taken("x", 207), 1, &[]).await);
}

/// Imports are applied in the order in which they came.
pub async fn imports_are_applied_one_after_another(two: &Two) {
    let rows = &*two[0];
    for (id, at) in [("late", 20), ("b", 10), ("a", 10)] {
        put(rows, id, 1, at).await;
        start(rows, id, 1).await;
    }
    for id in ["a", "b", "late"] {
        assert_eq!(
            rows.take_import(DRIVER).await.expect("an answer"),
            Some(taken(id, 0))
        );
        assert!(advance(rows, taken(id, 0), 9, &[]).await);
        assert_eq!(
            rows.take_import(DRIVER).await.expect("an answer"),
            Some(taken(id, 9)),
            "after a crash"
        );
        assert!(finish(rows, taken(id, 9)).await);
    }
    assert_eq!(rows.take_import(DRIVER).await.expect("an answer"), None);
}

/// What is beyond the bounds is forgotten with its parts: what waited longest, and what was done first.
pub async fn uploads_and_what_is_done_are_bounded(two: &Two) {
    let rows = &*two[0];
    for number in 0..FINISHED_MAX + 2 {
        let id = format!("done-{number}");
        put(rows, &id, 1, 0).await;
        start(rows, &id, 1).await;
        assert_eq!(
            rows.take_import(DRIVER).await.expect("an answer"),
            Some(taken(&id, 0))
        );
        let finished = rows.finish_import(DRIVER, taken(&id, 0), NOW.after(u64::from(number)));
        assert!(finished.await.expect("an answer"));
    }
    put(rows, "applying", 1, 0).await;
    start(rows, "applying", 1).await;
    for number in 0..UPLOADS_MAX {
        put(rows, &format!("up-{number}"), 1, 100 + u64::from(number)).await;
    }
    // The first one goes on, so that the second has waited longest.
    put(rows, "up-0", 2, 500).await;
    put(rows, "up-new", 1, 501).await;
    let there = async |id: &str| row(rows, id).await.is_some();
    assert!(there("up-0").await && there("up-2").await && there("up-new").await);
    assert!(!there("up-1").await, "it has waited longest");
    assert_eq!(
        rows.part_after("up-1".to_owned(), None).await.expect("a read"),
        None
    );
    assert!(!there("done-0").await && !there("done-1").await && there("done-2").await);
    assert!(there("applying").await);
}

/// Many that send parts of one file at once, and begin files at once, lose none of them.
pub async fn parts_that_come_at_once_are_all_kept(two: &Two) {
    at_once(two, 24, |rows, time| {
        let part = part(time as u32 / 2 + 1, "sku\nA\n");
        rows.put_part(format!("file-{}", time % 2), part, NOW.after(time as u64))
    })
    .await;
    for id in ["file-0", "file-1"] {
        for number in 0..12 {
            let found = two[1]
                .part_after(id.to_owned(), Some(number))
                .await
                .expect("a read");
            assert_eq!(found, Some(part(number + 1, "sku\nA\n")), "{id}");
        }
    }
    let started = at_once(two, 8, |rows, _| {
        rows.start_import("file-0".to_owned(), 12, 12, NOW)
    });
    assert_eq!(started.await.iter().filter(|started| **started).count(), 1);
}
