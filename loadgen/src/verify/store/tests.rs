use std::collections::HashMap;
use std::io::Cursor;

use super::*;
use crate::ledger::{Kind, Ledger, Line, LinesRef, Outcome, Record, Stock};
use crate::verify::log::parse as parse_log;
use crate::verify::{Evidence, Findings, OrderSeen, SkuEvidence, facts};

/// Order 10 of shard 1.
const ID: u64 = (1 << 12) | 10;

/// What the client of the one order did after it was made, and was told when it was read back.
#[derive(Clone, Copy, Default)]
struct Client {
    ended: Option<(Kind, Outcome)>,
    told: Option<&'static str>,
    /// Somebody else may have used the shop.
    shared: bool,
}

fn record(kind: Kind, outcome: Outcome) -> Record {
    Record {
        intended: 1,
        sent: 1,
        answered: 2,
        order: ID,
        user: 7,
        origin: 0,
        lines: LinesRef::One(Line { sku: 0, qty: 2 }),
        status: 201,
        kind,
        outcome,
    }
}

/// Two units of A at 500 CNY, acknowledged to user 7.
fn findings(client: Client, stored: &str, log: &str, caught_up: bool) -> Findings {
    let mut ledger = Ledger::new(1);
    ledger.records.push(record(Kind::Place, Outcome::Made));
    ledger
        .records
        .extend(client.ended.map(|(kind, outcome)| record(kind, outcome)));
    let seen = client.told.map(|status| {
        let seen = OrderSeen {
            http: 200,
            order: ID,
            status: status.into(),
            lines: vec![("A".into(), 2)],
            pay_by: None,
            total: Some(1000),
            currency: Some("CNY".into()),
        };
        (0, seen)
    });
    let evidence = Evidence {
        ledger: &ledger,
        names: &["A".to_owned()],
        skus: &[SkuEvidence {
            base: Stock::default(),
            end: Stock::default(),
            limit: None,
            price: Some((500, "CNY".into())),
        }],
        seen: &seen.into_iter().collect::<HashMap<_, _>>(),
        one_buyer: false,
        read_at_ms: 0,
        exclusive: !client.shared,
    };
    let mut findings = Findings::default();
    let sides = Sides {
        stored: &parse(Cursor::new(stored)).unwrap(),
        log: &parse_log(Cursor::new(log)).unwrap(),
        evidence: &evidence,
        facts: &facts::gather(&evidence),
        prefix: "u",
        caught_up,
    };
    compare(&sides, &mut findings);
    findings
}

fn faults(client: Client, stored: &str, log: &str) -> Vec<u8> {
    findings(client, stored, log, false)
        .counts
        .keys()
        .copied()
        .collect()
}

