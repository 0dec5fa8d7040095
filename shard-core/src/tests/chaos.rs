//! Random commands, messages that are lost, repeated and overtaken, crashes, and time: then silence, and the sums.

use super::world::*;
use crate::command::*;
use crate::ids::*;
use crate::order_state::State;
use crate::outcome::*;
use crate::shard::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const SKUS: [&str; 8] = ["A", "B", "C:1", "C:2", "D", "E", "F", "G"];

#[derive(Clone, Debug)]
enum Step {
    Place {
        buyer: u8,
        key: u64,
        lines: Vec<(usize, u32)>,
    },
    Cancel(prop::sample::Index),
    Start(prop::sample::Index, u8),
    Close(prop::sample::Index, u8),
    Confirm(prop::sample::Index, u8),
    Stock {
        sku: usize,
        delta: i64,
        key: u64,
    },
    Deliver(prop::sample::Index),
    Copy(prop::sample::Index),
    Lose(prop::sample::Index),
    Pass(u64),
    Crash,
    Restore,
    Applied(usize),
    Digest(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let index = any::<prop::sample::Index>;
    let line = (0..SKUS.len(), 1..4u32);
    let step = prop_oneof![
        8 => (0..4u8, 0..40u64, prop::collection::btree_map(0..SKUS.len(), 1..4u32, 1..4))
            .prop_map(|(buyer, key, lines)| Step::Place { buyer, key, lines: lines.into_iter().collect() }),
        2 => index().prop_map(Step::Cancel),
        3 => (index(), 0..3u8).prop_map(|(i, c)| Step::Start(i, c)),
        1 => (index(), 0..3u8).prop_map(|(i, c)| Step::Close(i, c)),
        3 => (index(), 0..3u8).prop_map(|(i, c)| Step::Confirm(i, c)),
        1 => (line, 0..6u64, any::<bool>()).prop_map(|((sku, units), key, take)| Step::Stock {
            sku,
            delta: if take { -i64::from(units) } else { i64::from(units) },
            key,
        }),
        24 => index().prop_map(Step::Deliver),
        3 => index().prop_map(Step::Copy),
        1 => index().prop_map(Step::Lose),
        4 => prop_oneof![0..50u64, 500..3000u64, 100_000..600_000u64].prop_map(Step::Pass),
        1 => Just(Step::Crash),
        1 => Just(Step::Restore),
        1 => (0..4usize).prop_map(Step::Applied),
        1 => (0..4usize).prop_map(Step::Digest),
    ];
    prop::collection::vec(step, 1..200)
}

struct Chaos {
    world: World,
    /// Acknowledged orders, as first seen.
    acknowledged: BTreeMap<OrderId, OrderView>,
    /// A key is known on the shard of its order; elsewhere it is another key.
    by_key: BTreeMap<(u8, u64, ShardId), OrderId>,
    parked: BTreeMap<OrderId, (u8, u64)>,
    refunds: Vec<(OrderId, ChargeId)>,
}

impl Chaos {
    fn new(shards: u16, configure: impl Fn(&mut ShardConfig)) -> Chaos {
        let mut world = World::with(shards, |config| {
            config.limits.orders_max = 60;
            configure(config);
        });
        for (at, sku) in SKUS.iter().enumerate() {
            world.put_with(sku, 12, |put| {
                if at % 2 == 0 {
                    put.buyer_limit = Some(Some(5));
                }
                if sku.contains(':') {
                    put.buyer_limit = Some(Some(6));
                    put.limit_scope = Some(LimitScope::Group);
                }
            });
        }
        let (acknowledged, by_key, parked) = Default::default();
        Chaos {
            world,
            acknowledged,
            by_key,
            parked,
            refunds: Vec::new(),
        }
    }

    fn pick(&self, index: &prop::sample::Index) -> Option<OrderId> {
        let orders: Vec<OrderId> = self.acknowledged.keys().copied().collect();
        (!orders.is_empty()).then(|| *index.get(&orders))
    }

