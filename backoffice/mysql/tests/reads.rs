//! Tables and reads on a real server.

#[path = "support/database.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod database;
#[path = "support/shop.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod shop;

use database::{Scratch, block_on};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, Row, Value};
use shop::{Shop, sku};
use tidegate_follow::{Change, OrderRow, OrderRows, Store};
use tidegate_mysql::{Mysql, Page, Reader, Tables, facts, queries};
use tidegate_shard_core::{Buyer, Entry, OrderId, OrderStatus};

/// A store that has a day, and the rows that it should have.
fn full() -> Option<(Scratch, Vec<OrderRow>)> {
    let scratch = Scratch::make()?;
    let mut shop = Shop::new(3, 11);
    for _ in 0..900 {
        shop.act();
    }
    let mut rows = OrderRows::new();
    for record in &shop.log {
        rows.apply(&Entry::decode(&record.payload).unwrap());
    }
    scratch.open().apply(&shop.log).unwrap();
    let rows = rows.iter().filter(|row| row.status.is_some()).cloned().collect();
    Some((scratch, rows))
}

/// Pages of seven until one is short.
async fn pages(mut page: impl AsyncFnMut(Option<OrderId>, usize) -> Vec<OrderRow>) -> Vec<OrderRow> {
    let mut all: Vec<OrderRow> = Vec::new();
    loop {
        let next = page(all.last().map(|row| row.order), 7).await;
        assert!(next.len() <= 7);
        let done = next.len() < 7;
        all.extend(next);
        if done {
            return all;
        }
    }
}

fn newest_first(rows: &[OrderRow], wanted: impl Fn(&OrderRow) -> bool) -> Vec<OrderRow> {
    rows.iter().rev().filter(|row| wanted(row)).cloned().collect()
}

#[test]
fn pages_of_a_buyers_orders_newest_first_hold_each_once_also_by_status() {
    let Some((scratch, rows)) = full() else { return };
    let reader = Reader::new(scratch.settings()).unwrap();
    let buyer = Buyer([2; 16]);
    block_on(async {
        for status in [
            None,
            Some(OrderStatus::Confirmed),
            Some(OrderStatus::Cancelled),
            Some(OrderStatus::Expired),
        ] {
            let found = pages(async |after, limit| {
                let page = Page { status, after, limit };
                reader.of_buyer(buyer, page).await.unwrap()
            });
            let expected = newest_first(&rows, |row| {
                row.buyer == buyer && (status.is_none() || row.status == status)
            });
            assert!(expected.len() > 2, "{status:?}");
            assert_eq!(found.await, expected, "{status:?}");
        }
        let nobody = Page {
            status: None,
            after: None,
            limit: 7,
        };
        assert_eq!(reader.of_buyer(Buyer([99; 16]), nobody).await.unwrap(), []);
        assert_eq!(reader.order(OrderId(1)).await.unwrap(), None);
        assert_eq!(reader.history(OrderId(1)).await.unwrap(), []);
    });
}

#[test]
fn how_far_the_store_is_is_read_as_it_was_written_and_a_new_store_has_a_name_and_no_marks() {
    let Some(scratch) = Scratch::make() else { return };
    let reader = Reader::new(scratch.settings()).unwrap();
    block_on(async { assert!(reader.marks().await.is_err(), "there are no tables yet") });
    let mut store = scratch.open();
    let read = || block_on(async { Reader::new(scratch.settings()).unwrap().marks().await.unwrap() });
    let new = read();
    assert_eq!((new.name.as_str(), new.marks.len()), (store.name(), 0));
    store.apply(&Shop::new(3, 12).log).unwrap();
    let mut marks = read().marks;
    marks.sort_by_key(|mark| mark.shard);
    assert_eq!(marks, store.marks().unwrap());
}

