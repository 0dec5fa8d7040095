//! What the tests stand on: a store in a scratch directory, the real state machine of one shard, and crashes at chosen moments.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use tidegate_shard_core::ids::EPOCH;
use tidegate_shard_core::{
    Buyer, Caller, ChargeId, Command, Decision, Input, KeyHash, Line, Lines, Millis, OrderId, OrderView,
    Outcome, Place, PutSku, Reply, Shard, ShardConfig, ShardId, body_hash,
};
use tokio::sync::Notify;

use crate::database::Database;
use crate::pay::{Asking, ChargeRequest, Doing, Notice, Payments, Provider, Simulated, Standing};
use crate::shards::{Asked, NotDecided, Shards};
use crate::store::Sqlite;
use crate::time::Clock;

/// A quarter of an hour: how long an order of the test shop may be paid.
pub const HOLD_MS: u64 = 15 * 60_000;

/// A moment at which the process dies, or a call is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The process dies before the call has an effect.
    CrashBefore,
    /// It dies after the effect, before the answer.
    CrashAfter,
    /// The call has its effect, and an error for an answer.
    AnswerLost,
    /// The call has no effect.
    NotDone,
}

/// Counts calls over the seams and breaks the chosen one.
#[derive(Debug, Default)]
pub struct Faults {
    countdown: AtomicI64,
    fault: Mutex<Option<Fault>>,
    /// The process is dead.
    pub crashed: Notify,
}

impl Faults {
    /// The `nth` call from now (0 is the next) breaks.
    pub fn plan(&self, nth: i64, fault: Option<Fault>) {
        self.countdown.store(nth, Ordering::SeqCst);
        *self.fault.lock().unwrap() = fault;
    }

    fn now(&self) -> Option<Fault> {
        let fault = *self.fault.lock().unwrap();
        fault.filter(|_| self.countdown.fetch_sub(1, Ordering::SeqCst) == 0)
    }

    async fn die<T>(&self) -> T {
        self.crashed.notify_one();
        std::future::pending().await
    }

    /// Does `call` as the plan says; `error` is the answer to one that was broken.
    async fn over<T, E>(
        &self,
        call: impl Future<Output = Result<T, E>>,
        error: impl Fn(bool) -> E,
    ) -> Result<T, E> {
        // A call over a process's edge lets others run.
        tokio::task::yield_now().await;
        let fault = self.now();
        match fault {
            Some(Fault::CrashBefore) => return self.die().await,
            Some(Fault::NotDone) => return Err(error(false)),
            _ => {}
        }
        let answer = call.await;
        tokio::task::yield_now().await;
        match fault {
            Some(Fault::CrashAfter) => self.die().await,
            Some(Fault::AnswerLost) => Err(error(true)),
            _ => answer,
        }
    }
}

/// One shard, and the wall clock.
pub struct OneShard {
    shard: Mutex<Shard>,
    now: AtomicU64,
    faults: Arc<Faults>,
}

impl OneShard {
    /// A shard without SKUs.
    pub fn new(faults: Arc<Faults>) -> OneShard {
        let start = EPOCH.after(1_000_000_000);
        let mut shard = Shard::new(ShardConfig::new(ShardId(0), 1));
        for entry in shard.start(start, 1) {
            apply(&mut shard, &entry);
        }
        OneShard {
            shard: Mutex::new(shard),
            now: AtomicU64::new(start.0),
            faults,
        }
    }

    /// The time.
    pub fn now(&self) -> Millis {
        Millis(self.now.load(Ordering::SeqCst))
    }

    /// Time passes, and what is due happens.
    pub fn pass(&self, ms: u64) {
        let now = Millis(self.now.fetch_add(ms, Ordering::SeqCst) + ms);
        let mut shard = self.shard.lock().unwrap();
        while let Some(decision) = shard.poll_timer(now) {
            if let Some(entry) = &decision.entry {
                apply(&mut shard, entry);
            }
        }
        if let Some(lease) = shard.lease(now) {
            apply(&mut shard, &lease);
        }
    }

    /// Asks without faults.
    pub fn run(&self, command: &Command) -> Outcome {
        let mut shard = self.shard.lock().unwrap();
        let Decision { entry, reply, .. } = shard.decide(self.now(), Input::Command(command));
        if let Some(entry) = &entry {
            apply(&mut shard, entry);
        }
        match reply {
            Reply::Now(outcome) => outcome,
            other => panic!("one shard answers at once, not {other:?}"),
        }
    }

