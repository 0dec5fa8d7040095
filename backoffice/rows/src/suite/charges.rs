//! The ledger of charges.

use tidegate_shard_core::{Millis, OrderId};

use super::{NOW, Two, at_once, charge_id};
use crate::{CHARGES_MAX, Callback, Charge, ChargeStatus, FIRST_LOOK_MS, Rows};

fn charge(number: u32, order: u64) -> Charge {
    Charge {
        id: charge_id(number),
        order: OrderId(order),
        amount: (1 << 40) + u64::from(number),
        currency: *b"CNY",
        provider: "simulated".to_owned(),
        status: ChargeStatus::Created,
        payment_url: None,
        close_at: NOW.after(600_000),
        attempts: 0,
    }
}

async fn open(rows: &dyn Rows, number: u32, order: u64) -> Option<(Charge, bool)> {
    rows.open_charge(charge(number, order), NOW)
        .await
        .expect("an answer")
}

async fn read(rows: &dyn Rows, number: u32) -> Charge {
    let found = rows.charge(charge_id(number)).await.expect("a read");
    found.expect("the charge")
}

async fn advance(rows: &dyn Rows, number: u32, seen: ChargeStatus, to: ChargeStatus) {
    let moved = rows.advance_charge(charge_id(number), seen, to, NOW);
    moved.await.expect("an answer");
}

/// An order has one charge under way; the next is new once that one is over.
pub async fn a_charge_under_way_is_given_again_and_one_that_is_over_is_not(two: &Two) {
    let [a, b] = two;
    assert_eq!(a.charge(charge_id(1)).await.expect("a read"), None);
    assert_eq!(open(&**a, 1, 9).await, Some((charge(1, 9), false)));
    assert_eq!(read(&**b, 1).await, charge(1, 9));
    for status in ChargeStatus::ALL {
        let before = read(&**a, 1).await.status;
        advance(&**a, 1, before, status).await;
        assert_eq!(read(&**b, 1).await.status, status);
        if status.under_way() {
            let (found, repeated) = open(&**b, 2, 9).await.expect("one under way");
            assert_eq!((found.id, repeated), (charge_id(1), true), "{status:?}");
        }
    }
    advance(&**a, 1, ChargeStatus::Refunded, ChargeStatus::RefundDue).await;
    assert_eq!(open(&**b, 2, 9).await, Some((charge(2, 9), false)));
    // Money came for the first one after all: the newer one is the one to go on with.
    advance(&**a, 1, ChargeStatus::RefundDue, ChargeStatus::Approved).await;
    let later = a
        .open_charge(charge(3, 9), NOW.after(1))
        .await
        .expect("an answer");
    assert!(later.expect("one under way").1);
    assert_eq!(
        open(&**a, 4, 10).await,
        Some((charge(4, 10), false)),
        "another order"
    );
}

/// Many that ask for a charge at once are given one.
pub async fn many_that_open_a_charge_at_once_are_given_one(two: &Two) {
    for order in 0..6 {
        let first = 1_000 + order as u32 * 100;
        let opened = at_once(two, 12, |rows, time| {
            rows.open_charge(charge(first + time as u32, order), NOW)
        })
        .await;
        let opened: Vec<(Charge, bool)> = opened.into_iter().map(|opened| opened.expect("room")).collect();
        let new = opened.iter().filter(|(_, repeated)| !repeated).count();
        assert_eq!(new, 1, "order {order}");
        assert!(opened.iter().all(|(charge, _)| charge.id == opened[0].0.id));
    }
}

/// An order cannot have charges without end, also when many are asked for at once.
pub async fn an_order_has_so_many_charges_and_no_more(two: &Two) {
    for number in 0..CHARGES_MAX {
        let opened = open(&*two[number as usize % 2], number, 5).await;
        assert_eq!(opened, Some((charge(number, 5), false)));
        advance(&*two[0], number, ChargeStatus::Created, ChargeStatus::Closed).await;
    }
    let more = at_once(two, 6, |rows, time| {
        rows.open_charge(charge(900 + time as u32, 5), NOW)
    });
    assert!(more.await.iter().all(Option::is_none));
    assert_eq!(open(&*two[1], 950, 6).await, Some((charge(950, 6), false)));
}

/// A charge moves on from where it was seen, and not from elsewhere; of many that move it, one does.
pub async fn a_charge_moves_on_only_from_where_it_was_seen(two: &Two) {
    use ChargeStatus::{Approved, Created, Declined, Paid, Started};
    let [a, b] = two;
    open(&**a, 1, 9).await;
    advance(&**b, 1, Started, Paid).await;
    assert_eq!(read(&**a, 1).await.status, Created);
    advance(&**b, 1, Created, Started).await;
    let to = |time: usize| {
        if time.is_multiple_of(3) {
            Approved
        } else {
            Declined
        }
    };
    at_once(two, 12, |rows, time| {
        rows.advance_charge(charge_id(1), Started, to(time), NOW)
    })
    .await;
    let status = read(&**a, 1).await.status;
    assert!(matches!(status, Approved | Declined));
    a.note_payment_url(charge_id(1), "/pay/1?ü=🦀".to_owned())
        .await
        .expect("an answer");
    let found = read(&**b, 1).await;
    assert_eq!(
        (found.payment_url.as_deref(), found.status),
        (Some("/pay/1?ü=🦀"), status)
    );
}

