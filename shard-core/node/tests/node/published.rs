//! What waits for the bus, and what its marks let out.

use crate::common::*;
use tidegate_log::ShardMark;
use tidegate_node::{Answer, Durability, OpenConfig, Opened, Output, Parted, Unavailable};
use tidegate_shard_core::{Command, Outcome, Refusal, ShardId, shard_of};

fn replicated(threads: usize) -> OpenConfig {
    let mut config = config(4, threads);
    config.node.durability = Durability::Replicated;
    config
}

fn shard(name: &str) -> ShardId {
    shard_of(&sku(name), 4)
}

/// The bus has everything of a shard that is durable.
fn publish(opened: &mut Opened, shard: ShardId) {
    let (mark, thread) = (mark(opened, shard.0), thread_of(opened, shard));
    opened.nodes[thread]
        .published(mark)
        .expect("it is what the log has");
}

fn publish_all(opened: &mut Opened) {
    (0..4).for_each(|shard| publish(opened, ShardId(shard)));
}

/// Threads and the bus work until there is nothing to do.
fn settle_with_bus(files: &mut Memory, opened: &mut Opened) {
    for _ in 0..4 {
        settle(files, opened, NOW);
        publish_all(opened);
    }
}

/// One thread with `SKU` on sale, everything published, nothing left to be taken.
fn shop(files: &mut Memory, stock: u64) -> Opened {
    let mut opened = start(files, &replicated(1));
    send(&mut opened, 1, NOW, put("SKU", stock));
    send(&mut opened, 2, NOW, place(1, &["SKU"]));
    settle_with_bus(files, &mut opened);
    answers(&mut opened.nodes[0]);
    opened
}

fn stock_rows(opened: &mut Opened) -> usize {
    let outputs = std::iter::from_fn(|| opened.nodes[0].pop_output());
    outputs
        .filter(|output| matches!(output, Output::Stock(_)))
        .count()
}

#[test]
fn an_answer_waits_until_its_op_is_published() {
    let mut files = Memory::default();
    let mut opened = shop(&mut files, 10);
    send(&mut opened, 7, NOW, place(7, &["SKU"]));
    let before = mark(&opened, shard("SKU").0);
    sync(&mut files, &mut opened, 0);
    assert!(
        answers(&mut opened.nodes[0]).is_empty(),
        "durable is not published"
    );
    assert_eq!(opened.nodes[0].bus_answers(), 1);
    publish(&mut opened, shard("SKU"));
    assert_eq!(orders(&mut opened.nodes[0]).len(), 1);
    assert_eq!(opened.nodes[0].bus_answers(), 0);
    assert_eq!(
        opened.nodes[0].published_upto(shard("SKU")).map(|op| op.0),
        Some(before.op)
    );
}

#[test]
fn a_read_and_a_refusal_wait_for_the_bus_as_well() {
    let mut files = Memory::default();
    let mut opened = shop(&mut files, 2);
    send(&mut opened, 7, NOW, place(7, &["SKU"]));
    sync(&mut files, &mut opened, 0);
    send(&mut opened, 8, NOW, place(8, &["SKU"]));
    send(&mut opened, 9, NOW, Command::ReadStock { sku: sku("SKU") });
    assert!(answers(&mut opened.nodes[0]).is_empty());
    publish(&mut opened, shard("SKU"));
    let answers = answers(&mut opened.nodes[0]);
    assert_eq!(answers.len(), 3);
    assert!(matches!(
        answers[1],
        (8, Answer::Decided(Outcome::Refused(Refusal::SoldOut { .. })))
    ));
}

#[test]
fn what_depends_on_published_ops_only_leaves_at_once() {
    let mut files = Memory::default();
    let mut opened = shop(&mut files, 1);
    send(&mut opened, 7, NOW, Command::ReadStock { sku: sku("SKU") });
    send(&mut opened, 8, NOW, place(8, &["SKU"]));
    assert_eq!(answers(&mut opened.nodes[0]).len(), 2);
}

#[test]
fn a_local_node_waits_for_no_bus() {
    let mut files = Memory::default();
    let mut opened = start(&mut files, &config(4, 1));
    send(&mut opened, 1, NOW, put("SKU", 5));
    settle(&mut files, &mut opened, NOW);
    assert_eq!(answers(&mut opened.nodes[0]).len(), 1);
    assert_eq!(opened.nodes[0].unpublished_ops(), 0, "nobody heard of a bus");
}

