//! A shop in memory that speaks the API over cleartext HTTP/1.1, with a switch for planted faults: what the verifier must catch.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// What is wrong with the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Nothing either, but every 50th answer to an order is lost on the way.
    LosesAnswers,
    /// The 100th order is acknowledged and forgotten.
    LosesOrder,
    /// The 100th order does not take its units, so that they are sold again.
    SellsTwice,
    /// The 100th order gets the id of the one before.
    RepeatsId,
    /// Answers are lost, and the key of an order whose answer was lost is forgotten.
    ForgetsKey,
    /// The 100th order keeps only its first line.
    HalfAnOrder,
    /// The 100th order is refused as sold out while there is plenty.
    FalseSoldOut,
    /// A cancel is acknowledged and does nothing.
    IgnoresCancel,
}

#[derive(Clone)]
struct Order {
    id: u64,
    user: String,
    status: &'static str,
    lines: Vec<(String, u64)>,
}

#[derive(Default)]
struct Sku {
    stocked: u64,
    held: u64,
    sold: u64,
    op: u64,
}

struct Shop {
    fault: Fault,
    skus: HashMap<String, Sku>,
    orders: HashMap<u64, Order>,
    keys: HashMap<(String, String), u64>,
    next_id: u64,
    placed: u64,
}

/// Starts a shop whose SKUs have `stock` units each; it lives as long as the test's process.
pub fn start(fault: Fault, skus: &[&str], stock: u64) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("bound");
    let sku = |name: &&str| {
        (
            (*name).to_string(),
            Sku {
                stocked: stock,
                ..Sku::default()
            },
        )
    };
    let shop = Shop {
        fault,
        skus: skus.iter().map(sku).collect(),
        orders: HashMap::new(),
        keys: HashMap::new(),
        next_id: 1 << 22,
        placed: 0,
    };
    let shop = Arc::new(Mutex::new(shop));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let shop = shop.clone();
            std::thread::spawn(move || serve(&shop, stream));
        }
    });
    addr
}

struct Asked {
    method: String,
    path: String,
    user: String,
    key: String,
    body: Value,
}

fn read(from: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut line = String::new();
    from.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?.to_string(), words.next()?.to_string());
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        from.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_string(), value.to_string());
    }
    let mut take = |name: &str| headers.remove(name).unwrap_or_default();
    let length = take("content-length").parse().unwrap_or(0);
    let mut body = vec![0; length];
    from.read_exact(&mut body).ok()?;
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Some(Asked {
        method,
        path,
        user: take("x-forwarded-for"),
        key: take("idempotency-key"),
        body,
    })
}

fn serve(shop: &Mutex<Shop>, stream: TcpStream) {
    let Ok(mut out) = stream.try_clone() else { return };
    let mut from = BufReader::new(stream);
    while let Some(asked) = read(&mut from) {
        let answer = shop.lock().expect("no panic in the shop").answer(&asked);
        let Some((status, body)) = answer else { return };
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        if out.write_all(head.as_bytes()).is_err() {
            return;
        }
    }
}

impl Shop {
    /// `None`: the answer is lost.
    fn answer(&mut self, asked: &Asked) -> Option<(u16, Value)> {
        let parts: Vec<&str> = asked.path.split('/').skip(2).collect();
        match (asked.method.as_str(), parts.as_slice()) {
            ("POST", ["orders"]) => self.place(asked),
            ("GET", ["orders", id]) => Some(self.order(id, &asked.user)),
            ("POST", ["orders", id, "cancel"]) => Some(self.end(id, "cancelled")),
            ("POST", ["orders", id, "confirm"]) => Some(self.end(id, "confirmed")),
            ("GET", ["stock" | "skus", name]) => Some(self.stock(name)),
            _ => Some((404, json!({ "code": "not_found" }))),
        }
    }

    fn stock(&self, name: &str) -> (u16, Value) {
        let Some(s) = self.skus.get(name) else {
            return (404, json!({ "code": "unknown_sku" }));
        };
        let available = s.stocked - s.held - s.sold;
        (
            200,
            json!({ "sku": name, "stocked": s.stocked, "available": available, "held": s.held, "sold": s.sold, "op": s.op }),
        )
    }

    fn place(&mut self, asked: &Asked) -> Option<(u16, Value)> {
        let key = (asked.user.clone(), asked.key.clone());
        if let Some(order) = self.keys.get(&key).and_then(|id| self.orders.get(id)) {
            return Some((201, view(order)));
        }
        let mut lines: Vec<(String, u64)> = asked.body["lines"].as_array()?.iter().map(line).collect();
        if lines.iter().any(|(sku, qty)| {
            self.skus
                .get(sku)
                .is_none_or(|s| s.held + s.sold + qty > s.stocked)
        }) {
            return Some((409, json!({ "code": "sold_out" })));
        }
        self.placed += 1;
        let is_it = self.placed == 100;
        match self.fault {
            Fault::FalseSoldOut if is_it => return Some((409, json!({ "code": "sold_out" }))),
            Fault::HalfAnOrder if is_it => lines.truncate(1),
            _ => {}
        }
        if !(self.fault == Fault::RepeatsId && is_it) {
            self.next_id += 1;
        }
        let order = Order {
            id: self.next_id,
            user: asked.user.clone(),
            status: "pending",
            lines,
        };
        let answer = view(&order);
        if self.fault == Fault::LosesOrder && is_it {
            return Some((201, answer));
        }
        for (sku, qty) in &order.lines {
            let s = self.skus.get_mut(sku)?;
            s.held += if self.fault == Fault::SellsTwice && is_it {
                0
            } else {
                *qty
            };
            s.op += 1;
        }
        self.orders.insert(order.id, order);
        let loses =
            matches!(self.fault, Fault::LosesAnswers | Fault::ForgetsKey) && self.placed.is_multiple_of(50);
        if !(loses && self.fault == Fault::ForgetsKey) {
            self.keys.insert(key, self.next_id);
        }
        if loses { None } else { Some((201, answer)) }
    }

    fn order(&self, id: &str, user: &str) -> (u16, Value) {
        let order = id
            .parse()
            .ok()
            .and_then(|id: u64| self.orders.get(&id))
            .filter(|o| o.user == user);
        order.map_or((404, json!({ "code": "unknown_order" })), |o| (200, view(o)))
    }

    fn end(&mut self, id: &str, status: &'static str) -> (u16, Value) {
        let order = id.parse().ok().and_then(|id: u64| self.orders.get_mut(&id));
        let Some(order) = order else {
            return (404, json!({ "code": "unknown_order" }));
        };
        if order.status == "pending" && !(self.fault == Fault::IgnoresCancel && status == "cancelled") {
            order.status = status;
            for (sku, qty) in &order.lines {
                if let Some(s) = self.skus.get_mut(sku) {
                    s.held -= qty;
                    s.sold += if status == "confirmed" { *qty } else { 0 };
                    s.op += 1;
                }
            }
        }
        (200, view(order))
    }
}

fn line(line: &Value) -> (String, u64) {
    (
        line["sku"].as_str().unwrap_or_default().to_string(),
        line["qty"].as_u64().unwrap_or(0),
    )
}

fn view(order: &Order) -> Value {
    let lines: Vec<Value> = order
        .lines
        .iter()
        .map(|(sku, qty)| json!({ "sku": sku, "qty": qty }))
        .collect();
    json!({ "order_id": order.id.to_string(), "status": order.status, "total": 1, "currency": "CNY", "lines": lines })
}

#[cfg(test)]
mod tests;
