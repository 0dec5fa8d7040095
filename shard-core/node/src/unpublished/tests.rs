use tidegate_shard_core::SkuName;

use super::*;
use crate::output::{Answer, StockRow, Ticket, Unavailable};

fn reply(ticket: u64) -> Output {
    Output::Reply {
        ticket: Ticket(ticket),
        op: Op(0),
        answer: Answer::Unavailable(Unavailable::NotHere),
    }
}

fn row(op: u64) -> Output {
    Output::Stock(StockRow {
        sku: SkuName::parse(b"SKU").expect("a name"),
        op: Op(op),
        stocked: 1,
        available: 1,
        held: 0,
        sold: 0,
    })
}

#[test]
fn what_waits_leaves_in_its_order_as_far_as_the_mark_goes() {
    let mut waits = Unpublished::default();
    for op in 3..=5 {
        waits.push_output(Op(op), reply(op));
    }
    assert_eq!(waits.pop_output(), None);
    waits.advance(Op(4));
    assert_eq!(waits.pop_output(), Some(reply(3)));
    assert_eq!(waits.pop_output(), Some(reply(4)));
    assert_eq!(waits.pop_output(), None);
    assert_eq!(waits.published(), Op(4));
}

#[test]
fn rows_wait_until_the_mark_comes_to_the_last_of_them() {
    let mut waits = Unpublished::default();
    assert!(!waits.rows_wait());
    waits.push_output(Op(2), row(1));
    waits.push_output(Op(3), reply(1));
    assert!(waits.rows_wait());
    waits.advance(Op(2));
    assert!(!waits.rows_wait());
}

#[test]
fn what_is_given_up_comes_back_for_another_answer() {
    let mut waits = Unpublished::default();
    waits.push_output(Op(2), row(2));
    waits.push_output(Op(2), reply(9));
    let (outputs, sends) = waits.give_up();
    assert_eq!((outputs.len(), sends), (2, 0));
    assert!(!waits.rows_wait());
    waits.advance(Op(9));
    assert_eq!(waits.pop_output(), None);
}