#[test]
fn after_a_start_a_repeat_waits_until_its_order_is_known_to_be_published() {
    let mut files = Memory::default();
    let mut opened = shop(&mut files, 10);
    send(&mut opened, 7, NOW, place(7, &["SKU"]));
    sync(&mut files, &mut opened, 0);
    drop(opened);
    let mut opened = start(&mut files, &replicated(1));
    send(&mut opened, 8, NOW, place(7, &["SKU"]));
    send(&mut opened, 9, NOW, place(1, &["SKU"]));
    settle(&mut files, &mut opened, NOW);
    assert!(answers(&mut opened.nodes[0]).is_empty());
    publish(&mut opened, shard("SKU"));
    let orders = orders(&mut opened.nodes[0]);
    assert_eq!(
        orders.iter().map(|(ticket, ..)| *ticket).collect::<Vec<_>>(),
        [8, 9]
    );
    assert!(orders.iter().all(|(_, _, repeated)| *repeated));
}

#[test]
fn a_shard_that_is_stopped_holds_nobody_up_and_says_that_nothing_is_known() {
    let mut files = Memory::default();
    let mut opened = start(&mut files, &replicated(1));
    let (here, there) = apart(4);
    send(&mut opened, 1, NOW, put(&here, 5));
    send(&mut opened, 2, NOW, put(&there, 5));
    settle_with_bus(&mut files, &mut opened);
    answers(&mut opened.nodes[0]);
    send(&mut opened, 3, NOW, place(3, &[&here]));
    send(&mut opened, 4, NOW, place(4, &[&there]));
    settle(&mut files, &mut opened, NOW);
    assert!(answers(&mut opened.nodes[0]).is_empty());
    opened.nodes[0].stop_shard(shard(&here));
    let unknown = (3, Answer::Unavailable(Unavailable::NotPublished));
    assert_eq!(answers(&mut opened.nodes[0]), [unknown]);
    assert_eq!(Unavailable::NotPublished.reserved(), None);
    publish(&mut opened, shard(&there));
    assert_eq!(orders(&mut opened.nodes[0]).len(), 1);
    // The order is known, and nobody will ever know more of it.
    send(&mut opened, 5, NOW, place(3, &[&here]));
    let unknown = (5, Answer::Unavailable(Unavailable::NotPublished));
    assert_eq!(answers(&mut opened.nodes[0]), [unknown]);
    publish(&mut opened, shard(&here));
    assert!(answers(&mut opened.nodes[0]).is_empty());
}

#[test]
fn a_message_to_another_shard_waits_until_its_cause_is_published() {
    for threads in [1, 2] {
        let mut files = Memory::default();
        let mut opened = start(&mut files, &replicated(threads));
        let (here, there) = apart(4);
        send(&mut opened, 1, NOW, put(&here, 5));
        send(&mut opened, 2, NOW, put(&there, 5));
        settle_with_bus(&mut files, &mut opened);
        opened.nodes.iter_mut().for_each(|node| drop(answers(node)));
        let names = [here.as_str(), there.as_str()];
        let home = send(&mut opened, 3, NOW, place(3, &names));
        let home_shard = tidegate_shard_core::home_shard(&place(3, &names), 4);
        let other = names.map(shard).into_iter().find(|shard| *shard != home_shard);
        let other = other.expect("they are apart");
        let held = |opened: &Opened| {
            let node = &opened.nodes[thread_of(opened, other)];
            let name = names
                .into_iter()
                .find(|name| shard(name) == other)
                .expect("one is there");
            let stock = node.shard(other).and_then(|shard| shard.stock(&sku(name)));
            stock.expect("on sale").held
        };
        settle(&mut files, &mut opened, NOW);
        assert_eq!(held(&opened), 0, "the attempt is not on the bus");
        publish(&mut opened, home_shard);
        settle(&mut files, &mut opened, NOW);
        assert_eq!(held(&opened), 1);
        let gathers = mark(&opened, home_shard.0);
        publish(&mut opened, home_shard);
        settle(&mut files, &mut opened, NOW);
        assert_eq!(
            mark(&opened, home_shard.0),
            gathers,
            "the hold is not on the bus, so it does not count"
        );
        publish(&mut opened, other);
        settle(&mut files, &mut opened, NOW);
        assert!(mark(&opened, home_shard.0).op > gathers.op, "the commit");
        assert!(
            answers(&mut opened.nodes[home]).is_empty(),
            "which is not on the bus"
        );
        publish(&mut opened, home_shard);
        assert_eq!(orders(&mut opened.nodes[home]).len(), 1);
    }
}

