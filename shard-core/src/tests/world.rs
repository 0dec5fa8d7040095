//! A few shards, the messages between them, and logs from which each can be rebuilt.

use crate::command::*;
use crate::entry::Entry;
use crate::ids::*;
use crate::message::Message;
use crate::outcome::*;
use crate::shard::*;
use std::collections::BTreeMap;

pub(super) const START: Millis = Millis(EPOCH.0 + 1_000_000_000);

/// One shard or several; every entry goes through the codec.
pub(super) struct World {
    pub(super) now: Millis,
    pub(super) shards: Vec<Shard>,
    pub(super) logs: Vec<Vec<Vec<u8>>>,
    /// Messages under way: (from, to, message).
    pub(super) net: Vec<(ShardId, ShardId, Message)>,
    /// Answers to parked callers.
    pub(super) woken: BTreeMap<OrderId, Outcome>,
    pub(super) term: u64,
}

impl World {
    pub(super) fn new(shards: u16) -> World {
        World::with(shards, |_| {})
    }

    pub(super) fn with(shards: u16, configure: impl Fn(&mut ShardConfig)) -> World {
        let make = |id| {
            let mut config = ShardConfig::new(ShardId(id), shards);
            configure(&mut config);
            Shard::new(config)
        };
        let mut world = World {
            now: START,
            shards: (0..shards).map(make).collect(),
            logs: (0..shards).map(|_| Vec::new()).collect(),
            net: Vec::new(),
            woken: BTreeMap::new(),
            term: 0,
        };
        world.start_all();
        world
    }

    pub(super) fn start_all(&mut self) {
        self.term += 1;
        for at in 0..self.shards.len() {
            for entry in self.shards[at].start(self.now, self.term) {
                self.apply(at, &entry);
            }
        }
    }

    /// Logs and applies; everything is durable at once.
    pub(super) fn apply(&mut self, at: usize, entry: &Entry) {
        let mut bytes = Vec::new();
        entry.encode(&mut bytes);
        assert_eq!(
            Entry::decode(&bytes).as_ref(),
            Ok(entry),
            "the codec gives back what it got"
        );
        let shard = &mut self.shards[at];
        shard.check_digest(entry).unwrap();
        shard.apply(entry);
        shard.note_durable(shard.op());
        self.logs[at].push(bytes);
    }

    pub(super) fn carry_out(&mut self, at: usize, decision: Decision) -> Reply {
        if let Some(entry) = &decision.entry {
            self.apply(at, entry);
        }
        if let Some(wake) = decision.wake {
            self.woken.insert(wake.0, wake.1);
        }
        let from = ShardId(at as u16);
        self.net.extend(
            decision
                .sends
                .into_iter()
                .map(|(to, message)| (from, to, message)),
        );
        decision.reply
    }

    pub(super) fn ask(&mut self, command: Command) -> Reply {
        let at = usize::from(home_shard(&command, self.shards.len() as u16).0);
        let decision = self.shards[at].decide(self.now, Input::Command(&command));
        self.carry_out(at, decision)
    }

    /// A command whose answer comes at once, or after the messages it causes.
    pub(super) fn run(&mut self, command: Command) -> Outcome {
        match self.ask(command) {
            Reply::Now(outcome) => outcome,
            Reply::Park(order) => {
                self.deliver_all();
                self.woken.remove(&order).expect("a parked caller is woken")
            }
            Reply::None => panic!("a command is answered"),
        }
    }

    pub(super) fn deliver(&mut self, index: usize) {
        let (from, to, message) = self.net.remove(index);
        let at = usize::from(to.0);
        let decision = self.shards[at].decide(
            self.now,
            Input::Message {
                from,
                message: &message,
            },
        );
        self.carry_out(at, decision);
    }

    pub(super) fn deliver_all(&mut self) {
        while !self.net.is_empty() {
            self.deliver(0);
        }
    }

    /// Time passes; what is due happens, and its messages arrive.
    pub(super) fn pass(&mut self, ms: u64) {
        self.now = self.now.after(ms);
        self.tick();
        self.deliver_all();
    }

    pub(super) fn tick(&mut self) {
        for at in 0..self.shards.len() {
            while let Some(decision) = self.shards[at].poll_timer(self.now) {
                self.carry_out(at, decision);
            }
        }
        self.renew_leases();
    }

    pub(super) fn renew_leases(&mut self) {
        for at in 0..self.shards.len() {
            if let Some(entry) = self.shards[at].lease(self.now) {
                self.apply(at, &entry);
            }
        }
    }

    /// The process dies and its logs are replayed; messages are lost.
    pub(super) fn restart(&mut self) {
        self.net.clear();
        for at in 0..self.shards.len() {
            self.shards[at] = self.replayed(at);
        }
        self.start_all();
    }

