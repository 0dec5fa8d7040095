use super::world::*;
use crate::outcome::*;

const QUARTER_HOUR: u64 = 15 * 60_000;

#[test]
fn an_order_holds_its_units_until_its_deadline_and_not_a_moment_longer() {
    let mut world = World::new(1);
    world.put("A", 5);
    let order = world.placed(1, 1, &[("A", 2)]);
    assert_eq!(world.stock("A"), [5, 3, 2, 0]);
    world.pass(QUARTER_HOUR - 1);
    assert_eq!(world.read(order).status, OrderStatus::Pending);
    world.pass(1);
    assert_eq!(world.read(order).status, OrderStatus::Expired);
    assert_eq!(world.stock("A"), [5, 5, 0, 0]);
    world.check();
}

#[test]
fn nothing_expires_during_the_grace_after_a_start() {
    let mut world = World::new(1);
    world.put("A", 5);
    let order = world.placed(1, 1, &[("A", 2)]);
    let grace_end = START.after(QUARTER_HOUR + 5000);
    world.shards[0].hold_expiry_until(grace_end);
    world.pass(QUARTER_HOUR);
    assert_eq!(world.read(order).status, OrderStatus::Pending);
    assert_eq!(world.shards[0].next_timer(), Some(grace_end));
    assert_eq!(view(world.confirm(order, "ch_1")).status, OrderStatus::Confirmed);
}

#[test]
fn a_cancelled_order_gives_its_units_back_once() {
    let mut world = World::new(1);
    world.put("A", 5);
    let order = world.placed(1, 1, &[("A", 2)]);
    assert_eq!(view(world.cancel(order)).status, OrderStatus::Cancelled);
    let again = view(world.cancel(order));
    assert_eq!((again.status, again.repeated), (OrderStatus::Cancelled, true));
    assert_eq!(world.stock("A"), [5, 5, 0, 0]);
    world.pass(QUARTER_HOUR);
    assert_eq!(world.read(order).status, OrderStatus::Cancelled);
    world.check();
}

#[test]
fn a_paid_order_cannot_be_cancelled_and_does_not_expire() {
    let mut world = World::new(1);
    world.put("A", 5);
    let order = world.placed(1, 1, &[("A", 2)]);
    world.confirm(order, "ch_1");
    assert_eq!(
        refusal(world.cancel(order)),
        Refusal::WrongStatus {
            status: OrderStatus::Confirmed
        }
    );
    world.pass(QUARTER_HOUR);
    assert_eq!(world.read(order).status, OrderStatus::Confirmed);
    assert_eq!(world.stock("A"), [5, 3, 0, 2]);
    world.check();
}

#[test]
fn a_deadline_that_meets_an_open_charge_waits_for_it() {
    let mut world = World::new(1);
    world.put("A", 5);
    let order = world.placed(1, 1, &[("A", 2)]);
    world.start_payment(order, "ch_1");
    world.pass(QUARTER_HOUR);
    let closing = world.read(order);
    assert_eq!(
        (closing.status, closing.charge),
        (OrderStatus::Pending, ChargeState::Closing)
    );
    assert_eq!(world.stock("A"), [5, 3, 2, 0]);
    world.check();
    assert_eq!(
        view(world.close_charge(order, "ch_1")).status,
        OrderStatus::Expired
    );
    assert_eq!(world.stock("A"), [5, 5, 0, 0]);
    world.check();
}

#[test]
fn a_closing_order_can_still_be_paid() {
    let mut world = World::new(1);
    world.put("A", 5);
    let order = world.placed(1, 1, &[("A", 2)]);
    world.start_payment(order, "ch_1");
    assert_eq!(view(world.cancel(order)).charge, ChargeState::Closing);
    assert_eq!(view(world.confirm(order, "ch_1")).status, OrderStatus::Confirmed);
    world.pass(QUARTER_HOUR);
    assert_eq!(world.stock("A"), [5, 3, 0, 2]);
    world.check();
}

#[test]
fn a_closing_order_ends_as_it_began_to_when_the_grace_is_over() {
    let mut world = World::new(1);
    world.put("A", 5);
    let order = world.placed(1, 1, &[("A", 2)]);
    world.start_payment(order, "ch_1");
    world.cancel(order);
    world.pass(119_999);
    assert_eq!(world.read(order).status, OrderStatus::Pending);
    world.pass(1);
    assert_eq!(world.read(order).status, OrderStatus::Cancelled);
    assert_eq!(world.stock("A"), [5, 5, 0, 0]);
    world.check();
}
