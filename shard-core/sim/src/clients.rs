//! Clients that remember every answer, repeat what was not answered, and misbehave as people and networks do.

use std::collections::HashMap;

use tidegate_node::{Answer, Unavailable};
use tidegate_shard_core::{
    Buyer, Caller, ChangeStock, ChargeId, Command, KeyHash, Line, Lines, Op, OrderId, OrderView, Outcome,
    Place, PutSku, Refusal, SkuName, body_hash, home_shard,
};

use crate::audit::Audit;
use crate::plan::{BEGINNING, MS, Plan};
use crate::queue::Event;
use crate::rng::Rng;
use crate::store::Store;
use crate::world::{Broken, World};

mod act;

/// A SKU of the simulated shop.
#[derive(Clone, Debug)]
pub struct Sku {
    /// Its name.
    pub name: SkuName,
    /// Units at the beginning.
    pub stock: u64,
    /// Units a buyer may have; never changed.
    pub limit: Option<u32>,
    /// When its sale ends; it never begins again.
    pub sale_end: Option<tidegate_shard_core::Millis>,
    hold_ms: u32,
    currency: [u8; 3],
}

/// An order that a client wants, under one key.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Its key.
    pub key: KeyHash,
    buyer: Buyer,
    lines: Lines,
    /// The order that was promised under the key.
    pub promised: Option<OrderId>,
    /// The op of the first answer that promised it.
    promised_at: Option<Op>,
    /// Some attempt had no answer that says "nothing was made".
    pub unknown: bool,
    charges: u64,
}

/// A change of stock that an operator wants, under one key.
#[derive(Clone, Debug)]
pub struct Change {
    /// Its key.
    pub key: KeyHash,
    /// It was answered with the new stock.
    pub done: bool,
}

/// A request that has no answer yet.
struct Sent {
    client: usize,
    command: Command,
    wish: Option<usize>,
    change: Option<usize>,
    answered: bool,
}

/// What a client is busy with: a request that it repeats until it is answered.
#[derive(Clone)]
struct Task {
    command: Command,
    wish: Option<usize>,
    change: Option<usize>,
    /// The SKU that it puts on sale.
    opens: Option<usize>,
    ticket: u64,
}

/// All clients.
pub struct Clients {
    /// The shop's SKUs.
    pub skus: Vec<Sku>,
    /// All orders anyone wanted.
    pub wishes: Vec<Wish>,
    changes: Vec<Change>,
    tasks: Vec<Option<Task>>,
    sent: HashMap<u64, Sent>,
    tickets: u64,
    /// SKUs that were not put on sale yet.
    unopened: Vec<usize>,
}

impl Clients {
    /// The shop and its clients.
    pub fn new(plan: &Plan, rng: &mut Rng) -> Clients {
        let skus: Vec<Sku> = (0..plan.skus).map(|nth| Sku::new(nth, rng)).collect();
        Clients {
            unopened: (0..skus.len()).collect(),
            skus,
            wishes: Vec::new(),
            changes: Vec::new(),
            tasks: vec![None; plan.clients],
            sent: HashMap::new(),
            tickets: 0,
        }
    }

    /// What the clients were told is what there is.
    pub fn finish(&self, audit: &Audit, store: &Store) -> Result<(), Broken> {
        for wish in &self.wishes {
            let order = audit.order_of(&wish.key);
            let row = wish.promised.and_then(|promised| store.rows().get(promised));
            if wish.promised.is_some()
                && row.is_none_or(|row| (row.buyer, &row.lines) != (wish.buyer, &wish.lines))
            {
                return Err(format!("{wish:?} was promised, and the store has {row:?}"));
            }
            match (wish.promised, order) {
                (Some(promised), found) if found != Some(promised) => {
                    return Err(format!("order {promised} was promised, and there is {found:?}"));
                }
                (None, Some(found)) if !wish.unknown => {
                    return Err(format!(
                        "every attempt was answered \"nothing was made\", and there is {found}"
                    ));
                }
                _ => {}
            }
        }
        let undone = |change: &&Change| change.done && audit.changes_of(&change.key) != 1;
        if let Some(change) = self.changes.iter().find(undone) {
            return Err(format!(
                "a change of stock was done {} times",
                audit.changes_of(&change.key)
            ));
        }
        audit.check_limits(&self.skus)
    }
}

impl Sku {
    fn new(nth: usize, rng: &mut Rng) -> Sku {
        let name = if rng.percent(20) {
            format!("G{}:{nth}", nth / 3)
        } else {
            format!("S{nth}")
        };
        Sku {
            name: SkuName::parse(name.as_bytes()).expect("a short name"),
            stock: rng.between(2, 40),
            limit: rng.percent(30).then(|| rng.between(1, 5) as u32),
            sale_end: rng.percent(25).then(|| BEGINNING.after(rng.between(200, 2_500))),
            hold_ms: [120, 400, 900, 60_000, 600_000][rng.index(5)],
            currency: if rng.percent(5) { *b"EUR" } else { *b"CNY" },
        }
    }
}

