use super::world::*;
use crate::command::*;
use crate::ids::*;
use crate::outcome::*;
use crate::shard::*;

#[test]
fn the_last_unit_is_sold_once() {
    let mut world = World::new(1);
    world.put("A", 1);
    world.placed(1, 1, &[("A", 1)]);
    assert_eq!(
        refusal(world.place(2, 1, &[("A", 1)])),
        Refusal::SoldOut { sku: name("A") }
    );
    assert_eq!(world.stock("A"), [1, 0, 1, 0]);
    world.check();
}

#[test]
fn a_refused_order_logs_nothing() {
    let mut world = World::new(1);
    world.put("A", 1);
    let op = world.shards[0].op();
    world.place(1, 1, &[("A", 2)]);
    world.place(1, 1, &[("B", 1)]);
    assert_eq!(world.shards[0].op(), op);
}

#[test]
fn sold_out_is_not_remembered() {
    let mut world = World::new(1);
    world.put("A", 1);
    assert_eq!(
        refusal(world.place(1, 1, &[("A", 2)])),
        Refusal::SoldOut { sku: name("A") }
    );
    world.put("A", 2);
    world.placed(1, 1, &[("A", 2)]);
}

#[test]
fn an_order_is_all_or_nothing() {
    let mut world = World::new(1);
    world.put("A", 5);
    world.put("B", 1);
    assert_eq!(
        refusal(world.place(1, 1, &[("A", 1), ("B", 2)])),
        Refusal::SoldOut { sku: name("B") }
    );
    assert_eq!(world.stock("A"), [5, 5, 0, 0]);
    let order = world.placed(1, 2, &[("A", 2), ("B", 1)]);
    assert_eq!(world.read(order).total, 300);
    world.check();
}

#[test]
fn the_same_key_gives_the_same_order_also_after_it_ended() {
    let mut world = World::new(1);
    world.put("A", 5);
    let first = view(world.place(1, 1, &[("A", 2)]));
    let again = view(world.place(1, 1, &[("A", 2)]));
    assert_eq!(
        again,
        OrderView {
            repeated: true,
            ..first.clone()
        }
    );
    world.cancel(first.id);
    world.restart();
    let later = view(world.place(1, 1, &[("A", 2)]));
    assert_eq!((later.id, later.status), (first.id, OrderStatus::Cancelled));
    assert_eq!(world.stock("A"), [5, 5, 0, 0]);
}

#[test]
fn a_key_with_another_body_is_refused() {
    let mut world = World::new(1);
    world.put("A", 5);
    world.placed(1, 1, &[("A", 2)]);
    assert_eq!(refusal(world.place(1, 1, &[("A", 1)])), Refusal::KeyReused);
}

#[test]
fn a_key_is_forgotten_a_day_after_its_order_ended_and_only_once_the_store_has_it() {
    let mut world = World::new(1);
    world.put("A", 50);
    let order = world.placed(1, 1, &[("A", 1)]);
    world.cancel(order);
    let ended = world.shards[0].op();
    world.pass(24 * 3_600_000 + 1);
    world.placed(1, 2, &[("A", 1)]);
    assert_eq!(view(world.place(1, 1, &[("A", 1)])).id, order);
    let applied = world.shards[0].applied(world.now, ended, 7).unwrap();
    world.apply(0, &applied);
    world.placed(1, 3, &[("A", 1)]);
    assert_ne!(view(world.place(1, 1, &[("A", 1)])).id, order);
    world.check();
}

#[test]
fn at_the_bound_orders_are_refused_until_a_quarter_of_an_hour_after_others_ended() {
    let mut world = World::with(1, |config| config.limits.orders_max = 20);
    world.put("A", 50);
    let orders: Vec<OrderId> = (0..20).map(|key| world.placed(1, key, &[("A", 1)])).collect();
    assert_eq!(
        refusal(world.place(1, 99, &[("A", 1)])),
        Refusal::Bound(Bound::Orders)
    );
    world.cancel(orders[7]);
    let op = world.shards[0].op();
    let applied = world.shards[0].applied(world.now, op, 7).unwrap();
    world.apply(0, &applied);
    world.now = world.now.after(15 * 60_000 - 1);
    assert_eq!(
        refusal(world.place(1, 99, &[("A", 1)])),
        Refusal::Bound(Bound::Orders)
    );
    world.now = world.now.after(1);
    world.renew_leases();
    world.placed(1, 99, &[("A", 1)]);
    assert_eq!(world.shards[0].order_rows(), 20);
    world.check();
}

