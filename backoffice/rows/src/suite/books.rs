//! The books of the provider `simulated`.

use super::{NOW, Two, at_once, charge_id};
use crate::{Book, Decision, Rows, Standing};

const PAID: Standing = Standing::Paid {
    amount: 700,
    currency: *b"EUR",
};

async fn look(rows: &dyn Rows, number: u32) -> Option<Standing> {
    let book = rows.book(charge_id(number), NOW).await.expect("a read");
    book.map(|book| book.standing)
}

async fn open(rows: &dyn Rows, number: u32) {
    let opened = rows.open_book(charge_id(number), 700, *b"EUR");
    opened.await.expect("an answer");
}

async fn decide(rows: &dyn Rows, number: u32, decision: Decision) -> Option<Book> {
    let decided = rows.decide_book(charge_id(number), decision, NOW);
    decided.await.expect("an answer")
}

/// What a buyer decides counts once, and only of an open charge.
pub async fn a_charge_is_decided_once(two: &Two) {
    let [a, b] = two;
    assert_eq!(look(&**a, 1).await, None);
    assert_eq!(decide(&**a, 1, Decision::Pay).await, None);
    open(&**a, 1).await;
    open(&**b, 1).await;
    assert_eq!(look(&**b, 1).await, Some(Standing::Open));
    let decided = at_once(two, 8, |rows, time| {
        let decision = if time.is_multiple_of(3) {
            Decision::Pay
        } else {
            Decision::Decline
        };
        rows.decide_book(charge_id(1), decision, NOW)
    });
    let decided = decided.await;
    let standing = decided[0].expect("a book").standing;
    assert!(standing == PAID || standing == Standing::Declined);
    assert!(decided.iter().all(|book| *book == decided[0]));
    open(&**b, 1).await;
    assert_eq!(
        look(&**a, 1).await,
        Some(standing),
        "to open it again changes nothing"
    );
}

/// A payment that was approved late arrives at its moment, whoever looks, and nothing else comes between.
pub async fn a_delayed_payment_arrives_at_its_moment(two: &Two) {
    let [a, b] = two;
    open(&**a, 1).await;
    let at = NOW.after(20_000);
    let book = decide(&**a, 1, Decision::PayAt(at)).await.expect("a book");
    assert_eq!((book.standing, book.pays_at), (Standing::Open, Some(at)));
    let declined = decide(&**b, 1, Decision::Decline).await.expect("a book");
    assert_eq!(declined.standing, Standing::Open, "it is on its way");
    let before = b.book(charge_id(1), NOW.after(19_999)).await.expect("a read");
    assert_eq!(before.expect("a book").standing, Standing::Open);
    let arrived = b.close_book(charge_id(1), at).await.expect("an answer");
    let expected = Book {
        amount: 700,
        currency: *b"EUR",
        standing: PAID,
        pays_at: None,
    };
    assert_eq!(arrived, Some(expected), "closing came too late");
}

/// Closing wins over what comes later, also for a charge that was never made.
pub async fn a_closed_charge_stays_closed_also_one_that_never_was(two: &Two) {
    let [a, b] = two;
    open(&**a, 1).await;
    decide(&**a, 1, Decision::PayAt(NOW.after(9))).await;
    for number in [1, 2] {
        let closed = a.close_book(charge_id(number), NOW).await.expect("an answer");
        let closed = closed.expect("a book");
        assert_eq!((closed.standing, closed.pays_at), (Standing::Closed, None));
        open(&**b, number).await;
        decide(&**b, number, Decision::Pay).await;
        let later = b.book(charge_id(number), NOW.after(99)).await.expect("a read");
        assert_eq!(later, Some(closed));
    }
    assert_eq!(
        a.book(charge_id(2), NOW)
            .await
            .expect("a read")
            .expect("a book")
            .amount,
        0
    );
}

/// Money goes back once, and only money that came.
pub async fn only_paid_money_goes_back(two: &Two) {
    let [a, b] = two;
    let refund = async |number| a.refund_book(charge_id(number)).await.expect("an answer");
    refund(1).await;
    assert_eq!(look(&**b, 1).await, None);
    open(&**a, 1).await;
    refund(1).await;
    assert_eq!(look(&**b, 1).await, Some(Standing::Open));
    decide(&**a, 1, Decision::Pay).await;
    refund(1).await;
    refund(1).await;
    assert_eq!(look(&**b, 1).await, Some(Standing::Refunded));
    let closed = b.close_book(charge_id(1), NOW).await.expect("an answer");
    assert_eq!(closed.expect("a book").standing, Standing::Refunded);
}
