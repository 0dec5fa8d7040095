use http::HeaderMap;
use proptest::prelude::*;
use tidegate_shard_core::{Caller, ChargeId, Command, OrderId, OrderStatus, OrderView, Refusal};

use super::*;
use crate::testing::{Fault, HOLD_MS, Stand};

impl Stand {
    async fn raw(&self, raw: &[u8]) -> Result<ChargeId, CallbackRefused> {
        self.payments
            .callback(Asking {
                headers: &HeaderMap::new(),
                raw,
            })
            .await
    }

    /// What the buyer does on the page, and the callback that follows.
    async fn act(&self, charge: ChargeId, action: SimulatedAction) {
        if let Some(raw) = self.provider.inner.act(charge, action).await.unwrap() {
            self.raw(&raw).await.unwrap();
        }
    }

    async fn standing(&self, charge: ChargeId) -> Standing {
        self.provider.inner.query(charge).await.unwrap()
    }

    async fn status(&self, charge: ChargeId) -> ChargeStatus {
        self.payments.find(charge).await.unwrap().unwrap().status
    }

    async fn charges(&self) -> Vec<Charge> {
        let all = |connection: &rusqlite::Connection| -> rusqlite::Result<Vec<String>> {
            connection
                .prepare("SELECT charge FROM charges")?
                .query_map([], |row| row.get(0))?
                .collect()
        };
        let mut charges = Vec::new();
        for id in self.database.read_async(all).await.unwrap() {
            charges.push(self.payments.find(id.parse().unwrap()).await.unwrap().unwrap());
        }
        charges
    }

    /// Time passes without faults until nothing is left to do.
    async fn settle(&self) {
        self.faults.plan(0, None);
        for _ in 0..200 {
            self.shard.pass(15_000);
            while self.payments.recover_once().await.unwrap() > 0 {}
            if self.charges().await.iter().all(|charge| charge.status.ended()) {
                return;
            }
        }
        panic!("charges in limbo: {:?}", self.charges().await);
    }
}

fn stand() -> (Stand, OrderView) {
    let stand = Stand::new();
    stand.shard.stock("A", 1);
    let order = stand.shard.place(1, 1, "A").unwrap();
    (stand, order)
}