    /// A SKU with so many units, at 100 a unit.
    pub fn stock(&self, sku: &str, units: u64) {
        let mut put = PutSku::new(sku.parse().unwrap());
        (put.price, put.currency, put.stock) = (Some(100), Some(*b"CNY"), Some(units));
        assert!(matches!(
            self.run(&Command::PutSku(Box::new(put))),
            Outcome::Sku(_)
        ));
    }

    /// An order of one unit, if there is one.
    pub fn place(&self, buyer: u8, key: u64, sku: &str) -> Option<OrderView> {
        let lines: Lines = [Line {
            sku: sku.parse().unwrap(),
            qty: 1,
        }]
        .into_iter()
        .collect();
        let mut hash = [buyer; 16];
        hash[..8].copy_from_slice(&key.to_le_bytes());
        let place = Place {
            buyer: Buyer([buyer; 16]),
            subject: format!("user-{buyer}").into(),
            key: KeyHash(hash),
            body: body_hash(&lines),
            lines,
        };
        match self.run(&Command::Place(place)) {
            Outcome::Order(view) => Some(view),
            _ => None,
        }
    }

    /// The order as it is.
    pub fn order(&self, order: OrderId) -> OrderView {
        match self.run(&Command::ReadOrder {
            order,
            caller: Caller::Operator,
        }) {
            Outcome::Order(view) => view,
            other => panic!("no order: {other:?}"),
        }
    }
}

fn apply(shard: &mut Shard, entry: &tidegate_shard_core::Entry) {
    shard.apply(entry);
    shard.note_durable(shard.op());
}

impl Shards for OneShard {
    fn ask(&self, command: Command) -> Asked<'_> {
        Box::pin(async move {
            self.faults
                .over(async { Ok(self.run(&command)) }, |done| match done {
                    true => NotDecided::Unknown,
                    false => NotDecided::NotDone,
                })
                .await
        })
    }
}

/// The provider `simulated` behind a network that breaks.
pub struct Unsteady {
    /// The provider itself.
    pub inner: Simulated,
    faults: Arc<Faults>,
}

impl Unsteady {
    async fn over<T>(&self, call: Doing<'_, T>) -> Result<T, crate::pay::ProviderError> {
        self.faults
            .over(call, |_| crate::pay::ProviderError::unreachable("a fault"))
            .await
    }
}

impl Provider for Unsteady {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn create<'a>(&'a self, request: &'a ChargeRequest) -> Doing<'a, String> {
        Box::pin(self.over(self.inner.create(request)))
    }

    fn query(&self, charge: ChargeId) -> Doing<'_, Standing> {
        Box::pin(self.over(self.inner.query(charge)))
    }

    fn close(&self, charge: ChargeId) -> Doing<'_, Standing> {
        Box::pin(self.over(self.inner.close(charge)))
    }

    fn refund(&self, charge: ChargeId) -> Doing<'_, ()> {
        Box::pin(self.over(self.inner.refund(charge)))
    }

    fn notice<'a>(&'a self, asking: Asking<'a>) -> Doing<'a, Notice> {
        self.inner.notice(asking)
    }
}

/// A store, a shard and payments.
pub struct Stand {
    _dir: TempDir,
    /// The store.
    pub database: Arc<Database>,
    /// The one shard.
    pub shard: Arc<OneShard>,
    /// The provider.
    pub provider: Arc<Unsteady>,
    /// Payments by it.
    pub payments: Arc<Payments>,
    /// What breaks when.
    pub faults: Arc<Faults>,
}

impl Stand {
    /// An empty shop.
    pub fn new() -> Stand {
        // In memory where there is such a place: hundreds of days are lived through, and none of them loses power.
        let dir = tempfile::tempdir_in("/dev/shm")
            .or_else(|_| tempfile::tempdir())
            .unwrap();
        let store = Sqlite::open(&dir.path().join("store.db")).unwrap();
        let database = store.database().clone();
        let rows = Arc::new(store);
        let faults = Arc::new(Faults::default());
        let shard = Arc::new(OneShard::new(faults.clone()));
        let clock: Clock = {
            let shard = shard.clone();
            Arc::new(move || shard.now())
        };
        let inner = Simulated::new(rows.clone(), clock.clone());
        let provider = Arc::new(Unsteady {
            inner,
            faults: faults.clone(),
        });
        let payments = Arc::new(Payments::new(rows, shard.clone(), provider.clone(), clock));
        Stand {
            _dir: dir,
            database,
            shard,
            provider,
            payments,
            faults,
        }
    }
}
