//! What the shop asks, on a real server, by two processes' connections at the same time.

#[path = "support/database.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod database;

use std::sync::Arc;
use std::time::Duration;

use database::{Scratch, runtime};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use tidegate_follow::Store;
use tidegate_mysql::Rows;
use tidegate_rows::suite::{self, Two};
use tidegate_rows::{Charge, ChargeStatus, Charges, Driver, Part, Taken};
use tidegate_shard_core::{Millis, OrderId};

/// A database, and what two processes have of it.
struct Shop {
    scratch: Scratch,
    two: Two,
    runtime: tokio::runtime::Runtime,
}

fn empty() -> Option<Shop> {
    let scratch = Scratch::make()?;
    let runtime = runtime();
    let open = || {
        runtime
            .block_on(Rows::open(scratch.settings()))
            .expect("the rows open")
    };
    let two: Two = [Arc::new(open()), Arc::new(open())];
    Some(Shop {
        scratch,
        two,
        runtime,
    })
}

/// With the suite's log brought in.
fn fed() -> Option<Shop> {
    let shop = empty()?;
    let mut store = shop.scratch.open();
    store
        .apply(&suite::log::records())
        .expect("the log is brought in");
    Some(shop)
}

/// A test for each behaviour, on a database of its own.
macro_rules! held_to {
    ($from:expr => $($room:ident :: $behaviour:ident)*) => {
        $(#[test] fn $behaviour() {
            let Some(shop) = $from else { return };
            shop.runtime.block_on(suite::$room::$behaviour(&shop.two));
        })*
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

#[test]
fn a_callback_is_kept_once_and_with_what_it_changed_or_not_at_all() {
    let Some(shop) = empty() else { return };
    let kept = || -> Vec<Vec<u8>> {
        // On a thread of its own: this one's runtime is at work.
        let rows = std::thread::scope(|threads| {
            let read = || {
                shop.scratch
                    .rows("SELECT hex(raw) FROM callbacks ORDER BY at, id")
            };
            threads.spawn(read).join().expect("a read")
        });
        let bytes = |row: String| -> Vec<u8> {
            let digits = row.trim_matches('\'').as_bytes().chunks(2);
            let byte = |two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap();
            digits.map(byte).collect()
        };
        rows.into_iter().map(bytes).collect()
    };
    let held =
        suite::charges::a_callback_is_kept_once_and_with_what_it_changed_or_not_at_all(&shop.two, &kept);
    shop.runtime.block_on(held);
}

async fn apply(rows: &dyn tidegate_rows::Rows, id: &str) {
    let part = Part {
        number: 1,
        first_line: 2,
        text: "sku\nA\n".to_owned(),
    };
    assert!(rows.put_part(id.to_owned(), part, Millis(1)).await.unwrap());
    assert!(rows.start_import(id.to_owned(), 1, 9, Millis(1)).await.unwrap());
}

#[test]
fn an_import_is_applied_by_one_process_until_nothing_was_heard_of_that_one() {
    let Some(shop) = empty() else { return };
    let [a, b] = &shop.two;
    let (one, other) = (Driver(1), Driver(2));
    let taken = |done| Taken {
        id: "x".to_owned(),
        done,
    };
    shop.runtime.block_on(async {
        apply(&**a, "x").await;
        apply(&**a, "y").await;
        assert_eq!(a.take_import(one).await.unwrap(), Some(taken(0)));
        // Neither this one nor the one after it: two files may set the same SKU.
        assert_eq!(b.take_import(other).await.unwrap(), None);
        assert!(
            a.advance_import(one, taken(0), 4, Vec::new(), Millis(1))
                .await
                .unwrap()
        );
    });
    shop.scratch.run("UPDATE imports SET driven_until = 0");
    shop.runtime.block_on(async {
        assert_eq!(b.take_import(other).await.unwrap(), Some(taken(4)));
        // The first one was only slow. What it does now is not counted.
        assert!(
            !a.advance_import(one, taken(4), 1, Vec::new(), Millis(1))
                .await
                .unwrap()
        );
        assert!(!a.finish_import(one, taken(4), Millis(1)).await.unwrap());
        assert_eq!(a.take_import(one).await.unwrap(), None);
        assert!(
            b.advance_import(other, taken(4), 5, Vec::new(), Millis(1))
                .await
                .unwrap()
        );
        assert!(b.finish_import(other, taken(9), Millis(1)).await.unwrap());
        assert_eq!(
            a.take_import(one).await.unwrap().map(|taken| taken.id),
            Some("y".to_owned())
        );
    });
}

#[test]
fn of_many_that_take_an_import_at_once_one_has_it() {
    let Some(shop) = empty() else { return };
    shop.runtime.block_on(async {
        for round in 0..5 {
            let id = format!("file-{round}");
            apply(&*shop.two[0], &id).await;
            let takers = (0..8).map(|n| shop.two[n % 2].take_import(Driver(round * 8 + n as u64)));
            let taken: Vec<_> = futures_util::future::join_all(takers).await;
            let taken: Vec<usize> = (0..8).filter(|n| taken[*n].as_ref().unwrap().is_some()).collect();
            assert_eq!(taken.len(), 1, "{taken:?}");
            let seen = Taken { id, done: 0 };
            let driver = Driver(round * 8 + taken[0] as u64);
            assert!(shop.two[1].finish_import(driver, seen, Millis(1)).await.unwrap());
        }
    });
}

fn charge(number: u32) -> Charge {
    Charge {
        id: format!("ch_{number}").parse().unwrap(),
        order: OrderId((number % 1_000).into()),
        amount: 1,
        currency: *b"EUR",
        provider: "simulated".to_owned(),
        status: ChargeStatus::Created,
        payment_url: None,
        close_at: Millis(9),
        attempts: 0,
    }
}

#[test]
fn a_call_that_is_dropped_leaves_its_connection_to_nobody_who_would_read_its_answer() {
    let Some(scratch) = Scratch::make() else { return };
    let mut settings = scratch.settings();
    // One, so that whoever comes next would have the same.
    settings.writers_max = 1;
    runtime().block_on(async {
        let rows = Rows::open(settings).await.unwrap();
        rows.open_charge(charge(1), Millis(1)).await.unwrap();
        let mut other = Conn::new(Opts::from_url(&scratch.url).unwrap()).await.unwrap();
        for sql in [
            "START TRANSACTION",
            "SELECT * FROM charges WHERE charge = 'ch_1' FOR UPDATE",
        ] {
            other.query_drop(sql).await.unwrap();
        }
        let waits = rows.advance_charge(
            charge(1).id,
            ChargeStatus::Created,
            ChargeStatus::Started,
            Millis(2),
        );
        let dropped = tokio::time::timeout(Duration::from_millis(100), waits).await;
        assert!(dropped.is_err(), "the row is locked");
        let next = rows.open_charge(charge(2), Millis(1));
        let next = tokio::time::timeout(Duration::from_secs(3), next).await;
        assert_eq!(
            next.expect("a connection that answers").unwrap(),
            Some((charge(2), false))
        );
        other.disconnect().await.unwrap();
    });
}

#[test]
fn what_two_processes_have_is_of_tables_that_whichever_was_first_has_made() {
    let Some(scratch) = Scratch::make() else { return };
    runtime().block_on(async {
        let (one, other) = tokio::join!(Rows::open(scratch.settings()), Rows::open(scratch.settings()));
        assert!(one.unwrap().next_charge_due().await.unwrap().is_none());
        assert!(other.unwrap().next_charge_due().await.unwrap().is_none());
    });
}