#[test]
fn a_node_without_room_refuses_orders_on_every_shard() {
    let mut world = World::new(1);
    world.put("A", 50);
    world.shards[0].allow_growth(false);
    assert_eq!(
        refusal(world.place(1, 1, &[("A", 1)])),
        Refusal::Bound(Bound::Orders)
    );
    world.shards[0].allow_growth(true);
    world.placed(1, 1, &[("A", 1)]);
}

#[test]
fn a_buyers_limit_counts_held_and_sold_units_and_not_those_given_back() {
    let mut world = World::new(1);
    world.put_with("A", 50, |put| put.buyer_limit = Some(Some(2)));
    let paid = world.placed(1, 1, &[("A", 1)]);
    world.confirm(paid, "ch_1");
    let held = world.placed(1, 2, &[("A", 1)]);
    let full = Refusal::LimitReached {
        sku: name("A"),
        limit: 2,
    };
    assert_eq!(refusal(world.place(1, 3, &[("A", 1)])), full);
    world.placed(2, 3, &[("A", 2)]);
    world.cancel(held);
    world.placed(1, 4, &[("A", 1)]);
    assert_eq!(refusal(world.place(1, 5, &[("A", 1)])), full);
    world.check();
}

#[test]
fn a_group_limit_counts_all_skus_of_the_group() {
    let mut world = World::new(1);
    for sku in ["T:A", "T:B"] {
        world.put_with(sku, 50, |put| {
            put.buyer_limit = Some(Some(3));
            put.limit_scope = Some(LimitScope::Group);
        });
    }
    world.put_with("T:C", 50, |put| put.buyer_limit = Some(Some(1)));
    assert!(matches!(
        refusal(world.place(1, 1, &[("T:A", 2), ("T:B", 2)])),
        Refusal::LimitReached { limit: 3, .. }
    ));
    world.placed(1, 2, &[("T:A", 2), ("T:B", 1), ("T:C", 1)]);
    assert!(matches!(
        refusal(world.place(1, 3, &[("T:B", 1)])),
        Refusal::LimitReached { limit: 3, .. }
    ));
    assert!(matches!(
        refusal(world.place(1, 4, &[("T:C", 1)])),
        Refusal::LimitReached { limit: 1, .. }
    ));
    world.check();
}

#[test]
fn a_limit_outlives_the_orders_it_counted() {
    let mut world = World::new(1);
    world.put_with("A", 50, |put| put.buyer_limit = Some(Some(1)));
    let order = world.placed(1, 1, &[("A", 1)]);
    world.confirm(order, "ch_1");
    let applied = world.shards[0]
        .applied(world.now, world.shards[0].op(), 7)
        .unwrap();
    world.apply(0, &applied);
    world.pass(25 * 3_600_000);
    world.placed(2, 1, &[("A", 1)]);
    assert_eq!(
        world.run(Command::ReadOrder {
            order,
            caller: Caller::Operator
        }),
        Outcome::Refused(Refusal::UnknownOrder)
    );
    assert!(matches!(
        refusal(world.place(1, 2, &[("A", 1)])),
        Refusal::LimitReached { .. }
    ));
    world.check();
}

#[test]
fn a_limit_set_during_the_sale_counts_the_orders_so_far() {
    let mut world = World::new(1);
    world.put("A", 50);
    world.placed(1, 1, &[("A", 2)]);
    world.put_with("A", 50, |put| put.buyer_limit = Some(Some(2)));
    assert!(matches!(
        refusal(world.place(1, 2, &[("A", 1)])),
        Refusal::LimitReached { .. }
    ));
    world.check();
    world.put_with("A", 50, |put| put.limit_scope = Some(LimitScope::Group));
    assert!(matches!(
        refusal(world.place(1, 2, &[("A", 1)])),
        Refusal::LimitReached { .. }
    ));
    world.check();
    world.put_with("A", 50, |put| put.buyer_limit = Some(None));
    world.placed(1, 2, &[("A", 1)]);
    world.check();
}

#[test]
fn a_sale_is_half_open_and_can_be_paused() {
    let mut world = World::new(1);
    world.put_with("A", 50, |put| {
        put.sale_start = Some(Some(START.after(10)));
        put.sale_end = Some(Some(START.after(20)));
    });
    let early = Refusal::NotOnSale {
        sku: name("A"),
        starts: START.after(10),
    };
    assert_eq!(refusal(world.place(1, 1, &[("A", 1)])), early);
    world.now = START.after(10);
    world.placed(1, 1, &[("A", 1)]);
    world.put_with("A", 50, |put| put.paused = Some(true));
    assert_eq!(
        refusal(world.place(1, 2, &[("A", 1)])),
        Refusal::Paused { sku: name("A") }
    );
    world.put_with("A", 50, |put| put.paused = Some(false));
    world.now = START.after(20);
    assert_eq!(
        refusal(world.place(1, 2, &[("A", 1)])),
        Refusal::SaleEnded { sku: name("A") }
    );
}

