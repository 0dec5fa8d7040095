//! A shop of a few real shards that logs what it does, as the feed would hand it out.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};

use tidegate_follow::Record;
use tidegate_shard_core::ids::EPOCH;
use tidegate_shard_core::{
    Buyer, Caller, ChangeStock, ChargeId, Command, Decision, Entry, Input, KeyHash, Line, Lines, Message,
    Millis, OrderId, Outcome, Place, PutSku, Reply, Shard, ShardConfig, ShardId, SkuName, body_hash,
    home_shard,
};

/// Enough that some pairs of SKUs lie on different shards.
const SKUS: u64 = 12;
const BUYERS: u64 = 5;
const MINUTE_MS: u64 = 60_000;

/// Shards, the messages between them, and everything that they logged.
pub struct Shop {
    now: Millis,
    shards: Vec<Shard>,
    net: Vec<(ShardId, ShardId, Message)>,
    woken: HashMap<OrderId, Outcome>,
    random: u64,
    keys: u64,
    chains: Vec<u64>,
    open: Vec<OrderId>,
    /// In the order in which it became durable, shards interleaved.
    pub log: Vec<Record>,
}

impl Shop {
    /// A shop with SKUs, at the beginning of its time. The same seed does the same things.
    pub fn new(shards: u16, seed: u64) -> Shop {
        let mut shop = Shop {
            now: Millis(EPOCH.0 + 1_000_000_000),
            shards: (0..shards)
                .map(|id| Shard::new(ShardConfig::new(ShardId(id), shards)))
                .collect(),
            net: Vec::new(),
            woken: HashMap::new(),
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            keys: 0,
            chains: vec![0; usize::from(shards)],
            open: Vec::new(),
            log: Vec::new(),
        };
        for at in 0..usize::from(shards) {
            for entry in shop.shards[at].start(shop.now, 1) {
                shop.apply(at, &entry);
            }
        }
        for sku in 0..SKUS {
            shop.put_sku(sku);
        }
        shop
    }

    /// Does one thing of those that a day brings.
    pub fn act(&mut self) {
        match self.below(20) {
            0..=8 => _ = self.place(),
            9..=12 => self.pay(),
            13 | 14 => self.cancel(),
            15 => self.pay_late(),
            16 => self.put_sku_at_random(),
            17 => self.change_stock(),
            _ => {
                let ms = self.below(2 * MINUTE_MS);
                self.pass(ms);
            }
        }
    }

    /// An order of one or two lines, if it is accepted.
    pub fn place(&mut self) -> Option<OrderId> {
        let (first, second) = (self.below(SKUS), self.below(SKUS));
        let mut skus = vec![sku(first)];
        if first != second && self.below(2) == 0 {
            skus.push(sku(second));
        }
        skus.sort();
        let lines: Lines = skus
            .into_iter()
            .map(|sku| Line {
                sku,
                qty: 1 + (self.keys % 3) as u32,
            })
            .collect();
        let buyer = self.below(BUYERS);
        let place = Place {
            buyer: Buyer([buyer as u8; 16]),
            subject: format!("käufer-{buyer}-🦀").into(),
            key: self.key(),
            body: body_hash(&lines),
            lines,
        };
        let Outcome::Order(view) = self.run(&Command::Place(place)) else {
            return None;
        };
        self.open.push(view.id);
        Some(view.id)
    }

    /// Some open order is paid.
    pub fn pay(&mut self) {
        if let Some(order) = self.some_open() {
            let charge = self.charge();
            self.run(&Command::StartPayment { order, charge });
            self.run(&Command::Confirm { order, charge });
        }
    }

    /// Some open order is cancelled.
    pub fn cancel(&mut self) {
        if let Some(order) = self.some_open() {
            let caller = Caller::Operator;
            self.run(&Command::Cancel { order, caller });
        }
    }

    /// Some open order is paid after its deadline, or after its buyer did not want it any more.
    fn pay_late(&mut self) {
        if let Some(order) = self.some_open() {
            let charge = self.charge();
            if self.below(2) == 0 {
                let caller = Caller::Operator;
                self.run(&Command::Cancel { order, caller });
            } else {
                self.run(&Command::StartPayment { order, charge });
                self.pass(20 * MINUTE_MS);
            }
            self.run(&Command::Confirm { order, charge });
        }
    }

