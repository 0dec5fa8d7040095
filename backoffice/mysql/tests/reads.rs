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
use tidegate_mysql::{Mysql, Reader, Tables, facts, queries};
use tidegate_rows::Filter;
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

fn of_buyer(number: u8) -> Filter {
    Filter {
        buyer: Some(Buyer([number; 16])),
        user: Some(format!("käufer-{number}-🦀")),
        ..Filter::default()
    }
}

fn with_sku(number: u64) -> Filter {
    Filter {
        sku: Some(sku(number)),
        ..Filter::default()
    }
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
                let filter = Filter {
                    status,
                    after,
                    ..of_buyer(2)
                };
                reader.orders(&filter, limit).await.unwrap()
            });
            let expected = newest_first(&rows, |row| {
                row.buyer == buyer && (status.is_none() || row.status == status)
            });
            assert!(expected.len() > 2, "{status:?}");
            assert_eq!(found.await, expected, "{status:?}");
        }
        assert_eq!(reader.orders(&of_buyer(99), 7).await.unwrap(), []);
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
        for buyer in 0..5 {
            let page = reader.orders(&of_buyer(buyer), 5).await.unwrap();
            assert!(!page.is_empty() && page.iter().all(|row| row.order != order));
        }
        for number in 0..12 {
            let page = reader.orders(&with_sku(number), 5).await.unwrap();
            assert!(page.iter().all(|row| row.order != order));
        }
    });
}

#[test]
fn pages_of_the_orders_with_a_sku_hold_each_once_with_all_its_lines() {
    let Some((scratch, rows)) = full() else { return };
    let reader = Reader::new(scratch.settings()).unwrap();
    block_on(async {
        let found = pages(async |after, limit| {
            let filter = Filter { after, ..with_sku(4) };
            reader.orders(&filter, limit).await.unwrap()
        });
        let expected = newest_first(&rows, |row| row.lines.iter().any(|line| line.sku == sku(4)));
        assert!(expected.len() > 14 && expected.iter().any(|row| row.lines.len() > 1));
        assert_eq!(found.await, expected);
    });
}

#[test]
fn each_read_goes_by_the_index_that_was_made_for_it_and_sorts_nothing() {
    let Some((scratch, rows)) = full() else { return };
    scratch.run("ANALYZE TABLE orders, order_lines, history, skus");
    let some = &rows[rows.len() / 2];
    let id = Value::UInt(some.order.0);
    let within = |filter: Filter| Filter {
        from: Some(some.placed_at),
        to: Some(some.placed_at.after(3_600_000)),
        status: Some(OrderStatus::Pending),
        after: Some(some.order),
        ..filter
    };
    let both = Filter {
        sku: Some(sku(4)),
        ..of_buyer(2)
    };
    let plain = |sql: &str, values: Vec<Value>, index| ((sql.to_owned(), values), index);
    let names = vec![Value::Bytes(b"SKU-1".to_vec()), Value::Bytes(b"SKU-2".to_vec())];
    let reads = [
        plain(queries::ORDER, vec![id.clone()], "PRIMARY"),
        (queries::orders(&of_buyer(2), 10), "orders_by_subject"),
        (queries::orders(&within(of_buyer(2)), 10), "orders_by_subject"),
        (queries::orders(&both, 10), "orders_by_subject PRIMARY"),
        (queries::orders(&with_sku(4), 10), "lines_by_sku PRIMARY"),
        (queries::orders(&within(with_sku(4)), 10), "lines_by_sku PRIMARY"),
        (queries::orders(&Filter::default(), 10), "PRIMARY"),
        (queries::orders(&within(Filter::default()), 10), "PRIMARY"),
        (queries::skus("", "SKU-1", 10), "PRIMARY"),
        (queries::skus("nummer", "SKU-1", 10), "PRIMARY"),
        plain(&queries::known_skus(2), names, "PRIMARY"),
        plain(queries::HISTORY, vec![id.clone()], "PRIMARY"),
        plain(&queries::lines(2), vec![id.clone(), id], "PRIMARY"),
    ];
    block_on(async {
        let mut conn = Conn::new(Opts::from_url(&scratch.url).unwrap()).await.unwrap();
        for ((sql, values), index) in reads {
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
            "callbacks.PRIMARY(id)",
            "callbacks.callbacks_of_charge(charge,digest)",
            "charges.PRIMARY(charge)",
            "charges.charges_due(due_at)",
            "charges.charges_of_order(order_id,number)",
            "fences.PRIMARY(job)",
            "history.PRIMARY(order_id,op)",
            "import_failures.PRIMARY(import_id,line)",
            "import_parts.PRIMARY(import_id,part)",
            "imports.PRIMARY(id)",
            "imports.imports_by_state(state,changed_at)",
            "marks.PRIMARY(shard)",
            "order_lines.PRIMARY(order_id,sku)",
            "order_lines.lines_by_sku(sku,order_id)",
            "orders.PRIMARY(id)",
            "orders.orders_by_subject(subject,id)",
            "simulated_charges.PRIMARY(charge)",
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
    assert_eq!(scratch.rows("SELECT * FROM tidegate_versions").len(), 3);
}

#[test]
fn a_start_that_died_within_a_migration_is_gone_over_again() {
    let Some(scratch) = Scratch::make() else { return };
    drop(scratch.open());
    scratch.run("DELETE FROM tidegate_versions; DROP TABLE skus, history, imports; DELETE FROM store");
    let mut store = scratch.open();
    let shop = Shop::new(1, 1);
    store.apply(&shop.log).unwrap();
    assert_eq!(scratch.rows("SELECT * FROM skus").len(), 12);
    assert_eq!(scratch.rows("SELECT * FROM imports").len(), 0);
}

#[test]
fn a_store_of_the_first_version_is_brought_up_to_date_and_keeps_its_rows() {
    let Some(scratch) = Scratch::make() else { return };
    drop(scratch.open());
    // As the first version left it: its tables and index, and none of the shop's.
    scratch.run(
        "DROP TABLE charges, callbacks, simulated_charges, imports, import_parts, import_failures, fences;
         ALTER TABLE orders DROP KEY orders_by_subject, ADD KEY orders_by_buyer (buyer, id);
         DELETE FROM tidegate_versions WHERE version > 1;
         INSERT INTO skus VALUES ('A', 'a', 1, 'EUR', 1, NULL, 'sku', NULL, NULL, 1000, 0, 1)",
    );
    drop(scratch.open());
    assert_eq!(scratch.rows("SELECT sku FROM skus"), ["'A'"]);
    let keys = "SELECT DISTINCT index_name FROM information_schema.statistics \
        WHERE table_schema = database() AND table_name = 'orders' ORDER BY index_name";
    assert_eq!(scratch.rows(keys), ["'orders_by_subject'", "'PRIMARY'"]);
    assert_eq!(scratch.rows("SELECT * FROM charges").len(), 0);
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