#[test]
fn an_order_is_seen_and_cancelled_by_its_buyer_and_operators_only() {
    let mut world = World::new(1);
    world.put("A", 50);
    let order = world.placed(1, 1, &[("A", 1)]);
    let stranger = Caller::Buyer(buyer(2));
    let unknown = Outcome::Refused(Refusal::UnknownOrder);
    assert_eq!(
        world.run(Command::ReadOrder {
            order,
            caller: stranger
        }),
        unknown
    );
    assert_eq!(
        world.run(Command::Cancel {
            order,
            caller: stranger
        }),
        unknown
    );
    view(world.run(Command::ReadOrder {
        order,
        caller: Caller::Buyer(buyer(1)),
    }));
}

#[test]
fn ids_increase_whatever_the_clock_does() {
    let mut world = World::new(1);
    world.put("A", 10_000);
    let mut last = world.placed(1, 0, &[("A", 1)]);
    for key in 1..5000 {
        if key == 3000 {
            world.now = Millis(world.now.0 - 3_600_000);
        }
        let next = world.placed(1, key, &[("A", 1)]);
        assert!(next > last);
        last = next;
    }
}

#[test]
fn no_id_is_issued_beyond_the_durable_lease() {
    let mut shard = Shard::new(ShardConfig::new(ShardId(0), 1));
    let mut put = PutSku::new(name("A"));
    (put.price, put.currency, put.stock) = (Some(1), Some(*b"CNY"), Some(10));
    for entry in shard.start(START, 1) {
        shard.apply(&entry);
    }
    let entry = shard
        .decide(START, Input::Command(&Command::PutSku(put.into())))
        .entry
        .unwrap();
    shard.apply(&entry);
    let order = place(1, 1, &[("A", 1)]);
    let reply = |shard: &Shard, now| shard.decide(now, Input::Command(&order)).reply;
    assert_eq!(reply(&shard, START), Reply::Now(Outcome::Refused(Refusal::Busy)));
    shard.note_durable(shard.op());
    assert!(matches!(
        reply(&shard, START.after(4999)),
        Reply::Now(Outcome::Order(_))
    ));
    assert_eq!(
        reply(&shard, START.after(5000)),
        Reply::Now(Outcome::Refused(Refusal::Busy))
    );
    assert_eq!(shard.lease(START.after(2500)), None);
    let lease = shard.lease(START.after(2501)).unwrap();
    shard.apply(&lease);
    assert_eq!(
        reply(&shard, START.after(5000)),
        Reply::Now(Outcome::Refused(Refusal::Busy))
    );
    shard.note_durable(shard.op());
    assert!(matches!(
        reply(&shard, START.after(5000)),
        Reply::Now(Outcome::Order(_))
    ));
}

#[test]
fn ids_go_on_at_the_leases_end_after_a_restart() {
    let mut world = World::new(1);
    world.put("A", 10);
    world.placed(1, 1, &[("A", 1)]);
    let lease = world.shards[0].lease_until;
    world.restart();
    assert!(world.placed(1, 2, &[("A", 1)]).millis() >= lease);
}

#[test]
fn ill_formed_orders_are_refused() {
    let mut world = World::new(1);
    world.put("A", 10);
    world.put("B", 10);
    let spoil: [fn(&mut Place); 6] = [
        |place| place.lines.clear(),
        |place| place.lines.swap(0, 1),
        |place| place.lines[0].qty = 0,
        |place| place.lines[0].qty = u32::MAX,
        |place| place.lines[1] = place.lines[0],
        |place| place.subject = "x".repeat(129).into(),
    ];
    for spoil in spoil {
        let Command::Place(mut order) = place(1, 1, &[("A", 1), ("B", 1)]) else {
            unreachable!()
        };
        spoil(&mut order);
        assert!(matches!(
            refusal(world.run(Command::Place(order))),
            Refusal::Malformed(_)
        ));
    }
}

#[test]
fn an_outcome_stays_small_enough_for_a_ring() {
    assert!(size_of::<Outcome>() <= 200, "{}", size_of::<Outcome>());
    assert!(size_of::<Command>() <= 200, "{}", size_of::<Command>());
}

#[test]
fn a_one_line_order_takes_about_a_hundred_bytes_in_the_log() {
    let mut world = World::new(1);
    world.put("SKU-1", 10);
    world.placed(1, 1, &[("SKU-1", 1)]);
    let len = world.logs[0].last().unwrap().len();
    assert!((70..=110).contains(&len), "{len}");
}
