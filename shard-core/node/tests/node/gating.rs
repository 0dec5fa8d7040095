//! What leaves a node, and when.

use crate::common::*;
use tidegate_node::{Answer, Unavailable};
use tidegate_shard_core::{Command, Outcome, Refusal};

/// One thread with `SKU` on sale, everything durable, nothing left to be taken.
fn shop(files: &mut Memory, stock: u64) -> tidegate_node::Opened {
    let mut opened = start(files, &config(4, 1));
    send(&mut opened, 1, NOW, put("SKU", stock));
    sync(files, &mut opened, 0);
    // The first order waits for the shard's lease; later ones do not.
    send(&mut opened, 2, NOW, place(1, &["SKU"]));
    settle(files, &mut opened, NOW);
    answers(&mut opened.nodes[0]);
    opened
}

#[test]
fn an_answer_waits_until_its_op_is_durable() {
    let mut files = Memory::default();
    let mut opened = shop(&mut files, 10);
    send(&mut opened, 7, NOW, place(7, &["SKU"]));
    assert!(answers(&mut opened.nodes[0]).is_empty());
    let batch = write(&mut files, &mut opened, 0).expect("an entry pends");
    assert!(answers(&mut opened.nodes[0]).is_empty(), "written is not synced");
    opened.nodes[0].synced(batch);
    assert_eq!(orders(&mut opened.nodes[0]).len(), 1);
}

#[test]
fn a_refusal_waits_for_the_op_that_made_it() {
    let mut files = Memory::default();
    let mut opened = shop(&mut files, 2);
    send(&mut opened, 7, NOW, place(7, &["SKU"]));
    send(&mut opened, 8, NOW, place(8, &["SKU"]));
    assert!(answers(&mut opened.nodes[0]).is_empty());
    sync(&mut files, &mut opened, 0);
    let answers = answers(&mut opened.nodes[0]);
    assert!(matches!(
        answers[1],
        (8, Answer::Decided(Outcome::Refused(Refusal::SoldOut { .. })))
    ));
}

#[test]
fn what_depends_on_durable_ops_only_leaves_at_once() {
    let mut files = Memory::default();
    let mut opened = shop(&mut files, 1);
    send(&mut opened, 7, NOW, Command::ReadStock { sku: sku("SKU") });
    send(&mut opened, 8, NOW, place(8, &["SKU"]));
    let tickets: Vec<u64> = answers(&mut opened.nodes[0])
        .iter()
        .map(|(ticket, _)| *ticket)
        .collect();
    assert_eq!(tickets, [7, 8], "a read and a refusal, without a write");
}

#[test]
fn an_entry_appended_during_a_sync_waits_for_the_next_one() {
    let mut files = Memory::default();
    let mut opened = shop(&mut files, 10);
    send(&mut opened, 7, NOW, place(7, &["SKU"]));
    let batch = write(&mut files, &mut opened, 0).expect("an entry pends");
    send(&mut opened, 8, NOW, place(8, &["SKU"]));
    opened.nodes[0].synced(batch);
    assert_eq!(orders(&mut opened.nodes[0]).len(), 1);
    sync(&mut files, &mut opened, 0);
    assert_eq!(orders(&mut opened.nodes[0]).len(), 1);
}

#[test]
fn nothing_leaves_a_node_whose_log_failed() {
    let mut files = Memory::default();
    let mut opened = shop(&mut files, 10);
    send(&mut opened, 7, NOW, place(7, &["SKU"]));
    let batch = write(&mut files, &mut opened, 0).expect("an entry pends");
    opened.nodes[0].fail();
    opened.nodes[0].synced(batch);
    send(&mut opened, 8, NOW, Command::ReadStock { sku: sku("SKU") });
    opened.nodes[0].turn(NOW.after(1000));
    assert!(opened.nodes[0].pop_output().is_none());
    assert!(opened.nodes[0].seal().is_none());
    assert_eq!(opened.nodes[0].next_wake(), None);
}