#[tokio::test]
async fn a_charge_under_way_is_given_again_and_pays_the_order_once_it_is_approved() {
    let (stand, order) = stand();
    let (charge, repeated) = stand.payments.pay(&order).await.unwrap();
    assert_eq!((charge.status, repeated), (ChargeStatus::Started, false));
    assert_eq!(
        charge.payment_url.as_deref(),
        Some(format!("/pay/simulated/{}", charge.id).as_str())
    );
    assert!(charge.close_at < order.pay_by);
    assert_eq!(stand.payments.pay(&order).await.unwrap(), (charge.clone(), true));
    stand.act(charge.id, SimulatedAction::Approve).await;
    assert_eq!(stand.status(charge.id).await, ChargeStatus::Approved);
    assert_eq!(
        stand.payments.drive(charge.id).await.unwrap().status,
        ChargeStatus::Paid
    );
    assert_eq!(stand.shard.order(order.id).status, OrderStatus::Confirmed);
    let refused = stand.payments.pay(&order).await.unwrap_err();
    assert!(
        matches!(refused, Stuck::Refused(Refusal::AlreadyPaid { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_declined_charge_is_closed_on_both_sides_and_the_next_one_is_new() {
    let (stand, order) = stand();
    let (first, _) = stand.payments.pay(&order).await.unwrap();
    stand.act(first.id, SimulatedAction::Decline).await;
    let (second, repeated) = stand.payments.pay(&order).await.unwrap();
    assert!(!repeated && second.id != first.id);
    assert_eq!(stand.status(first.id).await, ChargeStatus::Closed);
    assert_eq!(second.status, ChargeStatus::Started);
}

#[tokio::test]
async fn an_unpaid_charge_is_closed_at_the_provider_before_its_order_expires() {
    let (stand, order) = stand();
    let (charge, _) = stand.payments.pay(&order).await.unwrap();
    stand.shard.pass(HOLD_MS - CLOSE_MARGIN_MS);
    stand.payments.recover_once().await.unwrap();
    assert_eq!(stand.status(charge.id).await, ChargeStatus::Closed);
    assert_eq!(stand.standing(charge.id).await, Standing::Closed);
    assert_eq!(stand.shard.order(order.id).status, OrderStatus::Pending);
    stand.shard.pass(CLOSE_MARGIN_MS);
    assert_eq!(stand.shard.order(order.id).status, OrderStatus::Expired);
}

#[tokio::test]
async fn an_open_charge_is_closed_soon_after_its_order_was_cancelled() {
    let (stand, order) = stand();
    let (charge, _) = stand.payments.pay(&order).await.unwrap();
    stand.shard.run(&Command::Cancel {
        order: order.id,
        caller: Caller::Operator,
    });
    stand.shard.pass(30_000);
    stand.payments.recover_once().await.unwrap();
    assert_eq!(stand.status(charge.id).await, ChargeStatus::Closed);
    assert_eq!(stand.shard.order(order.id).status, OrderStatus::Cancelled);
}

#[tokio::test]
async fn a_payment_whose_callback_was_lost_is_found_by_asking() {
    let (stand, order) = stand();
    let (charge, _) = stand.payments.pay(&order).await.unwrap();
    stand.act(charge.id, SimulatedAction::Delay).await;
    stand.shard.pass(30_000);
    stand.payments.recover_once().await.unwrap();
    assert_eq!(stand.status(charge.id).await, ChargeStatus::Paid);
}

#[tokio::test]
async fn a_forged_callback_and_one_of_another_amount_change_nothing() {
    let (stand, order) = stand();
    let (charge, _) = stand.payments.pay(&order).await.unwrap();
    let forged = |amount: u64| {
        format!(
            r#"{{"charge":"{}","event":"paid","amount":{amount},"currency":"CNY"}}"#,
            charge.id
        )
        .into_bytes()
    };
    assert!(matches!(
        stand.raw(&forged(100)).await,
        Err(CallbackRefused::Provider(ProviderError::Forged(_)))
    ));
    stand
        .provider
        .inner
        .act(charge.id, SimulatedAction::Approve)
        .await
        .unwrap();
    assert!(matches!(
        stand.raw(&forged(99)).await,
        Err(CallbackRefused::Provider(ProviderError::Forged(_)))
    ));
    assert!(matches!(
        stand.raw(b"{}").await,
        Err(CallbackRefused::Provider(ProviderError::Forged(_)))
    ));
    assert_eq!(stand.status(charge.id).await, ChargeStatus::Started);
    stand.raw(&forged(100)).await.unwrap();
    stand.raw(&forged(100)).await.unwrap();
    let kept = |connection: &rusqlite::Connection| {
        connection.query_row("SELECT count(*), min(raw) FROM callbacks", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
    };
    let kept: (i64, Vec<u8>) = stand.database.read_async(kept).await.unwrap();
    assert_eq!(
        kept,
        (1, forged(100)),
        "a callback is kept verbatim, and its repeat not again"
    );
}

#[tokio::test]
async fn money_of_an_order_that_ended_and_left_the_shard_goes_back() {
    let (stand, order) = stand();
    let (charge, _) = stand.payments.pay(&order).await.unwrap();
    stand
        .provider
        .inner
        .act(charge.id, SimulatedAction::Approve)
        .await
        .unwrap();
    // As if the order were gone: no shard has this id.
    let gone = OrderId(order.id.0 + 1);
    let rename = move |tx: &mut rusqlite::Savepoint<'_>| {
        tx.execute("UPDATE charges SET order_id = ?1", [gone.0 as i64])
    };
    stand.database.write(rename).unwrap();
    assert_eq!(
        stand.payments.drive(charge.id).await.unwrap().status,
        ChargeStatus::Refunded
    );
    assert_eq!(stand.standing(charge.id).await, Standing::Refunded);
}

#[derive(Clone, Debug)]
enum Act {
    Pay,
    Approve(u8),
    Decline(u8),
    Delay(u8),
    /// The money arrives although the charge was declined or closed.
    PaidAnyway(u8),
    /// A callback that was sent before comes once more.
    Repeat(u8),
    Cancel,
    ConfirmByHand(u8),
    Pass(u64),
    Recover,
    PayBesideRecovery,
    /// Somebody else wants the last unit.
    Compete,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => Just(Act::Pay),
        3 => (0..4u8).prop_map(Act::Approve),
        2 => (0..4u8).prop_map(Act::Decline),
        1 => (0..4u8).prop_map(Act::Delay),
        2 => (0..4u8).prop_map(Act::PaidAnyway),
        2 => (0..8u8).prop_map(Act::Repeat),
        1 => Just(Act::Cancel),
        1 => (0..4u8).prop_map(Act::ConfirmByHand),
        3 => prop_oneof![Just(1_000), Just(31_000), Just(HOLD_MS / 2), Just(HOLD_MS), Just(3 * 60_000)].prop_map(Act::Pass),
        3 => Just(Act::Recover),
        2 => Just(Act::PayBesideRecovery),
        1 => Just(Act::Compete),
    ]
}

fn fault() -> impl Strategy<Value = Option<Fault>> {
    prop_oneof![
        Just(None),
        Just(Some(Fault::CrashBefore)),
        Just(Some(Fault::CrashAfter)),
        Just(Some(Fault::AnswerLost)),
        Just(Some(Fault::NotDone)),
    ]
}

/// One shop's day. Every callback that was ever sent is remembered, and sent once more at the end.
struct Day {
    stand: Stand,
    order: OrderView,
    sent: Vec<Vec<u8>>,
}

impl Day {
    async fn charge(&self, index: u8) -> Option<ChargeId> {
        let charges = self.stand.charges().await;
        charges
            .get(usize::from(index) % charges.len().max(1))
            .map(|charge| charge.id)
    }

    async fn on_the_page(&mut self, index: u8, action: SimulatedAction) {
        let Some(charge) = self.charge(index).await else {
            return;
        };
        let Some(raw) = self.stand.provider.inner.act(charge, action).await.unwrap() else {
            return;
        };
        self.sent.push(raw.clone());
        let taken = self.stand.raw(&raw).await;
        assert!(taken.is_ok(), "{taken:?}");
        _ = self.stand.payments.drive(charge).await;
    }

    async fn step(&mut self, act: Act) {
        match act {
            Act::Pay => _ = self.stand.payments.pay(&self.order).await,
            Act::Approve(index) => self.on_the_page(index, SimulatedAction::Approve).await,
            Act::Decline(index) => self.on_the_page(index, SimulatedAction::Decline).await,
            Act::Delay(index) => self.on_the_page(index, SimulatedAction::Delay).await,
            Act::PaidAnyway(index) => {
                let Some(charge) = self.charge(index).await else {
                    return;
                };
                let pay = move |tx: &mut rusqlite::Savepoint<'_>| {
                    let paid = "UPDATE simulated_charges SET standing = 'open', pays_at = NULL
                                WHERE charge = ?1 AND standing IN ('declined', 'closed') AND amount > 0";
                    tx.execute(paid, [charge.as_str()])
                };
                self.stand.database.write(pay).unwrap();
                self.on_the_page(index, SimulatedAction::Approve).await;
            }
            Act::Repeat(index) => {
                if let Some(raw) = self.sent.get(usize::from(index) % self.sent.len().max(1)) {
                    self.stand.raw(raw).await.unwrap();
                }
            }
            Act::Cancel => {
                let order = self.order.id;
                self.stand.shard.run(&Command::Cancel {
                    order,
                    caller: Caller::Operator,
                });
            }
            Act::ConfirmByHand(index) => {
                // Only of money that is there: an operator is believed.
                let Some(charge) = self.charge(index).await else {
                    return;
                };
                if let Standing::Paid { .. } = self.stand.standing(charge).await {
                    self.stand.shard.run(&Command::Confirm {
                        order: self.order.id,
                        charge,
                    });
                }
            }
            Act::Pass(ms) => self.stand.shard.pass(ms),
            Act::Recover => _ = self.stand.payments.recover_once().await.unwrap(),
            Act::PayBesideRecovery => {
                _ = tokio::join!(
                    self.stand.payments.pay(&self.order),
                    self.stand.payments.recover_once()
                );
            }
            Act::Compete => _ = self.stand.shard.place(2, 1, "A"),
        }
    }

    async fn step_with_fault(&mut self, act: Act, nth: u8, fault: Option<Fault>) {
        self.stand.faults.plan(i64::from(nth), fault);
        let faults = self.stand.faults.clone();
        tokio::select! {
            () = self.step(act) => {}
            // What was under way is dropped where it stood, as in a process that dies.
            () = faults.crashed.notified() => {}
        }
        self.stand.faults.plan(0, None);
    }

    async fn check(&self) {
        let mut paid = 0;
        for charge in self.stand.charges().await {
            let standing = self.stand.standing(charge.id).await;
            let whole = Standing::Paid {
                amount: charge.amount,
                currency: charge.currency,
            };
            match charge.status {
                ChargeStatus::Paid => {
                    paid += 1;
                    assert_eq!(standing, whole, "{charge:?}");
                }
                ChargeStatus::Refunded => assert_eq!(standing, Standing::Refunded, "{charge:?}"),
                ChargeStatus::Closed => assert!(
                    matches!(
                        standing,
                        Standing::Unknown | Standing::Closed | Standing::Declined
                    ),
                    "money without an end: {charge:?} {standing:?}"
                ),
                other => panic!("in limbo: {other:?}"),
            }
        }
        let status = self.stand.shard.order(self.order.id).status;
        assert_eq!(
            paid,
            usize::from(status == OrderStatus::Confirmed),
            "{status:?}: {:?}",
            self.stand.charges().await
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_in_whatever_order_and_dies_every_charge_ends_paid_refunded_or_closed(
        acts in prop::collection::vec((act(), 0..6u8, fault()), 1..32)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (stand, order) = stand();
            let mut day = Day { stand, order, sent: Vec::new() };
            for (act, nth, fault) in acts {
                day.step_with_fault(act, nth, fault).await;
            }
            day.stand.settle().await;
            day.check().await;
            // All callbacks once more, the last one first: nothing changes.
            let before = day.stand.charges().await;
            for raw in day.sent.iter().rev() {
                day.stand.raw(raw).await.unwrap();
            }
            day.stand.settle().await;
            assert_eq!(day.stand.charges().await, before);
        });
    }
}
