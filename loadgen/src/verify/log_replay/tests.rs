use std::io::Cursor;

use super::*;
use crate::verify::log::parse;

const SKUS: &str = r#"{"shard":1,"op":1,"kind":"sku_put","sku":"A","stocked":2}
{"shard":2,"op":1,"kind":"sku_put","sku":"B","stocked":2}
"#;

fn replayed(lines: &str) -> Findings {
    let shards = parse(Cursor::new(format!("{SKUS}{lines}"))).unwrap();
    let mut findings = Findings::default();
    replay(&shards, &mut findings);
    findings
}

fn faults(lines: &str) -> Vec<u8> {
    replayed(lines).counts.keys().copied().collect()
}

#[test]
fn a_legal_log_with_kinds_nobody_knows_is_clean() {
    let lines = r#"{"shard":1,"op":2,"kind":"placed","order":"10","lines":[{"sku":"A","qty":2}],"user":"u1","key":"k"}
{"shard":1,"op":3,"kind":"cancelled","order":"10"}
{"shard":1,"op":4,"kind":"moon_landed","order":"10"}
{"shard":1,"op":5,"kind":"gathering","order":"11","lines":[{"sku":"A","qty":1},{"sku":"B","qty":1}],"user":"u1"}
{"shard":1,"op":6,"kind":"committed","order":"11","attempt":1}
{"shard":1,"op":7,"kind":"confirmed","order":"11","held_again":false}
{"shard":2,"op":2,"kind":"hold","order":"11","attempt":1,"lines":[{"sku":"B","qty":1}]}
{"shard":2,"op":3,"kind":"settled","order":"11","attempt":1,"fate":"sold"}
"#;
    let findings = replayed(lines);
    assert!(findings.is_clean(), "{:?}", findings.faults);
    assert!(findings.checked[&2] > 3);
}

#[test]
fn a_gap_of_ops_a_double_sale_and_a_falling_id_are_found() {
    let placed = |op: u64, id: u64, qty: u64| {
        format!(
            "{{\"shard\":1,\"op\":{op},\"kind\":\"placed\",\"order\":\"{id}\",\"lines\":[{{\"sku\":\"A\",\"qty\":{qty}}}]}}\n"
        )
    };
    assert_eq!(faults(&placed(2, 10, 1)), [] as [u8; 0]);
    assert_eq!(faults(&placed(3, 10, 1)), [3]);
    assert_eq!(faults(&(placed(2, 10, 2) + &placed(3, 11, 1))), [2]);
    assert_eq!(faults(&(placed(2, 11, 1) + &placed(3, 10, 1))), [6]);
    assert_eq!(faults(&(placed(2, 11, 1) + &placed(3, 11, 1))), [6]);
}

#[test]
fn an_order_that_ends_twice_and_a_hold_that_ends_twice_are_found() {
    let twice = r#"{"shard":1,"op":2,"kind":"placed","order":"10","lines":[{"sku":"A","qty":1}]}
{"shard":1,"op":3,"kind":"cancelled","order":"10"}
{"shard":1,"op":4,"kind":"expired","order":"10"}
"#;
    assert_eq!(faults(twice), [7]);
    let hold = r#"{"shard":2,"op":2,"kind":"hold","order":"11","attempt":1,"lines":[{"sku":"B","qty":1}]}
{"shard":2,"op":3,"kind":"settled","order":"11","attempt":1,"fate":"released"}
{"shard":2,"op":4,"kind":"settled","order":"11","attempt":1,"fate":"released"}
"#;
    assert_eq!(faults(hold), [7]);
}

#[test]
fn a_line_that_is_not_json_is_an_error() {
    assert!(parse(Cursor::new("op 7\n")).is_err());
}