    pub(super) fn replayed(&self, at: usize) -> Shard {
        let mut shard = Shard::new(self.shards[at].config.clone());
        for bytes in &self.logs[at] {
            let entry = Entry::decode(bytes).unwrap();
            shard.check_digest(&entry).unwrap();
            shard.apply(&entry);
        }
        shard
    }

    /// Invariants, and that logs and snapshots give the same state.
    pub(super) fn check(&self) {
        for (at, shard) in self.shards.iter().enumerate() {
            shard.check_invariants().unwrap();
            let replayed = self.replayed(at);
            assert_eq!(replayed.digest(), shard.digest(), "replay gives another digest");
            let (mut live, mut again, mut restored) = (Vec::new(), Vec::new(), Vec::new());
            shard.snapshot(&mut live);
            replayed.snapshot(&mut again);
            assert_eq!(live, again, "replay gives another state");
            let copy = Shard::restore(shard.config.clone(), &live).unwrap();
            copy.snapshot(&mut restored);
            assert_eq!(live, restored, "a snapshot gives another state");
        }
    }

    /// Stocked, available, held, sold.
    pub(super) fn stock(&self, sku: &str) -> [u64; 4] {
        let sku = name(sku);
        let shard = shard_of(&sku, self.shards.len() as u16);
        let view = self.shards[usize::from(shard.0)]
            .stock(&sku)
            .expect("the SKU exists");
        [view.stocked, view.available, view.held, view.sold]
    }

    pub(super) fn put(&mut self, sku: &str, stock: u64) {
        self.put_with(sku, stock, |_| {});
    }

    pub(super) fn put_with(&mut self, sku: &str, stock: u64, set: impl FnOnce(&mut PutSku)) {
        let mut put = PutSku::new(name(sku));
        put.price = Some(100);
        put.currency = Some(*b"CNY");
        put.stock = Some(stock);
        set(&mut put);
        let outcome = self.run(Command::PutSku(Box::new(put)));
        assert!(matches!(outcome, Outcome::Sku(_)), "{outcome:?}");
    }

    pub(super) fn place(&mut self, buyer: u8, key: u64, lines: &[(&str, u32)]) -> Outcome {
        self.run(place(buyer, key, lines))
    }

    /// Places an order that must be accepted.
    pub(super) fn placed(&mut self, buyer: u8, key: u64, lines: &[(&str, u32)]) -> OrderId {
        view(self.place(buyer, key, lines)).id
    }

    pub(super) fn read(&mut self, order: OrderId) -> OrderView {
        view(self.run(Command::ReadOrder {
            order,
            caller: Caller::Operator,
        }))
    }

    pub(super) fn confirm(&mut self, order: OrderId, charge: &str) -> Outcome {
        self.run(Command::Confirm {
            order,
            charge: self::charge(charge),
        })
    }

    pub(super) fn cancel(&mut self, order: OrderId) -> Outcome {
        self.run(Command::Cancel {
            order,
            caller: Caller::Operator,
        })
    }

    pub(super) fn start_payment(&mut self, order: OrderId, charge: &str) -> Outcome {
        self.run(Command::StartPayment {
            order,
            charge: self::charge(charge),
        })
    }

    pub(super) fn close_charge(&mut self, order: OrderId, charge: &str) -> Outcome {
        self.run(Command::CloseCharge {
            order,
            charge: self::charge(charge),
        })
    }
}

pub(super) fn name(text: &str) -> SkuName {
    text.parse().unwrap()
}

pub(super) fn charge(text: &str) -> ChargeId {
    text.parse().unwrap()
}

pub(super) fn buyer(number: u8) -> Buyer {
    Buyer([number; 16])
}

pub(super) fn key(buyer: u8, number: u64) -> KeyHash {
    let mut bytes = [buyer; 16];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    KeyHash(bytes)
}

pub(super) fn place(buyer: u8, number: u64, lines: &[(&str, u32)]) -> Command {
    let mut lines: Lines = lines
        .iter()
        .map(|(sku, qty)| Line {
            sku: name(sku),
            qty: *qty,
        })
        .collect();
    lines.sort_by_key(|line| line.sku);
    Command::Place(Place {
        buyer: self::buyer(buyer),
        subject: format!("user-{buyer}").into(),
        key: key(buyer, number),
        body: body_hash(&lines),
        lines,
    })
}

#[track_caller]
pub(super) fn view(outcome: Outcome) -> OrderView {
    match outcome {
        Outcome::Order(view) => view,
        other => panic!("not an order: {other:?}"),
    }
}

#[track_caller]
pub(super) fn refusal(outcome: Outcome) -> Refusal {
    match outcome {
        Outcome::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}
