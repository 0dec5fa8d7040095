use std::io::Cursor;

use super::*;
use crate::ledger::{Kind, Ledger, Line, LinesRef, Outcome, Record};
use crate::verify::facts;
use crate::verify::log::parse as parse_log;

/// One acknowledged order, number 10, of user 7: two units of A.
fn ledger() -> Ledger {
    let mut ledger = Ledger::new(1);
    ledger.records.push(Record {
        intended: 1,
        sent: 1,
        answered: 2,
        order: 10,
        user: 7,
        origin: 0,
        lines: LinesRef::One(Line { sku: 0, qty: 2 }),
        status: 201,
        kind: Kind::Place,
        outcome: Outcome::Made,
    });
    ledger
}

fn faults(stored: &str, log: &str) -> Vec<u8> {
    let (ledger, names, seen) = (ledger(), ["A".to_owned()], HashMap::new());
    let evidence = Evidence {
        ledger: &ledger,
        names: &names,
        skus: &[],
        seen: &seen,
        one_buyer: false,
        read_at_ms: 0,
        exclusive: true,
    };
    let facts = facts::gather(&evidence);
    let mut findings = Findings::default();
    let stored = parse(Cursor::new(stored)).unwrap();
    let log = parse_log(Cursor::new(log)).unwrap();
    compare(&stored, &log, &evidence, &facts, "u", &mut findings);
    findings.counts.keys().copied().collect()
}

const RIGHT: &str = r#"{"order":"10","user":"u7","status":"pending","lines":[{"sku":"A","qty":2}]}"#;
const LOGGED: &str =
    r#"{"shard":1,"op":9,"kind":"placed","order":"10","lines":[{"sku":"A","qty":2}],"user":"u7"}"#;

#[test]
fn an_order_that_is_in_the_store_once_or_still_in_the_log_is_right() {
    assert!(faults(RIGHT, "").is_empty());
    assert!(faults("", LOGGED).is_empty());
    assert!(faults(RIGHT, LOGGED).is_empty());
}

#[test]
fn a_lost_order_a_doubled_row_and_a_changed_one_are_caught() {
    assert_eq!(faults("", ""), [3]);
    assert_eq!(faults(&format!("{RIGHT}\n{RIGHT}"), LOGGED), [3]);
    assert_eq!(faults(&RIGHT.replace("u7", "u8"), LOGGED), [3]);
    assert_eq!(faults(&RIGHT.replace(":2", ":1"), LOGGED), [8]);
}

#[test]
fn a_log_is_whole_while_it_has_every_first_operation() {
    let whole = |log: &str| is_whole(&parse_log(Cursor::new(log)).unwrap());
    assert!(whole(&LOGGED.replace(":9", ":1")));
    assert!(!whole(LOGGED));
}
