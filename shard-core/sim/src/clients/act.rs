//! What clients do.

use super::*;

impl World {
    /// A client goes on with what it is busy with, or thinks of something new.
    pub(crate) fn client_acts(&mut self, client: usize) -> Result<(), Broken> {
        if self.calm {
            return Ok(());
        }
        let task = match self.clients.tasks[client].take() {
            Some(task) => task,
            None => self.new_task(),
        };
        self.send(client, task);
        Ok(())
    }

    fn send(&mut self, client: usize, mut task: Task) {
        // Impatient clients send twice at once.
        let copies = if self.rng.percent(8) { 2 } else { 1 };
        let shard = home_shard(&task.command, self.plan.shards);
        for _ in 0..copies {
            self.clients.tickets += 1;
            let ticket = self.clients.tickets;
            task.ticket = ticket;
            let (command, wish, change) = (task.command.clone(), task.wish, task.change);
            self.clients.sent.insert(
                ticket,
                Sent {
                    client,
                    command,
                    wish,
                    change,
                    answered: false,
                },
            );
            let delay = self.rng.between(10, 2000);
            let patience = self.rng.between(100, 600) * MS;
            self.queue.plan(
                self.now + delay,
                Event::Request(ticket, shard, task.command.clone()),
            );
            self.queue.plan(self.now + patience, Event::Timeout(ticket));
            self.figures.requests += 1;
        }
        self.clients.tasks[client] = Some(task);
    }

    fn new_task(&mut self) -> Task {
        if let Some(nth) = self.clients.unopened.pop() {
            let command = put(&self.clients.skus[nth]);
            return Task {
                opens: Some(nth),
                ..task(command)
            };
        }
        match self.rng.below(100) {
            0..50 => self.new_wish(),
            50..58 => self.repeat_wish(),
            58..66 => self.change_stock(),
            66..70 => task(Command::ReadStock { sku: self.any_sku() }),
            70..72 => task(Command::ReadSku { sku: self.any_sku() }),
            72..75 => self.adjust_sku(),
            _ => self.about_order(),
        }
    }

    /// An operator sets a field: the stock, which is absolute and may be refused, the price, or a pause.
    fn adjust_sku(&mut self) -> Task {
        let mut put = PutSku::new(self.any_sku());
        match self.rng.below(3) {
            0 => put.stock = Some(self.rng.between(0, 50)),
            1 => put.price = Some(self.rng.between(1, 500)),
            _ => put.paused = Some(self.rng.percent(30)),
        }
        task(Command::PutSku(Box::new(put)))
    }

    /// After the clients have stopped, operators cancel some orders and set a price of every SKU.
    pub(crate) fn operators_work(&mut self) {
        for _ in 0..5 {
            let wish = self.recent_wish().map(|nth| &self.clients.wishes[nth]);
            if let Some(order) = wish.and_then(|wish| wish.promised) {
                let caller = Caller::Operator;
                self.send(0, task(Command::Cancel { order, caller }));
            }
        }
        for nth in 0..self.clients.skus.len() {
            let mut put = PutSku::new(self.clients.skus[nth].name);
            put.price = Some(self.rng.between(1, 500));
            self.send(0, task(Command::PutSku(Box::new(put))));
        }
    }

    fn any_sku(&mut self) -> SkuName {
        self.clients.skus[self.rng.index(self.clients.skus.len())].name
    }

    fn new_wish(&mut self) -> Task {
        let nth = self.clients.wishes.len();
        let mut lines = Lines::new();
        let count = if self.rng.percent(50) {
            1
        } else {
            self.rng.between(2, 4)
        };
        for _ in 0..count {
            let sku = self.any_sku();
            if lines.iter().all(|line| line.sku != sku) {
                lines.push(Line {
                    sku,
                    qty: self.rng.between(1, 3) as u32,
                });
            }
        }
        lines.sort_by_key(|line| line.sku);
        let buyer = Buyer([self.rng.below(20) as u8; 16]);
        let key = KeyHash((nth as u128).to_le_bytes());
        self.clients.wishes.push(Wish {
            key,
            buyer,
            lines,
            promised: None,
            promised_at: None,
            unknown: false,
            charges: 0,
        });
        self.place(nth)
    }

    fn place(&self, nth: usize) -> Task {
        let wish = &self.clients.wishes[nth];
        let place = Place {
            buyer: wish.buyer,
            subject: "buyer".into(),
            key: wish.key,
            body: body_hash(&wish.lines),
            lines: wish.lines.clone(),
        };
        Task {
            wish: Some(nth),
            ..task(Command::Place(place))
        }
    }

    fn repeat_wish(&mut self) -> Task {
        match self.recent_wish() {
            Some(nth) => self.place(nth),
            None => self.new_wish(),
        }
    }

    fn recent_wish(&mut self) -> Option<usize> {
        let wishes = self.clients.wishes.len();
        (wishes > 0).then(|| wishes - 1 - self.rng.index(wishes.min(40)))
    }

    fn change_stock(&mut self) -> Task {
        let nth = self.clients.changes.len();
        let mut key = [0xCC; 16];
        key[..8].copy_from_slice(&(nth as u64).to_le_bytes());
        let key = KeyHash(key);
        self.clients.changes.push(Change { key, done: false });
        let delta = self.rng.between(0, 12) as i64 - 3;
        let change = ChangeStock {
            sku: self.any_sku(),
            delta,
            reason: "count".into(),
            key,
        };
        Task {
            change: Some(nth),
            ..task(Command::ChangeStock(Box::new(change)))
        }
    }

    /// Something about an order that was promised: look, cancel, pay, pay again, pay late.
    fn about_order(&mut self) -> Task {
        let Some(nth) = self.recent_wish() else {
            return self.new_wish();
        };
        let wish = &mut self.clients.wishes[nth];
        let Some(order) = wish.promised else {
            return self.place(nth);
        };
        let caller = if self.rng.percent(80) {
            Caller::Buyer(wish.buyer)
        } else {
            Caller::Operator
        };
        let choice = self.rng.below(100);
        if (30..50).contains(&choice) && self.rng.percent(70) {
            wish.charges += 1;
        }
        let nth_charge = if self.rng.percent(80) {
            wish.charges
        } else {
            self.rng.below(wish.charges + 1)
        };
        let charge = ChargeId::parse(format!("c{nth}-{nth_charge}").as_bytes()).expect("a short name");
        task(match choice {
            0..15 => Command::ReadOrder { order, caller },
            15..30 => Command::Cancel { order, caller },
            30..50 => Command::StartPayment { order, charge },
            50..90 => Command::Confirm { order, charge },
            _ => Command::CloseCharge { order, charge },
        })
    }
}

fn task(command: Command) -> Task {
    Task {
        command,
        wish: None,
        change: None,
        opens: None,
        ticket: 0,
    }
}

fn put(sku: &Sku) -> Command {
    let put = PutSku {
        price: Some(100),
        currency: Some(sku.currency),
        stock: Some(sku.stock),
        buyer_limit: Some(sku.limit),
        sale_end: Some(sku.sale_end),
        hold_ms: Some(sku.hold_ms),
        ..PutSku::new(sku.name)
    };
    Command::PutSku(Box::new(put))
}
