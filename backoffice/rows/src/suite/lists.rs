//! What follows the log, as it is read.

use std::collections::HashSet;

use tidegate_follow::OrderRow;
use tidegate_shard_core::{Millis, OrderId, OrderStatus};

use super::log::{self, ORDERS, SKUS, USERS, buyer, parsed, sku_put};
use super::{NOW, Two};
use crate::{Filter, Rows};

/// Every filter and every two of them find what the same question finds in memory, page by page, each order once with all its lines.
pub async fn orders_are_found_by_any_filter_page_by_page(two: &Two) {
    let all = log::orders();
    let mut pages = 0;
    for first in filters() {
        for second in filters() {
            let filter = both(&first, &second);
            let expected: Vec<&OrderRow> = all.iter().filter(|row| matches(&filter, row)).collect();
            let found = paged(&*two[pages % 2], &filter).await;
            assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{filter:?}");
            pages += usize::from(found.len() > 7);
        }
    }
    assert!(pages > 20, "most of these lists have several pages, not {pages}");
}

async fn paged(rows: &dyn Rows, filter: &Filter) -> Vec<OrderRow> {
    let (mut filter, mut found) = (filter.clone(), Vec::new());
    loop {
        let page = rows.orders(filter.clone(), 7).await.expect("a page");
        assert!(page.len() <= 7);
        let full = page.len() == 7;
        found.extend(page);
        if !full {
            return found;
        }
        filter.after = found.last().map(|row: &OrderRow| row.order);
    }
}

fn filters() -> Vec<Filter> {
    let mut filters = vec![Filter::default()];
    filters.extend(USERS.iter().map(|user| Filter {
        user: Some((*user).to_owned()),
        ..Filter::default()
    }));
    filters.extend((0..2).map(|user| Filter {
        buyer: Some(buyer(user)),
        user: Some(USERS[user].to_owned()),
        ..Filter::default()
    }));
    filters.push(Filter {
        buyer: Some(buyer(2)),
        ..Filter::default()
    });
    let statuses = [
        OrderStatus::Pending,
        OrderStatus::Confirmed,
        OrderStatus::Cancelled,
        OrderStatus::Expired,
    ];
    filters.extend(statuses.map(|status| Filter {
        status: Some(status),
        ..Filter::default()
    }));
    filters.extend(["A-1", "A_1", "B:1"].map(|sku| Filter {
        sku: Some(parsed(sku)),
        ..Filter::default()
    }));
    for (from, to) in [(10, None), (30, Some(50)), (0, Some(20))] {
        filters.push(Filter {
            from: Some(NOW.after(from * 1_000)),
            to: to.map(|to| NOW.after(to * 1_000)),
            ..Filter::default()
        });
    }
    filters
}

fn both(first: &Filter, second: &Filter) -> Filter {
    Filter {
        buyer: first.buyer.or(second.buyer),
        user: first.user.clone().or(second.user.clone()),
        status: first.status.or(second.status),
        sku: first.sku.or(second.sku),
        from: first.from.or(second.from),
        to: first.to.or(second.to),
        after: None,
    }
}

fn matches(filter: &Filter, row: &OrderRow) -> bool {
    filter.buyer.is_none_or(|buyer| row.buyer == buyer)
        && filter.user.as_deref().is_none_or(|user| &*row.user == user)
        && filter.status.is_none_or(|status| row.status == Some(status))
        && filter
            .sku
            .is_none_or(|sku| row.lines.iter().any(|line| line.sku == sku))
        && filter.from.is_none_or(|from| row.placed_at >= from)
        && filter.to.is_none_or(|to| row.placed_at < to)
}

