use super::world::*;
use crate::outcome::*;

const QUARTER_HOUR: u64 = 15 * 60_000;

fn one_order(stock: u64) -> (World, crate::OrderId) {
    let mut world = World::new(1);
    world.put("A", stock);
    let order = world.placed(1, 1, &[("A", 1)]);
    (world, order)
}

#[test]
fn a_repeated_confirmation_gets_the_same_answer_and_another_charge_is_to_be_refunded() {
    let (mut world, order) = one_order(5);
    assert!(!view(world.confirm(order, "ch_1")).repeated);
    assert!(view(world.confirm(order, "ch_1")).repeated);
    assert_eq!(
        refusal(world.confirm(order, "ch_2")),
        Refusal::AlreadyPaid {
            charge: charge("ch_1")
        }
    );
    assert_eq!(world.stock("A"), [5, 4, 0, 1]);
    world.check();
}

#[test]
fn a_payment_is_started_once_and_only_one_at_a_time() {
    let (mut world, order) = one_order(5);
    assert_eq!(view(world.start_payment(order, "ch_1")).charge, ChargeState::Open);
    assert!(view(world.start_payment(order, "ch_1")).repeated);
    assert_eq!(
        refusal(world.start_payment(order, "ch_2")),
        Refusal::PaymentInProgress
    );
    assert_eq!(view(world.close_charge(order, "ch_1")).charge, ChargeState::None);
    assert!(view(world.close_charge(order, "ch_1")).repeated);
    assert_eq!(refusal(world.start_payment(order, "ch_1")), Refusal::ChargeClosed);
    view(world.start_payment(order, "ch_2"));
    world.check();
}

#[test]
fn no_payment_is_started_near_the_deadline_or_after_it() {
    let (mut world, order) = one_order(5);
    world.now = START.after(QUARTER_HOUR - 30_000);
    assert_eq!(
        refusal(world.start_payment(order, "ch_1")),
        Refusal::DeadlineTooNear
    );
    world.now = START.after(QUARTER_HOUR - 30_001);
    view(world.start_payment(order, "ch_1"));
    world.close_charge(order, "ch_1");
    world.pass(30_001);
    let ended = Refusal::WrongStatus {
        status: OrderStatus::Expired,
    };
    assert_eq!(refusal(world.start_payment(order, "ch_2")), ended);
}

#[test]
fn a_late_payment_holds_the_stock_again_if_it_is_there() {
    let (mut world, order) = one_order(1);
    world.pass(QUARTER_HOUR);
    assert_eq!(world.stock("A"), [1, 1, 0, 0]);
    assert_eq!(view(world.confirm(order, "ch_1")).status, OrderStatus::Confirmed);
    assert!(view(world.confirm(order, "ch_1")).repeated);
    assert_eq!(world.stock("A"), [1, 0, 0, 1]);
    world.check();
}

#[test]
fn a_late_payment_is_refunded_if_the_stock_is_gone_and_stays_so() {
    let (mut world, order) = one_order(1);
    world.pass(QUARTER_HOUR);
    let other = world.placed(2, 1, &[("A", 1)]);
    assert_eq!(refusal(world.confirm(order, "ch_1")), Refusal::RefundDue);
    world.cancel(other);
    world.restart();
    assert_eq!(refusal(world.confirm(order, "ch_1")), Refusal::RefundDue);
    assert_eq!(world.read(order).charge, ChargeState::RefundDue);
    // Another charge is another question.
    assert_eq!(view(world.confirm(order, "ch_2")).status, OrderStatus::Confirmed);
    assert_eq!(refusal(world.confirm(order, "ch_1")), Refusal::RefundDue);
    world.check();
}

#[test]
fn a_late_payment_does_not_pass_the_buyers_limit() {
    let mut world = World::new(1);
    world.put_with("A", 5, |put| put.buyer_limit = Some(Some(1)));
    let order = world.placed(1, 1, &[("A", 1)]);
    world.pass(QUARTER_HOUR);
    world.placed(1, 2, &[("A", 1)]);
    assert_eq!(refusal(world.confirm(order, "ch_1")), Refusal::RefundDue);
    world.check();
}

#[test]
fn a_payment_for_a_cancelled_order_is_refunded() {
    let (mut world, order) = one_order(5);
    world.cancel(order);
    assert_eq!(refusal(world.confirm(order, "ch_1")), Refusal::RefundDue);
    assert_eq!(refusal(world.confirm(order, "ch_1")), Refusal::RefundDue);
    assert_eq!(world.stock("A"), [5, 5, 0, 0]);
    world.check();
}

#[test]
fn an_order_has_a_bounded_number_of_charges() {
    let mut world = World::with(1, |config| config.limits.charges_max = 2);
    world.put("A", 5);
    let order = world.placed(1, 1, &[("A", 1)]);
    for id in ["ch_1", "ch_2"] {
        world.start_payment(order, id);
        world.close_charge(order, id);
    }
    assert_eq!(
        refusal(world.start_payment(order, "ch_3")),
        Refusal::Bound(Bound::Charges)
    );
    // What was paid is paid.
    assert_eq!(view(world.confirm(order, "ch_3")).status, OrderStatus::Confirmed);
    world.check();
}

#[test]
fn payments_of_unknown_orders_are_refused() {
    let (mut world, _) = one_order(5);
    assert_eq!(
        refusal(world.confirm(crate::OrderId(77), "ch_1")),
        Refusal::UnknownOrder
    );
    assert_eq!(
        refusal(world.start_payment(crate::OrderId(77), "ch_1")),
        Refusal::UnknownOrder
    );
    assert_eq!(
        refusal(world.close_charge(crate::OrderId(77), "ch_1")),
        Refusal::UnknownOrder
    );
}