    fn put_sku_at_random(&mut self) {
        let sku = self.below(SKUS);
        self.put_sku(sku);
    }

    fn put_sku(&mut self, number: u64) {
        let mut put = PutSku::new(sku(number));
        (put.price, put.currency) = (Some(100 + self.below(900)), Some(*b"CNY"));
        put.name = Some(format!("Nummer {number} — 好").into());
        // A few are scarce, so that some orders cannot gather what they want.
        put.stock = Some(if number % 4 == 3 { 5 } else { 1_000_000_000 });
        put.sale_start = Some(number.is_multiple_of(2).then_some(EPOCH));
        self.run(&Command::PutSku(Box::new(put)));
    }

    fn change_stock(&mut self) {
        let number = self.below(SKUS);
        let change = ChangeStock {
            sku: sku(number),
            delta: 1 + self.below(50) as i64,
            reason: "delivery".into(),
            key: self.key(),
        };
        self.run(&Command::ChangeStock(Box::new(change)));
    }

    /// Time passes, and what is due happens.
    pub fn pass(&mut self, ms: u64) {
        self.now = self.now.after(ms);
        for at in 0..self.shards.len() {
            while let Some(decision) = self.shards[at].poll_timer(self.now) {
                self.carry_out(at, decision);
            }
            if let Some(lease) = self.shards[at].lease(self.now) {
                self.apply(at, &lease);
            }
        }
        self.deliver();
    }

    /// Asks the shard that the command belongs to.
    fn run(&mut self, command: &Command) -> Outcome {
        let at = usize::from(home_shard(command, self.shards.len() as u16).0);
        let decision = self.shards[at].decide(self.now, Input::Command(command));
        let reply = self.carry_out(at, decision);
        self.deliver();
        match reply {
            Reply::Now(outcome) => outcome,
            Reply::Park(order) => self.woken.remove(&order).expect("a parked caller is woken"),
            Reply::None => panic!("a command is answered"),
        }
    }

    fn deliver(&mut self) {
        while !self.net.is_empty() {
            let (from, to, message) = self.net.remove(0);
            let at = usize::from(to.0);
            let message = &message;
            let decision = self.shards[at].decide(self.now, Input::Message { from, message });
            self.carry_out(at, decision);
        }
    }

    fn carry_out(&mut self, at: usize, decision: Decision) -> Reply {
        if let Some(entry) = &decision.entry {
            self.apply(at, entry);
        }
        if let Some(wake) = decision.wake {
            self.woken.insert(wake.0, wake.1);
        }
        let from = ShardId(at as u16);
        let sends = decision.sends.into_iter();
        self.net.extend(sends.map(|(to, message)| (from, to, message)));
        decision.reply
    }

    fn apply(&mut self, at: usize, entry: &Entry) {
        let shard = &mut self.shards[at];
        shard.apply(entry);
        shard.note_durable(shard.op());
        let mut payload = Vec::new();
        entry.encode(&mut payload);
        let previous = self.chains[at];
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(previous);
        hasher.write(&payload);
        let chain = hasher.finish();
        self.chains[at] = chain;
        self.log.push(Record {
            shard: at as u16,
            op: self.shards[at].op().0,
            previous,
            chain,
            payload: payload.into(),
        });
    }

    fn some_open(&mut self) -> Option<OrderId> {
        let open = self.open.len() as u64;
        (open > 0).then(|| {
            let at = self.below(open) as usize;
            self.open.swap_remove(at)
        })
    }

    fn charge(&mut self) -> ChargeId {
        self.keys += 1;
        let word = format!("charge-\"{}\"", self.keys);
        word.parse().expect("a charge's name")
    }

    fn key(&mut self) -> KeyHash {
        self.keys += 1;
        let mut key = [7; 16];
        key[..8].copy_from_slice(&self.keys.to_le_bytes());
        KeyHash(key)
    }

    /// A number below `bound`: xorshift, since a seed must give the same shop for ever.
    fn below(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 16) % bound
    }
}

/// A SKU of the shop.
pub fn sku(number: u64) -> SkuName {
    format!("SKU-{number}").parse().expect("a SKU's name")
}