/// One order, its history, and none of one that gathers or never was.
pub async fn an_order_is_found_with_its_history_and_one_that_gathers_is_not(two: &Two) {
    let rows = &*two[0];
    for row in log::orders() {
        assert_eq!(rows.order(row.order).await.expect("a read").as_ref(), Some(&row));
        let steps = rows.history(row.order).await.expect("a history");
        let kinds: Vec<&str> = steps.iter().map(|step| step.kind.as_str()).collect();
        let ended = row.status != Some(OrderStatus::Pending);
        assert_eq!(steps.len(), 1 + usize::from(ended), "{kinds:?}");
        assert_eq!((kinds[0], steps[0].at), ("placed", row.placed_at));
        assert_eq!(steps[0].shard, row.order.shard().0);
        assert!(steps.windows(2).all(|two| two[0].op < two[1].op));
        if row.status == Some(OrderStatus::Confirmed) {
            let detail = steps[1].detail.as_deref().unwrap_or_default();
            let charge = row.charge.expect("the charge that paid it");
            assert!(detail.contains(charge.as_str()), "{detail}");
        }
    }
    let newest = OrderId::new(
        NOW.after((ORDERS - 1) * 1_000 + (ORDERS - 1) % 3 * 20_000),
        tidegate_shard_core::ShardId(((ORDERS - 1) % 2) as u16),
        ORDERS as u16 - 1,
    );
    assert!(!rows.history(newest).await.expect("a history").is_empty());
    assert_eq!(rows.order(newest).await.expect("a read"), None, "it gathers");
    assert_eq!(rows.order(OrderId(7)).await.expect("a read"), None);
    assert_eq!(rows.history(OrderId(7)).await.expect("a read"), []);
}

/// SKUs by the bytes of their names; a search takes its signs as they are.
pub async fn skus_are_listed_by_bytes_and_found_by_a_name_of_theirs(two: &Two) {
    let rows = &*two[1];
    let whole = rows.skus(None, String::new(), 9).await.expect("a page");
    let expected: Vec<_> = (0..SKUS.len()).map(sku_put).collect();
    assert_eq!(whole, expected);
    let found = async |search: &str, after: &str, limit| -> Vec<String> {
        let page = rows.skus(Some(search.to_owned()), after.to_owned(), limit).await;
        page.expect("a page")
            .iter()
            .map(|put| put.sku.to_string())
            .collect()
    };
    assert_eq!(found("", "AB1", 2).await, ["A_1", "B:1"]);
    assert_eq!(found("", "B:1", 9).await, ["a_1", "b-1"]);
    assert_eq!(found("", "b-1", 9).await, [""; 0]);
    assert_eq!(found("A_", "", 9).await, ["A_1", "a_1"], "whatever the case");
    assert_eq!(
        found("b", "", 9).await,
        ["B:1", "a_1", "b-1"],
        "the middle one by its name"
    );
    assert_eq!(found("1", "", 9).await, ["AB1"], "the beginning of a SKU only");
    assert_eq!(found("shoe", "", 9).await, ["A-1", "B:1"]);
    assert_eq!(found("shoe", "A-1", 9).await, ["B:1"]);
    assert_eq!(found("%", "", 9).await, ["AB1"]);
    assert_eq!(found("_s", "", 9).await, ["A_1"]);
    assert_eq!(found("|", "", 9).await, ["A_1"]);
    assert_eq!(found("\\", "", 9).await, ["a_1"]);
    assert_eq!(found("e 好", "", 9).await, ["b-1"]);
    assert_eq!(found("'; --", "", 9).await, [""; 0]);
    let asked = ["A_1", "a-1", "b-1", "none"].map(parsed).to_vec();
    let known = rows.known_skus(asked).await.expect("those that are known");
    assert_eq!(known, HashSet::from(["A_1", "b-1"].map(parsed)));
    assert!(rows.known_skus(Vec::new()).await.expect("none").is_empty());
    let many = (0..1_500)
        .map(|n| parsed(&format!("no-{n}")))
        .chain([parsed("AB1")]);
    let known = rows.known_skus(many.collect()).await.expect("one of many");
    assert_eq!(known, HashSet::from([parsed("AB1")]));
}

/// The window of time that a list is asked for, from its first millisecond to before its last.
pub async fn a_window_of_time_begins_with_its_first_millisecond_and_ends_before_its_last(two: &Two) {
    let window = async |from: u64, to: u64| {
        let filter = Filter {
            from: Some(Millis(NOW.0 + from)),
            to: Some(Millis(NOW.0 + to)),
            ..Filter::default()
        };
        two[0].orders(filter, 100).await.expect("a list").len()
    };
    assert_eq!(window(5_000, 5_001).await, 1);
    assert_eq!(window(5_001, 6_000).await, 0);
    assert_eq!(window(5_000, 7_000).await, 2);
}
