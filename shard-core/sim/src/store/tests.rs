use super::*;
use tidegate_follow::Store as _;
use tidegate_shard_core::entry::{Effect, Ending, Placed};
use tidegate_shard_core::{BodyHash, Buyer, KeyHash, Line, Millis, OrderStatus, ShardId, SkuName};

fn order() -> OrderId {
    OrderId::new(Millis(1_764_000_000_000), ShardId(3), 0)
}

/// An order, and its end.
fn records() -> [Record; 2] {
    let line = Line {
        sku: SkuName::parse(b"SKU-1").unwrap(),
        qty: 2,
    };
    let placed = Effect::Placed(Placed {
        order: order(),
        buyer: Buyer([1; 16]),
        subject: "alice".into(),
        key: KeyHash([2; 16]),
        body: BodyHash(3),
        lines: [line].into_iter().collect(),
        total: 2000,
        currency: *b"CNY",
        hold_ms: 900_000,
    });
    let ended = Effect::Ended {
        order: order(),
        ending: Ending::Cancelled,
    };
    [(1, placed), (2, ended)].map(|(op, effect)| {
        let mut payload = Vec::new();
        Entry::new(Millis(op), effect).encode(&mut payload);
        Record {
            shard: 3,
            op,
            previous: (op - 1) * 10,
            chain: op * 10,
            payload: payload.into(),
        }
    })
}

/// A store whose transactions all go one way.
fn store(rolled_back: u64, lost_answers: u64, deaths: u64) -> Store {
    let faults = StoreFaults {
        rolled_back,
        lost_answers,
        deaths,
    };
    Store::new(faults, Rng::new(1), Planted::None)
}

/// Status and steps of the order, and the shard's mark.
fn seen(store: &Store) -> (Option<OrderStatus>, usize, u64) {
    let status = store.rows().get(order()).and_then(|row| row.status);
    (status, store.history(order()).len(), store.mark(3).op)
}

#[test]
fn a_transaction_that_is_rolled_back_leaves_neither_rows_nor_marks() {
    let mut store = store(100, 0, 0);
    assert!(store.apply(&records()).is_err());
    assert_eq!(seen(&store), (None, 0, 0));
    store.calm = true;
    store.apply(&records()).unwrap();
    assert_eq!(seen(&store), (Some(OrderStatus::Cancelled), 2, 2));
}

#[test]
fn a_commit_whose_answer_is_lost_has_written_all_and_is_known_when_it_comes_again() {
    let mut store = store(0, 100, 0);
    for _ in 0..2 {
        assert!(matches!(
            store.apply(&records()),
            Err(StoreError::Failed(Trouble::AnswerLost))
        ));
        assert_eq!(seen(&store), (Some(OrderStatus::Cancelled), 2, 2));
    }
    assert!(store.take_broken().is_none());
}

#[test]
fn a_store_that_died_or_stopped_takes_nothing_until_it_runs_again() {
    let mut store = store(0, 0, 100);
    assert!(store.apply(&records()[..1]).is_err());
    let left = seen(&store);
    assert!(matches!(
        store.apply(&records()),
        Err(StoreError::Failed(Trouble::Stopped))
    ));
    (store.stopped, store.calm) = (true, true);
    store.revive();
    assert!(store.apply(&records()).is_err());
    assert_eq!(seen(&store), left);
    store.stopped = false;
    store.apply(&records()).unwrap();
    assert_eq!(seen(&store), (Some(OrderStatus::Cancelled), 2, 2));
}

#[test]
fn a_step_that_is_written_twice_is_noticed() {
    let mut store = store(0, 0, 0);
    store.apply(&records()).unwrap();
    let [_, ended] = records();
    let entry = Entry::decode(&ended.payload).unwrap();
    store.commit(vec![(2, 3, entry)], vec![ended.mark()]);
    assert!(store.take_broken().is_some_and(|broken| broken.contains("op 2")));
}