    fn acknowledge(&mut self, who: (u8, u64), outcome: &Outcome) {
        if let Outcome::Order(view) = outcome {
            let who = (who.0, who.1, view.id.shard());
            if self
                .by_key
                .insert(who, view.id)
                .is_some_and(|known| known != view.id)
            {
                // Only a key that was forgotten may make a second order.
                assert!(self.world.now >= START.after(15 * 60_000));
            }
            let first = self.acknowledged.entry(view.id).or_insert_with(|| view.clone());
            assert_eq!((&first.lines, first.total), (&view.lines, view.total));
        }
    }

    fn wake(&mut self) {
        for (order, outcome) in std::mem::take(&mut self.world.woken) {
            if let Some(who) = self.parked.remove(&order) {
                self.acknowledge(who, &outcome);
            }
        }
    }

    fn payment(&mut self, command: Command) {
        let Command::Confirm { order, charge } = command else {
            self.world.ask(command);
            return;
        };
        match self.world.ask(Command::Confirm { order, charge }) {
            Reply::Now(Outcome::Refused(Refusal::RefundDue)) => self.refunds.push((order, charge)),
            Reply::Now(Outcome::Order(view)) => {
                assert_eq!(view.status, OrderStatus::Confirmed);
                assert!(!self.refunds.contains(&(order, charge)), "paid and refunded");
            }
            _ => {}
        }
    }

    fn step(&mut self, step: Step) {
        let net = self.world.net.len();
        match step {
            Step::Place { buyer, key, lines } => {
                let lines: Vec<(&str, u32)> = lines.iter().map(|(sku, qty)| (SKUS[*sku], *qty)).collect();
                match self.world.ask(place(buyer, key, &lines)) {
                    Reply::Now(outcome) => self.acknowledge((buyer, key), &outcome),
                    Reply::Park(order) => drop(self.parked.insert(order, (buyer, key))),
                    Reply::None => panic!("a command is answered"),
                }
            }
            Step::Cancel(index) => {
                if let Some(order) = self.pick(&index) {
                    self.world.ask(Command::Cancel {
                        order,
                        caller: Caller::Operator,
                    });
                }
            }
            Step::Start(index, id) => {
                if let Some(order) = self.pick(&index) {
                    self.payment(Command::StartPayment {
                        order,
                        charge: charge(&format!("ch_{id}")),
                    });
                }
            }
            Step::Close(index, id) => {
                if let Some(order) = self.pick(&index) {
                    self.payment(Command::CloseCharge {
                        order,
                        charge: charge(&format!("ch_{id}")),
                    });
                }
            }
            Step::Confirm(index, id) => {
                if let Some(order) = self.pick(&index) {
                    self.payment(Command::Confirm {
                        order,
                        charge: charge(&format!("ch_{id}")),
                    });
                }
            }
            Step::Stock {
                sku,
                delta,
                key: number,
            } => {
                let change = ChangeStock {
                    sku: name(SKUS[sku]),
                    delta,
                    reason: "x".into(),
                    key: key(9, number),
                };
                self.world.ask(Command::ChangeStock(Box::new(change)));
            }
            Step::Deliver(index) if net > 0 => self.world.deliver(index.index(net)),
            Step::Copy(index) if net > 0 => {
                let copy = self.world.net[index.index(net)].clone();
                self.world.net.push(copy);
            }
            Step::Lose(index) if net > 0 => drop(self.world.net.swap_remove(index.index(net))),
            Step::Deliver(_) | Step::Copy(_) | Step::Lose(_) => {}
            Step::Pass(ms) => {
                self.world.now = self.world.now.after(ms);
                self.world.tick();
            }
            Step::Crash => {
                self.parked.clear();
                self.world.restart();
            }
            Step::Restore => {
                for shard in &mut self.world.shards {
                    let mut bytes = Vec::new();
                    shard.snapshot(&mut bytes);
                    *shard = Shard::restore(shard.config.clone(), &bytes).unwrap();
                }
            }
            Step::Applied(at) => {
                let at = at % self.world.shards.len();
                let shard = &self.world.shards[at];
                if let Some(entry) = shard.applied(self.world.now, shard.op(), 7) {
                    self.world.apply(at, &entry);
                }
            }
            Step::Digest(at) => {
                let at = at % self.world.shards.len();
                let entry = self.world.shards[at].digest_entry(self.world.now);
                self.world.apply(at, &entry);
            }
        }
        self.wake();
        self.world
            .shards
            .iter()
            .for_each(|shard| shard.check_invariants().unwrap());
    }