#[test]
fn a_look_at_the_server_finds_whose_the_tables_are_and_what_the_user_may_and_changes_nothing() {
    let Some(scratch) = Scratch::make() else { return };
    let look = || block_on(async { facts(&scratch.settings()).await.unwrap() });
    let empty = look();
    assert_eq!(empty.tables, Tables::None);
    assert_eq!(empty.flush, Some(1));
    assert!(empty.rights.contains("INSERT") && empty.rights.contains("CREATE"));
    assert!(!empty.read_only && !empty.tls && empty.packet_max > Some(1 << 20));
    let name = scratch.open().name().to_owned();
    let Tables::Ours {
        version,
        known,
        name: found,
    } = look().tables
    else {
        panic!("they are the store's")
    };
    assert_eq!((version, found), (known, Some(name)));
    let Some(other) = Scratch::make() else { return };
    other.run("CREATE TABLE orders (id INT)");
    let found = block_on(async { facts(&other.settings()).await.unwrap() });
    assert_eq!(found.tables, Tables::Foreign);
}

#[test]
fn an_order_that_still_gathers_its_stock_is_shown_to_nobody() {
    let Some(scratch) = Scratch::make() else { return };
    let mut shop = Shop::new(3, 11);
    for _ in 0..200 {
        shop.act();
    }
    let gathers = |entry: &Entry| matches!(Change::of(entry), Some(Change::Placed { gathering: true, .. }));
    let entry = |at: usize| Entry::decode(&shop.log[at].payload).unwrap();
    let at = (0..shop.log.len()).rfind(|at| gathers(&entry(*at))).unwrap();
    let order = entry(at).order().unwrap();
    scratch.open().apply(&shop.log[..=at]).unwrap();
    let row = format!("SELECT hex(buyer), status FROM orders WHERE id = {order}");
    assert!(scratch.rows(&row)[0].ends_with("'gathering'"));
    let reader = Reader::new(scratch.settings()).unwrap();
    block_on(async {
        assert_eq!(reader.order(order).await.unwrap(), None);
        let first = Page {
            status: None,
            after: None,
            limit: 5,
        };
        for buyer in 0..5 {
            let page = reader.of_buyer(Buyer([buyer; 16]), first).await.unwrap();
            assert!(!page.is_empty() && page.iter().all(|row| row.order != order));
        }
        for number in 0..12 {
            let page = reader.with_sku(sku(number), None, 5).await.unwrap();
            assert!(page.iter().all(|row| row.order != order));
        }
    });
}

#[test]
fn pages_of_the_orders_with_a_sku_hold_each_once_with_all_its_lines() {
    let Some((scratch, rows)) = full() else { return };
    let reader = Reader::new(scratch.settings()).unwrap();
    block_on(async {
        let found = pages(async |after, limit| reader.with_sku(sku(4), after, limit).await.unwrap());
        let expected = newest_first(&rows, |row| row.lines.iter().any(|line| line.sku == sku(4)));
        assert!(expected.len() > 14 && expected.iter().any(|row| row.lines.len() > 1));
        assert_eq!(found.await, expected);
    });
}

#[test]
fn each_read_goes_by_the_index_that_was_made_for_it_and_sorts_nothing() {
    let Some((scratch, rows)) = full() else { return };
    scratch.run("ANALYZE TABLE orders, order_lines, history");
    let some = &rows[rows.len() / 2];
    let id = Value::UInt(some.order.0);
    let buyer = Value::Bytes(some.buyer.0.to_vec());
    let newer = Value::UInt(1 << 63);
    let number = Value::Bytes(sku(4).as_bytes().to_vec());
    let (ten, status) = (Value::UInt(10), Value::Bytes(b"pending".to_vec()));
    let reads = [
        (queries::ORDER.to_owned(), vec![id.clone()], "PRIMARY"),
        (
            queries::OF_BUYER.to_owned(),
            vec![buyer.clone(), newer.clone(), ten.clone()],
            "orders_by_buyer",
        ),
        (
            queries::OF_BUYER_IN_STATUS.to_owned(),
            vec![buyer, newer.clone(), status, ten.clone()],
            "orders_by_buyer",
        ),
        (
            queries::WITH_SKU.to_owned(),
            vec![number, newer, ten],
            "lines_by_sku PRIMARY",
        ),
        (queries::HISTORY.to_owned(), vec![id.clone()], "PRIMARY"),
        (queries::lines(2), vec![id.clone(), id], "PRIMARY"),
    ];
    block_on(async {
        let mut conn = Conn::new(Opts::from_url(&scratch.url).unwrap()).await.unwrap();
        for (sql, values, index) in reads {
            let plan: Vec<Row> = conn.exec(format!("EXPLAIN {sql}"), values).await.unwrap();
            let column = |name: &'static str| -> Vec<String> {
                plan.iter()
                    .map(|row| row.get::<Option<String>, _>(name).flatten().unwrap_or_default())
                    .collect()
            };
            assert_eq!(column("key").join(" "), index, "{sql}");
            for access in column("type") {
                assert!(
                    ["const", "eq_ref", "ref", "range"].contains(&access.as_str()),
                    "{access}: {sql}"
                );
            }
            let extra = column("Extra").concat();
            assert!(
                !extra.contains("filesort") && !extra.contains("temporary"),
                "{extra}: {sql}"
            );
        }
        conn.disconnect().await.unwrap();
    });
}