#[test]
fn an_order_over_two_threads_is_answered_once_both_have_logged_it() {
    let mut files = Memory::default();
    let mut opened = start(&mut files, &config(4, 2));
    let (here, there) = apart(4);
    send(&mut opened, 1, NOW, put(&here, 5));
    send(&mut opened, 2, NOW, put(&there, 5));
    settle(&mut files, &mut opened, NOW);
    opened.nodes.iter_mut().for_each(|node| drop(answers(node)));
    let home = send(&mut opened, 3, NOW, place(3, &[&here, &there]));
    // A repeat that comes while the first is under way waits for its answer.
    settle(&mut files, &mut opened, NOW);
    send(&mut opened, 4, NOW, place(3, &[&here, &there]));
    settle(&mut files, &mut opened, NOW);
    let orders = orders(&mut opened.nodes[home]);
    assert_eq!(orders.len(), 2);
    assert_eq!((orders[0].1, orders[0].2), (orders[1].1, false));
    assert!(orders[1].2);
    for name in [&here, &there] {
        let shard = tidegate_shard_core::shard_of(&sku(name), 4);
        let node = &opened.nodes[thread_of(&opened, shard)];
        let stock = node
            .shard(shard)
            .and_then(|shard| shard.stock(&sku(name)))
            .expect("on sale");
        assert_eq!((stock.available, stock.held), (4, 1));
    }
}

#[test]
fn a_repeat_under_way_is_parked_and_both_get_one_order() {
    let mut files = Memory::default();
    let mut opened = start(&mut files, &config(4, 2));
    let (here, there) = apart(4);
    send(&mut opened, 1, NOW, put(&here, 5));
    send(&mut opened, 2, NOW, put(&there, 5));
    // A first order, so that the lease is there.
    send(&mut opened, 3, NOW, place(3, &[&here]));
    settle(&mut files, &mut opened, NOW);
    opened.nodes.iter_mut().for_each(|node| drop(answers(node)));
    let home = send(&mut opened, 4, NOW, place(4, &[&here, &there]));
    send(&mut opened, 5, NOW, place(4, &[&here, &there]));
    assert_eq!(opened.nodes[home].parked(), 2);
    settle(&mut files, &mut opened, NOW);
    let orders = orders(&mut opened.nodes[home]);
    assert_eq!(orders[0].1, orders[1].1);
    assert_eq!(opened.nodes[home].parked(), 0);
}

#[test]
fn a_full_backlog_refuses_orders_and_nothing_else() {
    let mut files = Memory::default();
    let mut config = config(4, 1);
    config.node.backlog_bytes_max = 1;
    let mut opened = start(&mut files, &config);
    send(&mut opened, 1, NOW, put("SKU", 5));
    sync(&mut files, &mut opened, 0);
    answers(&mut opened.nodes[0]);
    send(&mut opened, 2, NOW, place(2, &["SKU"]));
    send(&mut opened, 3, NOW, Command::ReadStock { sku: sku("SKU") });
    let answers = answers(&mut opened.nodes[0]);
    assert!(matches!(
        answers[0],
        (2, Answer::Unavailable(Unavailable::Backlog))
    ));
    assert!(matches!(answers[1], (3, Answer::Decided(Outcome::Stock(_)))));
}

#[test]
fn a_full_disk_refuses_orders_until_there_is_room() {
    let mut files = Memory::default();
    let mut opened = shop(&mut files, 10);
    opened.nodes[0].no_room();
    send(&mut opened, 7, NOW, place(7, &["SKU"]));
    let refused = answers(&mut opened.nodes[0]);
    assert!(matches!(
        refused[0],
        (7, Answer::Unavailable(Unavailable::LogFull))
    ));
}

#[test]
fn a_repeat_is_answered_although_new_orders_are_refused() {
    let mut files = Memory::default();
    let mut opened = shop(&mut files, 10);
    let ask = |opened: &mut tidegate_node::Opened, why| {
        send(opened, 7, NOW, place(7, &["SKU"]));
        send(opened, 8, NOW, place(1, &["SKU"]));
        let answers = answers(&mut opened.nodes[0]);
        assert!(matches!(answers[0], (7, Answer::Unavailable(refused)) if refused == why));
        assert!(matches!(&answers[1], (8, Answer::Decided(Outcome::Order(view))) if view.repeated));
    };
    opened.nodes[0].no_room();
    ask(&mut opened, Unavailable::LogFull);

    let mut owing = config(4, 1);
    owing.node.backlog_bytes_max = 1;
    let mut opened = start(&mut files, &owing);
    answers(&mut opened.nodes[0]);
    ask(&mut opened, Unavailable::Backlog);
    assert!(opened.nodes[0].seal().is_none(), "nothing was logged");
}
