use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tidegate_shard_core::{Command, Outcome};

use super::{BadLine, Checked, Failure, ImportError, ImportState, Imports, part};
use crate::shop::SharedShards;
use crate::store::Sqlite;
use crate::testing::{Fault, Faults, OneShard};
use crate::time::Clock;

/// A store, a shard and imports.
struct Desk {
    _dir: TempDir,
    shard: Arc<OneShard>,
    faults: Arc<Faults>,
    imports: Imports,
}

impl Desk {
    fn new() -> Desk {
        let dir = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&dir.path().join("store.db")).unwrap();
        let faults = Arc::new(Faults::default());
        let shard = Arc::new(OneShard::new(faults.clone()));
        let clock: Clock = {
            let shard = shard.clone();
            Arc::new(move || shard.now())
        };
        let imports = Imports::new(Arc::new(store), SharedShards(shard.clone()), clock);
        Desk {
            _dir: dir,
            shard,
            faults,
            imports,
        }
    }

    async fn upload(&self, number: u32, line: u64, text: &str) -> Result<(), ImportError> {
        self.imports
            .put_part("file".into(), number, line, text.into())
            .await
    }

    async fn bad(&self, text: &str) -> Vec<BadLine> {
        self.upload(1, 2, text).await.unwrap();
        match self.imports.check("file".into(), 1).await.unwrap() {
            Checked::Sound { lines } => panic!("{lines} sound lines"),
            Checked::Unsound { bad, .. } => bad,
        }
    }

    async fn start(&self, parts: u32) {
        match self.imports.check("file".into(), parts).await.unwrap() {
            Checked::Sound { lines } => self.imports.start("file".into(), parts, lines).await.unwrap(),
            Checked::Unsound { bad, .. } => panic!("{bad:?}"),
        }
    }

    /// Price and units of a SKU.
    fn price_and_stock(&self, sku: &str) -> Option<(u64, u64)> {
        let read = Command::ReadSku {
            sku: sku.parse().unwrap(),
        };
        match self.shard.run(&read) {
            Outcome::Sku(view) => Some((view.price, view.stock.stocked)),
            _ => None,
        }
    }
}

const HEADER: &str = "sku,price,currency,stock\n";

fn words(bad: &[BadLine]) -> String {
    bad.iter()
        .map(|bad| format!("{} {}: {}\n", bad.line, bad.column.unwrap_or("-"), bad.detail))
        .collect()
}

#[tokio::test]
async fn a_file_in_two_parts_is_checked_as_a_whole_and_applied_line_by_line() {
    let desk = Desk::new();
    desk.upload(1, 2, "sku,price,currency,stock\nA,100,EUR,5\nB,200,EUR,6\n")
        .await
        .unwrap();
    let missing = desk.imports.check("file".into(), 2).await;
    assert!(matches!(missing, Err(ImportError::MissingPart(2))), "{missing:?}");
    desk.upload(2, 4, "stock,sku,currency,price\n7,C,EUR,300\n")
        .await
        .unwrap();
    desk.start(2).await;
    assert!(desk.imports.run_once().await.unwrap());
    let (row, failures) = desk.imports.find("file".into()).await.unwrap();
    assert_eq!(
        (row.state, row.lines, row.done, row.failed),
        (ImportState::Done, 3, 3, 0)
    );
    assert_eq!(failures, []);
    assert_eq!(desk.price_and_stock("B"), Some((200, 6)));
    assert_eq!(desk.price_and_stock("C"), Some((300, 7)));
    assert!(!desk.imports.run_once().await.unwrap(), "nothing is left to do");
}

#[tokio::test]
async fn every_bad_line_is_named_with_its_line_in_the_file_and_nothing_is_applied() {
    let desk = Desk::new();
    let text = format!("{HEADER}A,1,EUR,5\nB,x,EUR,6\nC D,1,EUR,1\nA,2,EUR,5\nE,1,euro,5\nF,1,EUR\nG,1,,5\n");
    let bad = desk.bad(&text).await;
    assert_eq!(
        words(&bad),
        "3 price: price is a whole number of minor units, as in 1999, not \"x\"\n\
         4 sku: a SKU is 1 to 47 characters of A-Z a-z 0-9 . _ : -, not \"C D\"\n\
         5 sku: A is in line 2 as well; keep one of them\n\
         6 currency: currency is three capital letters, as in CNY (ISO 4217), not \"euro\"\n\
         7 -: the first line names 4 columns, this one has 3\n\
         8 -: a new SKU needs price, currency and stock\n"
    );
    assert!(!desk.imports.run_once().await.unwrap());
    assert_eq!(desk.price_and_stock("A"), None);
}

#[tokio::test]
async fn a_file_that_was_mended_takes_the_place_of_the_bad_one() {
    let desk = Desk::new();
    desk.bad(&format!("{HEADER}A,x,EUR,5\n")).await;
    desk.upload(1, 2, &format!("{HEADER}A,9,EUR,5\n")).await.unwrap();
    desk.start(1).await;
    desk.imports.run_once().await.unwrap();
    assert_eq!(desk.price_and_stock("A"), Some((9, 5)));
    let late = desk.upload(1, 2, HEADER).await;
    assert!(
        matches!(late, Err(ImportError::Started(ImportState::Done))),
        "{late:?}"
    );
}

