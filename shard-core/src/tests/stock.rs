use super::world::*;
use crate::command::*;
use crate::outcome::*;

fn change(world: &mut World, number: u64, sku: &str, delta: i64) -> Outcome {
    let change = ChangeStock {
        sku: name(sku),
        delta,
        reason: "counted".into(),
        key: key(9, number),
    };
    world.run(Command::ChangeStock(Box::new(change)))
}

#[test]
fn a_new_sku_needs_price_currency_and_stock() {
    let mut world = World::new(1);
    let mut put = PutSku::new(name("A"));
    put.price = Some(1);
    assert!(matches!(
        refusal(world.run(Command::PutSku(put.clone().into()))),
        Refusal::MissingFields(_)
    ));
    put.currency = Some(*b"CNY");
    put.stock = Some(7);
    let Outcome::Sku(sku) = world.run(Command::PutSku(put.into())) else {
        panic!()
    };
    assert_eq!(
        (sku.hold_ms, sku.stock.available, sku.buyer_limit),
        (900_000, 7, None)
    );
}

#[test]
fn setting_the_same_again_logs_nothing() {
    let mut world = World::new(1);
    world.put("A", 7);
    let op = world.shards[0].op();
    world.put("A", 7);
    assert_eq!(world.shards[0].op(), op);
}

#[test]
fn stock_is_not_set_below_what_is_held_and_sold() {
    let mut world = World::new(1);
    world.put("A", 7);
    world.placed(1, 1, &[("A", 2)]);
    let order = world.placed(1, 2, &[("A", 3)]);
    world.confirm(order, "ch_1");
    let mut put = PutSku::new(name("A"));
    put.stock = Some(4);
    let refused = Refusal::BelowCommitted { held: 2, sold: 3 };
    assert_eq!(refusal(world.run(Command::PutSku(put.clone().into()))), refused);
    assert_eq!(refusal(change(&mut world, 1, "A", -3)), refused);
    put.stock = Some(5);
    world.run(Command::PutSku(put.into()));
    assert_eq!(world.stock("A"), [5, 0, 2, 3]);
    world.check();
}

#[test]
fn a_stock_change_counts_once_per_key() {
    let mut world = World::new(1);
    world.put("A", 7);
    let first = change(&mut world, 1, "A", -2);
    world.placed(1, 1, &[("A", 1)]);
    world.restart();
    assert_eq!(change(&mut world, 1, "A", -2), first);
    assert_eq!(world.stock("A"), [5, 4, 1, 0]);
    assert_eq!(refusal(change(&mut world, 1, "A", -1)), Refusal::KeyReused);
    change(&mut world, 2, "A", 5);
    assert_eq!(world.stock("A"), [10, 9, 1, 0]);
    assert!(matches!(
        refusal(change(&mut world, 3, "A", i64::MIN)),
        Refusal::BelowCommitted { .. }
    ));
    assert!(matches!(
        refusal(change(&mut world, 3, "B", 1)),
        Refusal::UnknownSku { .. }
    ));
    world.check();
}

#[test]
fn keys_of_stock_changes_are_bounded_and_forgotten_after_a_day() {
    let mut world = World::with(1, |config| config.limits.changes_max = 2);
    world.put("A", 7);
    change(&mut world, 1, "A", 1);
    change(&mut world, 2, "A", 1);
    assert_eq!(
        refusal(change(&mut world, 3, "A", 1)),
        Refusal::Bound(Bound::Changes)
    );
    world.pass(24 * 3_600_000);
    change(&mut world, 3, "A", 1);
    assert_eq!(world.stock("A")[0], 10);
    world.check();
}

#[test]
fn senseless_settings_are_refused() {
    let mut world = World::new(1);
    world.put("A", 7);
    let spoil: [fn(&mut PutSku); 5] = [
        |put| put.currency = Some(*b"cny"),
        |put| put.hold_ms = Some(0),
        |put| put.hold_ms = Some(u32::MAX),
        |put| put.name = Some("x".repeat(201).into()),
        |put| (put.sale_start, put.sale_end) = (Some(Some(START)), Some(Some(START))),
    ];
    for spoil in spoil {
        let mut put = PutSku::new(name("A"));
        spoil(&mut put);
        assert!(matches!(
            refusal(world.run(Command::PutSku(put.into()))),
            Refusal::Malformed(_)
        ));
    }
}

#[test]
fn changed_stock_is_reported_once() {
    let mut world = World::new(1);
    world.put("A", 7);
    world.put("B", 7);
    world.shards[0].changed_skus().for_each(drop);
    world.placed(1, 1, &[("B", 1)]);
    world.placed(1, 2, &[("B", 1)]);
    let changed: Vec<_> = world.shards[0]
        .changed_skus()
        .map(|view| (view.sku, view.held))
        .collect();
    assert_eq!(changed, [(name("B"), 2)]);
    assert_eq!(world.shards[0].changed_skus().count(), 0);
}

#[test]
fn sums_of_prices_that_pass_the_range_are_refused() {
    let mut world = World::new(1);
    world.put_with("A", 7, |put| put.price = Some(u64::MAX));
    assert!(matches!(
        refusal(world.place(1, 1, &[("A", 2)])),
        Refusal::Malformed(_)
    ));
    world.placed(1, 1, &[("A", 1)]);
}

#[test]
fn an_order_has_one_currency() {
    let mut world = World::new(1);
    world.put("A", 7);
    world.put_with("B", 7, |put| put.currency = Some(*b"EUR"));
    assert_eq!(
        refusal(world.place(1, 1, &[("A", 1), ("B", 1)])),
        Refusal::MixedCurrencies
    );
}