/// When charges are due, and that ended ones never are.
pub async fn charges_are_due_by_the_moment_and_failures_are_counted_until_one_goes_on(two: &Two) {
    let rows = &*two[0];
    let due = async |at: Millis| -> Vec<(u32, u32)> {
        let due = rows.due_charges(at, 9).await.expect("a list");
        let number = |charge: &Charge| u32::from_str_radix(&charge.id.as_str()[3..], 16).expect("digits");
        due.iter()
            .map(|charge| (number(charge), charge.attempts))
            .collect()
    };
    let next = async || rows.next_charge_due().await.expect("a read");
    assert_eq!(next().await, None);
    open(rows, 1, 1).await;
    open(rows, 2, 2).await;
    let first = NOW.after(FIRST_LOOK_MS);
    assert_eq!(next().await, Some(first));
    assert_eq!(due(NOW.after(FIRST_LOOK_MS - 1)).await, []);
    rows.retry_charge(charge_id(1), first.after(10))
        .await
        .expect("an answer");
    rows.retry_charge(charge_id(1), first.after(20))
        .await
        .expect("an answer");
    assert_eq!(
        due(first.after(20)).await,
        [(2, 0), (1, 2)],
        "who waits longest is first"
    );
    assert_eq!(
        rows.due_charges(first.after(20), 1).await.expect("a list").len(),
        1
    );
    // Elsewhere than it was seen: it stays due.
    let elsewhere = rows.postpone_charge(charge_id(2), ChargeStatus::Started, first.after(99));
    elsewhere.await.expect("an answer");
    assert_eq!(next().await, Some(first));
    let seen = rows.postpone_charge(charge_id(1), ChargeStatus::Created, first.after(5));
    seen.await.expect("an answer");
    assert_eq!(due(first.after(5)).await, [(2, 0), (1, 0)]);
    rows.retry_charge(charge_id(1), first.after(5))
        .await
        .expect("an answer");
    advance(rows, 1, ChargeStatus::Created, ChargeStatus::Started).await;
    assert_eq!(due(first).await, [(1, 0), (2, 0)], "what moved on is due at once");
    for (number, from, end) in [
        (1, ChargeStatus::Started, ChargeStatus::Paid),
        (2, ChargeStatus::Created, ChargeStatus::Closed),
    ] {
        advance(rows, number, from, end).await;
    }
    assert_eq!(due(Millis(1 << 62)).await, []);
    assert_eq!(next().await, None);
    // Forever, in a table of times below 2^63.
    open(rows, 3, 3).await;
    let waits = rows.postpone_charge(charge_id(3), ChargeStatus::Created, Millis(i64::MAX as u64));
    waits.await.expect("an answer");
    assert_eq!(next().await, Some(Millis(i64::MAX as u64)));
}

/// A callback and what it changes are one: both or none, and of a callback's repeats one is kept.
pub async fn a_callback_is_kept_once_and_with_what_it_changed_or_not_at_all(
    two: &Two,
    kept: &dyn Fn() -> Vec<Vec<u8>>,
) {
    use ChargeStatus::{Approved, Created, Paid, Started};
    let [a, b] = two;
    let callback = |number: u32, raw: &[u8]| Callback {
        charge: charge_id(number),
        provider: "simulated".to_owned(),
        raw: raw.to_vec(),
    };
    let none = a.keep_callback(callback(1, b"x"), Created, None, NOW);
    assert!(!none.await.expect("an answer"), "there is no such charge");
    open(&**a, 1, 9).await;
    let elsewhere = a.keep_callback(callback(1, b"x"), Started, Some(Approved), NOW);
    assert!(!elsewhere.await.expect("an answer"));
    assert_eq!((read(&**b, 1).await.status, kept().len()), (Created, 0));
    let raw = b"\0\xff not text \xf0\x9f\xa6\x80 ".to_vec();
    let moved = at_once(two, 8, |rows, _| {
        rows.keep_callback(callback(1, &raw), Created, Some(Approved), NOW)
    });
    assert_eq!(moved.await.iter().filter(|moved| **moved).count(), 1);
    assert_eq!(read(&**b, 1).await.status, Approved);
    let repeats = at_once(two, 8, |rows, _| {
        rows.keep_callback(callback(1, &raw), Approved, None, NOW.after(9))
    });
    assert!(repeats.await.iter().all(|kept| *kept));
    assert_eq!(kept(), std::slice::from_ref(&raw), "verbatim, and once");
    // As another one, and of another charge.
    let padded = [&raw[..], b" "].concat();
    let more = a.keep_callback(callback(1, &padded), Approved, Some(Paid), NOW);
    assert!(more.await.expect("an answer"));
    open(&**a, 2, 10).await;
    let other = b.keep_callback(callback(2, &raw), Created, None, NOW);
    assert!(other.await.expect("an answer"));
    assert_eq!(kept(), [raw.clone(), padded, raw]);
    let whole = vec![b'x'; 65_536];
    let long = b.keep_callback(callback(2, &whole), Created, None, NOW);
    assert!(long.await.expect("an answer"));
    assert_eq!(kept()[3].len(), 65_536);
}
