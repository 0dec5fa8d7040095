use super::world::*;
use crate::ids::*;
use crate::message::*;
use crate::outcome::*;
use crate::shard::*;

const QUARTER_HOUR: u64 = 15 * 60_000;

/// SKUs on shards 0, 1 and 2 of three, sorted.
fn three() -> (World, [String; 3]) {
    let mut world = World::new(3);
    // The home shard is that of the lowest SKU: shard 0.
    let mut names: [String; 3] = Default::default();
    for at in 0..3u16 {
        let fits = |text: &String| shard_of(&name(text), 3).0 == at;
        let letter = ["A", "B", "C"][usize::from(at)];
        names[usize::from(at)] = (0..100).map(|n| format!("{letter}{n}")).find(fits).unwrap();
    }
    names.iter().for_each(|sku| world.put(sku, 10));
    (world, names)
}

fn lines(names: &[String; 3]) -> [(&str, u32); 3] {
    [(&names[0], 1), (&names[1], 2), (&names[2], 3)]
}

#[test]
fn an_order_over_three_shards_is_held_on_all_and_sold_on_all() {
    let (mut world, names) = three();
    let order = world.placed(1, 1, &lines(&names));
    let seen = world.read(order);
    assert_eq!(
        (seen.total, seen.lines.len(), seen.status),
        (600, 3, OrderStatus::Pending)
    );
    assert_eq!([0, 1, 2].map(|at| world.stock(&names[at])[2]), [1, 2, 3]);
    world.check();
    world.confirm(order, "ch_1");
    world.deliver_all();
    assert_eq!([0, 1, 2].map(|at| world.stock(&names[at])[3]), [1, 2, 3]);
    assert_eq!([0, 1, 2].map(|at| world.stock(&names[at])[2]), [0, 0, 0]);
    world.check();
}

#[test]
fn a_repeat_that_comes_while_the_first_gathers_waits_for_its_answer() {
    let (mut world, names) = three();
    let Reply::Park(order) = world.ask(place(1, 1, &lines(&names))) else {
        panic!()
    };
    assert_eq!(world.ask(place(1, 1, &lines(&names))), Reply::Park(order));
    // Until it is committed nobody sees it.
    assert_eq!(refusal(world.confirm(order, "ch_1")), Refusal::UnknownOrder);
    world.deliver_all();
    assert_eq!(view(world.woken.remove(&order).unwrap()).id, order);
}

#[test]
fn if_one_shard_refuses_nothing_is_held_and_the_key_is_free() {
    let (mut world, names) = three();
    let full = [(&*names[0], 1), (&*names[1], 2), (&*names[2], 11)];
    assert_eq!(
        refusal(world.place(1, 1, &full)),
        Refusal::SoldOut { sku: name(&names[2]) }
    );
    world.pass(10_000);
    assert_eq!([0, 1, 2].map(|at| world.stock(&names[at])[1]), [10, 10, 10]);
    world.check();
    world.placed(1, 1, &lines(&names));
}

#[test]
fn an_attempt_without_answers_dies_at_its_deadline_and_late_holds_are_refused() {
    let (mut world, names) = three();
    let Reply::Park(order) = world.ask(place(1, 1, &lines(&names))) else {
        panic!()
    };
    let late = world.net.split_off(0);
    world.pass(2_000);
    assert_eq!(refusal(world.woken.remove(&order).unwrap()), Refusal::TryAgain);
    world.net = late;
    world.deliver_all();
    assert_eq!([0, 1, 2].map(|at| world.stock(&names[at])[1]), [10, 10, 10]);
    world.check();
}

#[test]
fn a_release_that_overtakes_its_hold_leaves_a_tombstone() {
    let (mut world, names) = three();
    let full = [(&*names[0], 1), (&*names[1], 2), (&*names[2], 11)];
    world.ask(place(1, 1, &full));
    // The hold for shard 1 is slow; shard 2 refuses; the release for shard 1 overtakes the hold.
    let slow = world.net.remove(0);
    world.deliver_all();
    world.net.push(slow);
    world.deliver_all();
    assert_eq!(world.stock(&names[1])[1], 10);
    world.check();
    let op = world.shards[1].op();
    world.pass(2_001);
    world.placed(2, 1, &[(&names[1], 1)]);
    assert_eq!(
        world.shards[1].holds.len(),
        0,
        "forgotten with the next order after op {op}"
    );
    world.check();
}

#[test]
fn a_repeated_hold_of_a_settled_attempt_is_refused() {
    let (mut world, names) = three();
    world.ask(place(1, 1, &lines(&names)));
    let copies = world.net.clone();
    world.deliver_all();
    let order = *world.woken.keys().next().unwrap();
    world.confirm(order, "ch_1");
    world.deliver_all();
    world.net = copies;
    world.deliver_all();
    world.pass(60_000);
    assert_eq!([0, 1, 2].map(|at| world.stock(&names[at])[3]), [1, 2, 3]);
    world.check();
}