#[tokio::test]
async fn parts_behind_those_that_were_checked_are_of_a_longer_file_and_not_applied() {
    let desk = Desk::new();
    desk.bad(&format!("{HEADER}A,x,EUR,5\n")).await;
    desk.upload(2, 3, &format!("{HEADER}B,1,EUR,5\n")).await.unwrap();
    desk.upload(1, 2, &format!("{HEADER}A,9,EUR,5\n")).await.unwrap();
    desk.start(1).await;
    desk.imports.run_once().await.unwrap();
    assert_eq!(desk.price_and_stock("A"), Some((9, 5)));
    assert_eq!(desk.price_and_stock("B"), None);
}

#[tokio::test]
async fn a_line_that_its_shard_refuses_is_reported_and_the_others_go_on() {
    let desk = Desk::new();
    desk.shard.stock("B", 5);
    desk.shard.place(1, 1, "B").unwrap();
    let text = "sku,price,currency,stock\nA,1,EUR,5\nB,1,CNY,0\nC,1,EUR,5\n";
    desk.upload(1, 2, text).await.unwrap();
    desk.start(1).await;
    desk.imports.run_once().await.unwrap();
    let (row, failures) = desk.imports.find("file".into()).await.unwrap();
    assert_eq!((row.done, row.failed), (3, 1));
    let refused = Failure {
        line: 3,
        code: "below_committed".into(),
        detail: "1 units are held and 0 sold".into(),
    };
    assert_eq!(failures, [refused]);
    assert_eq!(desk.price_and_stock("C"), Some((1, 5)));
}

#[tokio::test]
async fn an_import_goes_on_after_a_crash_at_any_call_and_sets_every_line() {
    for (at, fault) in (0..200).step_by(7).flat_map(|at| {
        [
            Fault::CrashBefore,
            Fault::CrashAfter,
            Fault::AnswerLost,
            Fault::NotDone,
        ]
        .map(|fault| (at, fault))
    }) {
        let desk = Desk::new();
        let mut text = HEADER.to_owned();
        (0..150).for_each(|n| text.push_str(&format!("S-{n},{},EUR,5\n", n + 1)));
        desk.upload(1, 2, &text).await.unwrap();
        desk.start(1).await;
        desk.faults.plan(at, Some(fault));
        tokio::select! {
            done = desk.imports.run_once() => { done.unwrap(); }
            // Dropped in the middle, as a process that dies.
            () = desk.faults.crashed.notified() => {}
        }
        desk.faults.plan(0, None);
        desk.imports.run_once().await.unwrap();
        let (row, _) = desk.imports.find("file".into()).await.unwrap();
        assert_eq!((row.state, row.done), (ImportState::Done, 150), "{at} {fault:?}");
        for n in 0..150 {
            let found = desk.price_and_stock(&format!("S-{n}"));
            assert_eq!(found, Some((n + 1, 5)), "{at} {fault:?} {n}");
        }
    }
}

#[tokio::test]
async fn the_job_is_woken_by_an_import_that_begins() {
    let desk = Desk::new();
    let imports = desk.imports.clone();
    let job = tokio::spawn(async move { imports.run().await });
    tokio::time::sleep(Duration::from_millis(20)).await;
    desk.upload(1, 2, &format!("{HEADER}A,9,EUR,5\n")).await.unwrap();
    desk.start(1).await;
    let done = async {
        while desk.imports.find("file".into()).await.unwrap().0.state != ImportState::Done {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), done).await.unwrap();
    job.abort();
}

#[test]
fn a_line_is_counted_by_the_lines_of_the_file_also_behind_a_cell_of_two_lines() {
    let text = "\u{feff}sku,name\r\nA,\"two\nlines\"\nB,ok\n\nB C,bad\n";
    let lines = part::lines(text, 10);
    let numbers: Vec<u64> = lines
        .iter()
        .map(|line| match line {
            Ok((line, _)) => *line,
            Err(bad) => bad.line,
        })
        .collect();
    assert_eq!(numbers, [10, 12, 14]);
}

#[test]
fn an_empty_cell_keeps_a_value_and_takes_a_limit_away() {
    let lines = part::lines(
        "sku,price,buyer_limit,sale_end\nA,,,\nB,1,2,2026-11-27T10:00:00Z\n",
        2,
    );
    let (_, empty) = lines[0].clone().unwrap();
    assert_eq!(
        (empty.price, empty.buyer_limit, empty.sale_end),
        (None, Some(None), Some(None))
    );
    assert_eq!(empty.sale_start, None, "its column is not there");
    let (_, full) = lines[1].clone().unwrap();
    assert_eq!((full.price, full.buyer_limit), (Some(1), Some(Some(2))));
}

#[test]
fn a_column_that_there_is_not_is_told_the_nearest_one() {
    let bad = part::lines("sku,prize\nA,1\n", 2).remove(0).unwrap_err();
    assert_eq!(bad.detail, "there is no column `prize`; did you mean `price`?");
    let bad = part::lines("name\nA\n", 2).remove(0).unwrap_err();
    assert!(bad.detail.contains("`sku` is not among them"), "{bad:?}");
}