impl World {
    /// A client hears an answer, or waited too long for it.
    pub(crate) fn client_hears(&mut self, ticket: u64, answer: Option<Answer>) -> Result<(), Broken> {
        let Some(sent) = self.clients.sent.get_mut(&ticket) else {
            return Ok(());
        };
        if std::mem::replace(&mut sent.answered, true) {
            return Ok(());
        }
        let (client, wish, change) = (sent.client, sent.wish, sent.change);
        let nothing_made = self.learn(wish, change, answer.as_ref())?;
        let waits = self.clients.tasks[client]
            .as_ref()
            .is_some_and(|task| task.ticket == ticket);
        if !waits {
            return Ok(());
        }
        let think = self.rng.between(self.plan.think_us.0, self.plan.think_us.1);
        let settled = matches!(&answer, Some(Answer::Decided(outcome)) if !is_unsettled(outcome));
        // Some give up; what is not known then stays unknown.
        if settled || (nothing_made && self.rng.percent(50)) || self.rng.percent(5) {
            let task = self.clients.tasks[client].take();
            if !settled && let Some(sku) = task.and_then(|task| task.opens) {
                self.clients.unopened.push(sku);
            }
        }
        self.queue.plan(self.now + think, Event::Client(client));
        Ok(())
    }

    /// What an answer (or its lack) says about a wish; true: the request made nothing.
    fn learn(
        &mut self,
        wish: Option<usize>,
        change: Option<usize>,
        answer: Option<&Answer>,
    ) -> Result<bool, Broken> {
        let nothing_made = match answer {
            None => false,
            Some(Answer::Unavailable(why)) => why.reserved() == Some(false),
            Some(Answer::Decided(Outcome::Refused(refusal))) => refusal.reserved() == Some(false),
            Some(Answer::Decided(_)) => false,
        };
        if let (Some(change), Some(Answer::Decided(Outcome::Stock(_) | Outcome::Sku(_)))) = (change, answer) {
            self.clients.changes[change].done = true;
        }
        let Some(wish) = wish.map(|wish| &mut self.clients.wishes[wish]) else {
            return Ok(nothing_made);
        };
        match answer {
            Some(Answer::Decided(Outcome::Order(view))) => wish.promise(view)?,
            Some(Answer::Decided(Outcome::Refused(Refusal::KeyReused))) => {
                return Err("a repeat of the same request was taken for another".to_owned());
            }
            _ => wish.unknown |= !nothing_made,
        }
        Ok(nothing_made)
    }

    /// The machine was down: the request was never sent.
    pub(crate) fn client_refused_connection(&mut self, ticket: u64) -> Result<(), Broken> {
        self.client_hears(ticket, Some(Answer::Unavailable(Unavailable::NotStarted)))
    }

    /// All connections are cut; clients notice soon.
    pub(crate) fn clients_cut_off(&mut self) {
        let mut open: Vec<u64> = self
            .clients
            .sent
            .iter()
            .filter(|(_, sent)| !sent.answered)
            .map(|(&ticket, _)| ticket)
            .collect();
        open.sort_unstable();
        for ticket in open {
            let at = self.now + self.rng.between(1, 20 * MS);
            self.queue.plan(at, Event::Timeout(ticket));
        }
    }

    /// An answer leaves the machine, whether its client gets it or not.
    pub(crate) fn client_answered(&mut self, ticket: u64, op: Op, answer: &Answer) -> Result<(), Broken> {
        let sent = self.clients.sent.get(&ticket).ok_or("an answer to no request")?;
        if let (Some(wish), Answer::Decided(outcome)) = (sent.wish, answer) {
            self.clients.wishes[wish].decided(op, outcome)?;
        }
        let shard = home_shard(&sent.command, self.plan.shards);
        match answer {
            Answer::Decided(outcome) => self.audit.answered(shard, op, &sent.command, outcome),
            Answer::Unavailable(_) => Ok(()),
        }
    }
}

impl Wish {
    /// A shard answered: once an order stands under a key, no later answer to a repeat may deny it.
    fn decided(&mut self, op: Op, outcome: &Outcome) -> Result<(), Broken> {
        match outcome {
            Outcome::Order(_) => {
                let first = self.promised_at.get_or_insert(op);
                *first = op.min(*first);
            }
            Outcome::Refused(Refusal::Busy | Refusal::TryAgain | Refusal::Bound(_)) => {}
            Outcome::Refused(refusal) if self.promised_at.is_some_and(|first| first <= op) => {
                return Err(format!(
                    "a repeat of order {:?} was refused: {refusal:?}",
                    self.promised
                ));
            }
            _ => {}
        }
        Ok(())
    }

    fn promise(&mut self, view: &OrderView) -> Result<(), Broken> {
        if view.lines != self.lines {
            return Err(format!("order {} has other lines than were asked for", view.id));
        }
        match self.promised.replace(view.id) {
            Some(before) if before != view.id => {
                Err(format!("one key got order {before} and order {}", view.id))
            }
            _ => Ok(()),
        }
    }
}

/// The request was not carried out, but may be a moment later.
fn is_unsettled(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Refused(Refusal::Busy | Refusal::TryAgain | Refusal::Bound(_))
    )
}