#[test]
fn a_question_about_an_attempt_that_gathers_is_answered_wait() {
    let (mut world, names) = three();
    let Reply::Park(order) = world.ask(place(1, 1, &lines(&names))) else {
        panic!()
    };
    let ask = |world: &mut World| {
        let message = Message::Ask { order, attempt: 1 };
        let decision = world.shards[0].decide(
            world.now,
            Input::Message {
                from: ShardId(1),
                message: &message,
            },
        );
        assert!(decision.entry.is_none());
        match decision.sends.into_iter().next() {
            Some((ShardId(1), Message::Answer { standing, .. })) => standing,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(ask(&mut world), Standing::Wait);
    world.deliver_all();
    assert_eq!(ask(&mut world), Standing::Held);
    world.cancel(order);
    assert_eq!(ask(&mut world), Standing::Ended(Fate::Released));
    world.check();
}

#[test]
fn a_restart_aborts_what_gathered_and_participants_learn_it_by_asking() {
    let (mut world, names) = three();
    world.ask(place(1, 1, &lines(&names)));
    world.deliver(0);
    assert_eq!(world.stock(&names[1])[2], 2);
    world.restart();
    assert_eq!(world.stock(&names[0])[2], 0);
    assert_eq!(world.stock(&names[1])[2], 2);
    world.pass(2_000);
    assert_eq!([0, 1, 2].map(|at| world.stock(&names[at])[1]), [10, 10, 10]);
    world.check();
}

#[test]
fn an_outcome_whose_message_was_lost_is_told_again_until_acknowledged() {
    let (mut world, names) = three();
    let order = world.placed(1, 1, &lines(&names));
    world.confirm(order, "ch_1");
    world.restart();
    assert_eq!(world.stock(&names[1])[2], 2);
    world.pass(1_000);
    assert_eq!([0, 1, 2].map(|at| world.stock(&names[at])[3]), [1, 2, 3]);
    world.check();
    world.pass(100_000);
    assert!(world.net.is_empty());
}

#[test]
fn an_expired_order_is_released_everywhere() {
    let (mut world, names) = three();
    let order = world.placed(1, 1, &lines(&names));
    world.pass(QUARTER_HOUR);
    assert_eq!(world.read(order).status, OrderStatus::Expired);
    assert_eq!([0, 1, 2].map(|at| world.stock(&names[at])[1]), [10, 10, 10]);
    world.check();
}

#[test]
fn a_late_payment_is_held_again_on_all_shards_or_refunded() {
    let (mut world, names) = three();
    let order = world.placed(1, 1, &lines(&names));
    world.pass(QUARTER_HOUR);
    let blocker = world.placed(2, 1, &[(&names[2], 8)]);
    assert_eq!(refusal(world.confirm(order, "ch_1")), Refusal::RefundDue);
    world.deliver_all();
    assert_eq!(world.stock(&names[1])[1], 10);
    world.cancel(blocker);
    assert_eq!(refusal(world.confirm(order, "ch_1")), Refusal::RefundDue);
    let paid = view(world.confirm(order, "ch_2"));
    assert_eq!((paid.status, paid.total), (OrderStatus::Confirmed, 600));
    world.deliver_all();
    assert_eq!([0, 1, 2].map(|at| world.stock(&names[at])[3]), [1, 2, 3]);
    assert!(view(world.confirm(order, "ch_2")).repeated);
    world.check();
}

#[test]
fn while_a_late_payment_gathers_its_repeat_waits_and_another_is_told_so() {
    let (mut world, names) = three();
    let order = world.placed(1, 1, &lines(&names));
    world.pass(QUARTER_HOUR);
    let ask = |world: &mut World, id: &str| {
        world.ask(crate::Command::Confirm {
            order,
            charge: charge(id),
        })
    };
    assert_eq!(ask(&mut world, "ch_1"), Reply::Park(order));
    assert_eq!(ask(&mut world, "ch_1"), Reply::Park(order));
    assert_eq!(
        ask(&mut world, "ch_2"),
        Reply::Now(Outcome::Refused(Refusal::PaymentInProgress))
    );
    world.check();
    world.restart();
    world.check();
    assert_eq!(world.read(order).status, OrderStatus::Expired);
    // The aborted attempt is settled first.
    assert_eq!(refusal(world.confirm(order, "ch_1")), Refusal::TryAgain);
    world.pass(5_000);
    assert_eq!(view(world.confirm(order, "ch_1")).status, OrderStatus::Confirmed);
    world.deliver_all();
    world.check();
}

#[test]
fn prices_in_two_currencies_abort_an_order_over_two_shards() {
    let (mut world, names) = three();
    world.put_with(&names[1], 10, |put| put.currency = Some(*b"EUR"));
    assert_eq!(
        refusal(world.place(1, 1, &[(&names[0], 1), (&names[1], 1)])),
        Refusal::MixedCurrencies
    );
    world.deliver_all();
    assert_eq!(world.stock(&names[1])[1], 10);
    world.check();
}

#[test]
fn a_hold_of_an_older_term_is_refused() {
    let (mut world, names) = three();
    world.placed(1, 1, &lines(&names));
    let mut hold = Hold {
        order: OrderId::new(world.now, ShardId(0), 77),
        attempt: 1,
        term: 0,
        buyer: buyer(1),
        lines: [crate::Line {
            sku: name(&names[1]),
            qty: 1,
        }]
        .into_iter()
        .collect(),
        prepare_deadline: world.now.after(100),
    };
    let ask = |world: &World, hold: &Hold| {
        let message = Message::Hold(Box::new(hold.clone()));
        world.shards[1]
            .decide(
                world.now,
                Input::Message {
                    from: ShardId(0),
                    message: &message,
                },
            )
            .entry
            .is_some()
    };
    assert!(!ask(&world, &hold));
    hold.term = 1;
    assert!(ask(&world, &hold));
    hold.prepare_deadline = world.now;
    assert!(!ask(&world, &hold));
}

#[test]
fn gathering_is_bounded() {
    let mut world = World::with(3, |config| config.limits.gathering_max = 0);
    let names = three().1;
    names.iter().for_each(|sku| world.put(sku, 10));
    assert_eq!(
        refusal(world.place(1, 1, &lines(&names))),
        Refusal::Bound(Bound::Gathering)
    );
    world.placed(1, 1, &[(&names[0], 1)]);
}