#[test]
fn while_the_bus_is_down_a_bounded_number_waits_and_the_rest_is_refused_before_anything_is_reserved() {
    let mut files = Memory::default();
    let mut config = replicated(1);
    config.node.bus_answers_max = 3;
    let mut opened = start(&mut files, &config);
    send(&mut opened, 1, NOW, put("SKU", 100));
    settle_with_bus(&mut files, &mut opened);
    answers(&mut opened.nodes[0]);
    for ticket in 10..20 {
        send(&mut opened, ticket, NOW, place(ticket, &["SKU"]));
        settle(&mut files, &mut opened, NOW);
    }
    let refused = answers(&mut opened.nodes[0]);
    assert_eq!(refused.len(), 7);
    let backlog = |(_, answer): &(u64, Answer)| *answer == Answer::Unavailable(Unavailable::Backlog);
    assert!(refused.iter().all(backlog));
    let view = opened.nodes[0]
        .shard(shard("SKU"))
        .and_then(|shard| shard.stock(&sku("SKU")));
    assert_eq!(view.expect("on sale").held, 3);
    publish(&mut opened, shard("SKU"));
    assert_eq!(orders(&mut opened.nodes[0]).len(), 3);
    send(&mut opened, 30, NOW, place(30, &["SKU"]));
    settle_with_bus(&mut files, &mut opened);
    assert_eq!(orders(&mut opened.nodes[0]).len(), 1, "it recovers by itself");
}

#[test]
fn while_the_bus_is_down_the_rows_of_a_sku_do_not_pile_up() {
    let mut files = Memory::default();
    let mut opened = shop(&mut files, 100);
    for step in 1..20 {
        let now = NOW.after(step * 1000);
        send(&mut opened, 100 + step, now, place(100 + step, &["SKU"]));
        settle(&mut files, &mut opened, now);
    }
    assert_eq!(stock_rows(&mut opened), 0);
    let waiting = opened.nodes[0].waiting_outputs();
    publish(&mut opened, shard("SKU"));
    assert_eq!(
        opened.nodes[0].waiting_outputs() - waiting,
        19 + 1,
        "answers, and one row"
    );
    assert_eq!(stock_rows(&mut opened), 1);
    let now = NOW.after(30_000);
    assert!(opened.nodes[0].next_wake().is_some_and(|at| at <= now));
    opened.nodes[0].turn(now);
    assert_eq!(stock_rows(&mut opened), 1, "the newest one follows");
}

#[test]
fn a_mark_of_the_bus_never_goes_back_and_frees_nothing() {
    let mut files = Memory::default();
    let mut opened = shop(&mut files, 100_000);
    let before = mark(&opened, shard("SKU").0);
    for number in 100..2_000 {
        send(&mut opened, number, NOW, place(number, &["SKU"]));
        settle(&mut files, &mut opened, NOW);
        publish(&mut opened, shard("SKU"));
        crate::restart::take_checkpoint(&mut files, &mut opened, 0);
    }
    assert_eq!(opened.nodes[0].pop_freed(), None);
    let now = opened.nodes[0].published_upto(shard("SKU"));
    opened.nodes[0].published(before).expect("it was right once");
    assert_eq!(opened.nodes[0].published_upto(shard("SKU")), now);
    // So the backlog grows while the store stands still, and at its bound orders are refused, published or not.
    let owed = opened.nodes[0].owed_bytes();
    opened.nodes[0].set_backlog_bytes_max(owed);
    send(&mut opened, 5_000, NOW, place(5_000, &["SKU"]));
    publish_all(&mut opened);
    let last = answers(&mut opened.nodes[0]).pop();
    assert_eq!(last, Some((5_000, Answer::Unavailable(Unavailable::Backlog))));
    apply_all(&mut opened);
    assert!(opened.nodes[0].pop_freed().is_some());
    while opened.nodes[0].pop_freed().is_some() {}
    send(&mut opened, 5_001, NOW, place(5_001, &["SKU"]));
    settle_with_bus(&mut files, &mut opened);
    assert_eq!(orders(&mut opened.nodes[0]).len(), 1, "it recovers by itself");
}

#[test]
fn a_bus_that_has_more_than_the_log_or_something_else_stops_the_shard() {
    type Wrong = fn(ShardMark) -> ShardMark;
    let wrongs: [Wrong; 2] = [
        |mark| ShardMark {
            op: mark.op + 1,
            ..mark
        },
        |mark| ShardMark {
            chain: mark.chain ^ 1,
            ..mark
        },
    ];
    for wrong in wrongs {
        let mut files = Memory::default();
        let mut opened = shop(&mut files, 10);
        send(&mut opened, 7, NOW, place(7, &["SKU"]));
        sync(&mut files, &mut opened, 0);
        let mark = wrong(mark(&opened, shard("SKU").0));
        let parted = opened.nodes[0].published(mark).expect_err("it is not so");
        assert!(matches!(parted, Parted::Gap { .. } | Parted::OtherContent { .. }));
        assert!(opened.nodes[0].is_stopped(shard("SKU")));
        assert_eq!(
            answers(&mut opened.nodes[0]),
            [(7, Answer::Unavailable(Unavailable::NotPublished))]
        );
    }
}