/// A row of the store with this status and these steps, as `op kind`.
fn row(status: &str, steps: &[(u64, &str)]) -> String {
    let steps: Vec<String> = steps
        .iter()
        .map(|(op, kind)| format!(r#"{{"shard":1,"op":{op},"at":1,"kind":"{kind}"}}"#))
        .collect();
    format!(
        r#"{{"order":"{ID}","user":"u7","status":"{status}","total":1000,"currency":"CNY","lines":[{{"sku":"A","qty":2}}],"history":[{}]}}"#,
        steps.join(",")
    )
}

fn right() -> String {
    row("pending", &[(9, "placed")])
}

/// The log with these entries of the order.
fn log(entries: &[(u64, &str)]) -> String {
    let line = |(op, kind): &(u64, &str)| {
        let placed = r#","total":1000,"currency":"CNY","user":"u7""#;
        let more = if *kind == "placed" { placed } else { "" };
        format!("{{\"shard\":1,\"op\":{op},\"kind\":\"{kind}\",\"order\":\"{ID}\"{more}}}\n")
    };
    entries.iter().map(line).collect()
}

fn logged() -> String {
    log(&[(9, "placed")])
}

const NONE: [u8; 0] = [];

const NOBODY: Client = Client {
    ended: None,
    told: None,
    shared: false,
};

const CANCELLED: Client = Client {
    ended: Some((Kind::Cancel, Outcome::Done)),
    ..NOBODY
};

#[test]
fn an_order_that_is_in_the_store_once_or_still_in_the_log_is_right() {
    assert_eq!(faults(NOBODY, &right(), ""), NONE);
    assert_eq!(faults(NOBODY, "", &logged()), NONE);
    assert_eq!(faults(NOBODY, &right(), &logged()), NONE);
    let checked = findings(NOBODY, &right(), &logged(), true);
    assert!(
        checked.is_clean() && checked.checked[&9] >= 3,
        "{:?}",
        checked.checked
    );
}

#[test]
fn a_lost_order_a_doubled_row_and_a_changed_one_are_caught() {
    assert_eq!(faults(NOBODY, "", ""), [3]);
    assert_eq!(
        faults(NOBODY, &format!("{}\n{}", right(), right()), &logged()),
        [3]
    );
    assert_eq!(faults(NOBODY, &right().replace("u7", "u8"), &logged()), [3]);
    assert_eq!(
        faults(NOBODY, &right().replace("\"qty\":2", "\"qty\":1"), &logged()),
        [8]
    );
}

#[test]
fn a_planted_total_or_currency_is_found_by_price_by_the_log_and_by_what_the_api_said() {
    let told = Client {
        told: Some("pending"),
        shared: true,
        ..NOBODY
    };
    let shared = Client {
        shared: true,
        ..NOBODY
    };
    for wrong in [right().replace("1000", "1001"), right().replace("CNY", "EUR")] {
        assert_eq!(findings(NOBODY, &wrong, "", false).counts[&3], 1, "by price");
        assert_eq!(findings(told, &wrong, "", false).counts[&3], 1, "by the API");
        assert_eq!(
            findings(shared, &wrong, &logged(), false).counts[&3],
            1,
            "by the log"
        );
        assert_eq!(faults(shared, &wrong, ""), NONE, "nobody can know");
    }
}

#[test]
fn a_planted_status_is_found_whether_or_not_a_planted_step_goes_with_it() {
    for status in ["confirmed", "cancelled", "expired", "gathering", "gone"] {
        assert_eq!(
            faults(NOBODY, &row(status, &[(9, "placed")]), &logged()),
            [9],
            "{status}"
        );
    }
    // With a step of its own: the log has another entry there, or the client knows that nobody asked.
    let log = logged() + "{\"shard\":1,\"op\":10,\"kind\":\"lease\"}\n";
    assert_eq!(
        faults(NOBODY, &row("expired", &[(9, "placed"), (10, "expired")]), &log),
        [9]
    );
    assert_eq!(
        faults(NOBODY, &row("cancelled", &[(9, "placed"), (10, "cancelled")]), ""),
        [3]
    );
    // A step that was left out, together with its status.
    assert_eq!(faults(CANCELLED, &right(), ""), [3]);
    assert_eq!(faults(CANCELLED, &right(), &logged()), [3]);
    let skipped = row("pending", &[(9, "placed"), (12, "payment_started")]);
    assert_eq!(
        faults(
            CANCELLED,
            &skipped,
            &self::log(&[(9, "placed"), (10, "cancelled")])
        ),
        [3, 9]
    );
}

#[test]
fn a_planted_step_that_is_doubled_or_out_of_order_is_found() {
    let doubled = row(
        "cancelled",
        &[(9, "placed"), (10, "cancelled"), (11, "cancelled")],
    );
    assert_eq!(faults(CANCELLED, &doubled, ""), [9]);
    assert_eq!(
        faults(NOBODY, &row("pending", &[(9, "placed"), (10, "placed")]), ""),
        [9]
    );
    assert_eq!(
        faults(
            NOBODY,
            &row("pending", &[(9, "placed"), (9, "payment_started")]),
            ""
        ),
        [9]
    );
    assert_eq!(faults(NOBODY, &row("pending", &[]), ""), [3, 9]);
}

#[test]
fn a_later_status_is_lawful_by_a_step_of_the_store_or_of_the_log_and_an_earlier_one_while_the_log_has_the_rest()
 {
    let told = |told, ended| Client {
        told: Some(told),
        ended,
        ..NOBODY
    };
    // Read back as pending, and expired since.
    let expired = row("expired", &[(9, "placed"), (10, "expired")]);
    assert_eq!(faults(told("pending", None), &expired, ""), NONE);
    assert_eq!(
        faults(
            told("pending", None),
            &expired,
            &log(&[(9, "placed"), (10, "expired")])
        ),
        NONE
    );
    // The store follows, and has not come so far.
    let cancelled = log(&[(9, "placed"), (10, "cancelled")]);
    assert_eq!(
        faults(told("cancelled", CANCELLED.ended), &right(), &cancelled),
        NONE
    );
    assert_eq!(faults(CANCELLED, "", &cancelled), NONE);
    assert_eq!(faults(told("confirmed", None), &right(), &logged()), [3]);
    // Of a cancel whose answer was lost nobody knows.
    let maybe = Some((Kind::Cancel, Outcome::Unknown));
    let row = row("cancelled", &[(9, "placed"), (10, "cancelled")]);
    assert_eq!(
        faults(
            Client {
                ended: maybe,
                ..NOBODY
            },
            &row,
            ""
        ),
        NONE
    );
}

#[test]
fn a_store_that_has_caught_up_lacks_nothing_of_the_log() {
    let counts = |stored: &str, log: &str| findings(CANCELLED, stored, log, true).counts;
    let cancelled = log(&[(9, "placed"), (10, "cancelled")]);
    assert_eq!(counts(&right(), &cancelled).into_keys().collect::<Vec<_>>(), [12]);
    assert_eq!(counts("", &cancelled).into_keys().collect::<Vec<_>>(), [3]);
    let row = row("cancelled", &[(9, "placed"), (10, "cancelled")]);
    assert!(counts(&row, &cancelled).is_empty());
}

#[test]
fn a_log_is_whole_while_it_has_every_first_operation() {
    let whole = |log: &str| is_whole(&parse_log(Cursor::new(log)).unwrap());
    assert!(whole(&log(&[(1, "placed")])));
    assert!(!whole(&logged()));
}