    /// No new commands: everything ends by itself, and units are where orders say they are.
    fn settle(&mut self) {
        for _ in 0..40 {
            self.world.deliver_all();
            self.world.pass(30_000);
            self.wake();
        }
        self.world.check();
        assert!(
            self.world.net.is_empty(),
            "messages without end: {:?}",
            self.world.net
        );
        let mut sold: BTreeMap<SkuName, u64> = BTreeMap::new();
        for shard in &self.world.shards {
            assert_eq!(shard.holds.rows().count(), 0, "a hold outlived its order");
            assert_eq!(shard.open_orders(), 0, "an order never ended");
            for (_, row) in shard.orders.iter() {
                assert!(!row.unsettled(), "an end was never acknowledged");
                if row.state == State::Confirmed {
                    for line in shard.order_view(row, false).lines {
                        *sold.entry(line.sku).or_default() += u64::from(line.qty);
                    }
                }
            }
        }
        let rows: u64 = self.world.shards.iter().map(Shard::order_rows).sum();
        let forgotten = (self.acknowledged.len() as u64) > rows;
        for view in self.world.shards.iter().flat_map(Shard::skus) {
            let expected = sold.get(&view.sku).copied().unwrap_or(0);
            assert!(
                view.sold == expected || forgotten && view.sold > expected,
                "{view:?}, orders say {expected}"
            );
            assert_eq!(view.held, 0);
        }
    }
}

fn live_through(shards: u16, steps: Vec<Step>, configure: impl Fn(&mut ShardConfig)) {
    let mut chaos = Chaos::new(shards, configure);
    for step in steps {
        chaos.step(step);
    }
    chaos.settle();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn whatever_happens_every_order_is_all_or_nothing_and_ends_once(shards in 3..5u16, steps in steps()) {
        live_through(shards, steps, |_| {});
    }
}

/// The checks above are worth something: each mistake made on purpose is found.
#[cfg(feature = "planted-bugs")]
mod planted {
    use super::*;
    use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

    fn is_found(bug: PlantedBug) {
        let config = Config {
            cases: 20_000,
            failure_persistence: None,
            max_shrink_iters: 0,
            ..Config::default()
        };
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let result = TestRunner::new_with_rng(config, rng).run(&(3..5u16, steps()), |(shards, steps)| {
            live_through(shards, steps, |config| config.planted = Some(bug));
            Ok(())
        });
        assert!(result.is_err(), "{bug:?} was not found");
    }

    #[test]
    fn a_confirmation_after_expiry_is_found() {
        is_found(PlantedBug::ConfirmAfterExpiry);
    }

    #[test]
    fn an_id_used_twice_is_found() {
        is_found(PlantedBug::IdReuseAfterClockStep);
    }

    #[test]
    fn an_abort_answer_that_does_not_bind_is_found() {
        is_found(PlantedBug::AbortAnswerDoesNotBind);
    }

    #[test]
    fn a_home_shard_that_forgets_early_is_found() {
        is_found(PlantedBug::HomeForgetsEarly);
    }

    #[test]
    fn a_dropped_tombstone_is_found() {
        is_found(PlantedBug::TombstoneDropped);
    }
}
