//! Buyers' counts end with the sale.

use super::world::*;
use crate::ids::*;
use crate::outcome::Refusal;

/// How long counts outlive their sale here, in ms.
const KEPT: u64 = 1_000;

fn world() -> World {
    World::with(1, |config| config.limits.counts_after_sale_ms = KEPT)
}

fn sale(world: &mut World, sku: &str, end: Option<Millis>) {
    world.put_with(sku, 50, |put| {
        put.buyer_limit = Some(Some(2));
        put.sale_end = Some(end);
        put.hold_ms = Some(100);
    });
}

/// Orders' rows, not the counts: those that `buyers` counted.
fn counted(world: &World) -> usize {
    world.shards[0].skus.buyers
}

#[test]
fn counts_go_once_the_sale_is_over_and_not_before() {
    let mut world = world();
    sale(&mut world, "A", Some(START.after(500)));
    for buyer in 1..=3 {
        world.placed(buyer, u64::from(buyer), &[("A", 1)]);
    }
    assert_eq!(counted(&world), 3);
    world.pass(500 + KEPT - 1);
    assert_eq!(counted(&world), 0, "their orders expired unpaid");
    let mut world = self::world();
    sale(&mut world, "A", Some(START.after(500)));
    for buyer in 1..=3 {
        let order = world.placed(buyer, u64::from(buyer), &[("A", 1)]);
        world.start_payment(order, "ch_1");
        world.confirm(order, "ch_1");
    }
    world.pass(500 + KEPT - 1);
    assert_eq!(counted(&world), 3);
    world.pass(1);
    assert_eq!(counted(&world), 0);
    world.check();
}

#[test]
fn a_group_is_counted_until_the_last_of_its_sales_is_over() {
    let mut world = world();
    for (sku, end) in [("G:a", 100), ("G:b", 900)] {
        world.put_with(sku, 50, |put| {
            put.buyer_limit = Some(Some(3));
            put.limit_scope = Some(crate::command::LimitScope::Group);
            put.sale_end = Some(Some(START.after(end)));
        });
    }
    world.placed(1, 1, &[("G:a", 2)]);
    world.pass(100 + KEPT);
    assert_eq!(counted(&world), 1);
    world.pass(800);
    assert_eq!(counted(&world), 0);
    world.check();
}

#[test]
fn a_sale_that_goes_on_counts_again_what_is_remembered() {
    let mut world = world();
    sale(&mut world, "A", Some(START.after(50)));
    let order = world.placed(7, 1, &[("A", 2)]);
    world.start_payment(order, "ch_1");
    world.confirm(order, "ch_1");
    world.pass(50 + KEPT);
    assert_eq!(counted(&world), 0);
    world.put_with("A", 50, |put| put.price = Some(7));
    assert_eq!(counted(&world), 0, "another price does not open the sale");
    world.put_with("A", 50, |put| put.sale_end = Some(None));
    assert_eq!(counted(&world), 1);
    let over = world.place(7, 2, &[("A", 1)]);
    assert!(matches!(refusal(over), Refusal::LimitReached { .. }));
    world.check();
}

#[test]
fn an_order_that_is_paid_after_the_counts_went_is_refunded_and_no_limit_is_passed() {
    let mut world = world();
    sale(&mut world, "A", Some(START.after(200)));
    let late = world.placed(3, 1, &[("A", 2)]);
    world.pass(150);
    let kept = world.placed(3, 2, &[("A", 2)]);
    world.start_payment(kept, "ch_1");
    world.confirm(kept, "ch_1");
    world.pass(50 + KEPT);
    assert_eq!(counted(&world), 0);
    world.confirm(late, "ch_2");
    assert_eq!(world.shards[0].stock(&name("A")).unwrap().sold, 2);
    world.check();
}

#[test]
fn counts_that_went_stay_gone_in_a_snapshot_and_a_replay() {
    let mut world = world();
    sale(&mut world, "A", Some(START.after(50)));
    let order = world.placed(7, 1, &[("A", 2)]);
    world.start_payment(order, "ch_1");
    world.confirm(order, "ch_1");
    world.pass(50 + KEPT);
    let before = world.shards[0].digest();
    let mut bytes = Vec::new();
    world.shards[0].snapshot(&mut bytes);
    let again = crate::Shard::restore(world.shards[0].config.clone(), &bytes).unwrap();
    assert_eq!(again.digest(), before);
    assert_eq!(again.skus.buyers, 0);
    world.check();
    world.restart();
    world.pass(10_000);
    world.check();
}