#[test]
fn the_tables_have_the_indexes_that_the_reads_need_and_no_other() {
    let Some(scratch) = Scratch::make() else { return };
    drop(scratch.open());
    let sql = "SELECT concat(table_name, '.', index_name, '(', group_concat(column_name ORDER BY seq_in_index), ')') \
        FROM information_schema.statistics WHERE table_schema = database() GROUP BY table_name, index_name";
    let mut found: Vec<String> = block_on(async {
        let mut conn = Conn::new(Opts::from_url(&scratch.url).unwrap()).await.unwrap();
        conn.query(sql).await.unwrap()
    });
    found.sort();
    assert_eq!(
        found,
        [
            "history.PRIMARY(order_id,op)",
            "marks.PRIMARY(shard)",
            "order_lines.PRIMARY(order_id,sku)",
            "order_lines.lines_by_sku(sku,order_id)",
            "orders.PRIMARY(id)",
            "orders.orders_by_buyer(buyer,id)",
            "skus.PRIMARY(sku)",
            "store.PRIMARY(only_row)",
            "tidegate_versions.PRIMARY(version)",
        ]
    );
}

#[test]
fn many_that_start_at_once_make_one_store_whose_name_stays() {
    let Some(scratch) = Scratch::make() else { return };
    let names: Vec<String> = std::thread::scope(|threads| {
        let starters: Vec<_> = (0..6)
            .map(|_| threads.spawn(|| scratch.open().name().to_owned()))
            .collect();
        starters
            .into_iter()
            .map(|starter| starter.join().unwrap())
            .collect()
    });
    assert!(names.iter().all(|name| *name == names[0]), "{names:?}");
    assert!(
        names[0].starts_with("mysql-") && names[0].len() == 22,
        "{}",
        names[0]
    );
    assert_eq!(scratch.open().name(), names[0]);
    assert_eq!(scratch.rows("SELECT * FROM tidegate_versions").len(), 1);
}

#[test]
fn a_start_that_died_within_a_migration_is_gone_over_again() {
    let Some(scratch) = Scratch::make() else { return };
    drop(scratch.open());
    scratch.run("DELETE FROM tidegate_versions; DROP TABLE skus, history; DELETE FROM store");
    let mut store = scratch.open();
    let shop = Shop::new(1, 1);
    store.apply(&shop.log).unwrap();
    assert_eq!(scratch.rows("SELECT * FROM skus").len(), 12);
}

#[test]
fn another_programs_database_and_one_of_a_newer_version_are_refused() {
    let (Some(other), Some(newer)) = (Scratch::make(), Scratch::make()) else {
        return;
    };
    other.run("CREATE TABLE orders (n INT)");
    let error = Mysql::open(other.settings()).unwrap_err().to_string();
    assert!(
        error.contains("another program") && error.contains("CREATE DATABASE"),
        "{error}"
    );
    drop(newer.open());
    newer.run("INSERT INTO tidegate_versions (version) VALUES (99)");
    let error = Mysql::open(newer.settings()).unwrap_err().to_string();
    assert!(error.contains("99") && error.contains("newer"), "{error}");
}
