//! One request as a fixed number of words, and back.

use std::net::{IpAddr, Ipv6Addr};

use serde::Serialize;
use tidegate_shard_core::{Buyer, OrderId, SkuName};

use super::ring::{WORDS, Words};
use crate::codes::Code;
use crate::worker::answer::push_rfc3339;
use crate::worker::request_id::RequestId;
use crate::worker::stack::route::{ROUTE_NAMES, Route};

/// What is known of a request before it is answered; filled in layer by layer.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// Its method.
    pub method: Method,
    /// The socket's peer, then the client that trusted proxies name.
    pub client: IpAddr,
    /// Who asks: a hash, never the token.
    pub buyer: Option<Buyer>,
    /// The SKU asked for; of an order the first.
    pub sku: Option<SkuName>,
    /// The order, once it has an id.
    pub order: Option<OrderId>,
}

impl Known {
    /// What head and socket say.
    pub fn new(method: &str, client: IpAddr) -> Known {
        Known {
            method: Method::of(method),
            client,
            buyer: None,
            sku: None,
            order: None,
        }
    }

    /// What the path says.
    pub fn see(&mut self, route: &Route) {
        match route {
            Route::ReadOrder(order) | Route::Cancel(order) | Route::Confirm(order) => {
                self.order = Some(*order)
            }
            Route::ReadStock(sku) | Route::ReadSku(sku) | Route::PutSku(sku) | Route::ChangeStock(sku) => {
                self.sku = Some(*sku);
            }
            _ => {}
        }
    }
}

/// A request's method, as a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method(u8);

impl Method {
    const NAMES: [&str; 8] = [
        "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "other",
    ];

    fn of(name: &str) -> Method {
        let found = Method::NAMES.iter().position(|known| *known == name);
        Method(found.unwrap_or(Method::NAMES.len() - 1) as u8)
    }

    fn name(self) -> &'static str {
        Method::NAMES[usize::from(self.0).min(Method::NAMES.len() - 1)]
    }
}

/// Where the time of a request that a shard answered went, nanoseconds; 4.2 s and more are shown as 4.2 s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stages {
    /// Last byte to its turn at the shard.
    pub ring_wait_ns: u32,
    /// Its turn to decided.
    pub decide_ns: u32,
    /// Decided to durable.
    pub commit_ns: u32,
    /// Durable to the answer handed to the connection.
    pub reply_ns: u32,
}

/// A request that was answered, as the net thread writes it.
pub struct Entry<'a> {
    /// When it was answered, unix milliseconds.
    pub at_ms: u64,
    /// Its `x-request-id`.
    pub id: &'a RequestId,
    /// Index into the route names.
    pub route: usize,
    /// The answer's status.
    pub status: u16,
    /// The refusal's code, if it was one.
    pub code: Option<Code>,
    /// First byte of the head to the answer handed to the connection, nanoseconds.
    pub total_ns: u64,
    /// The stages, if a shard answered.
    pub stages: Option<Stages>,
    /// Everything else.
    pub known: &'a Known,
}

/// Whether there are stages, a buyer.
const HAS_STAGES: u64 = 1;
const HAS_BUYER: u64 = 2;
/// In the place of a code: none.
const NO_CODE: u64 = 0xff;
const _: () = assert!(Code::ALL.len() < NO_CODE as usize);

/// Where an id begins, and how many words it may take.
const ID: usize = 9;
const ID_WORDS: usize = 8;
/// Where a SKU begins; its last byte is its length.
const SKU: usize = ID + ID_WORDS;
const SKU_BYTES: usize = (WORDS - SKU) * 8;
const _: () = assert!(SKU_BYTES == SkuName::LEN_MAX + 1);

/// 0: milliseconds << 16, status. 1: total in tenths of a microsecond << 32, id length << 24, code << 16, route << 8, method << 4, flags.
/// 2 and 3: the stages. 4: order. 5 and 6: buyer. 7 and 8: client. 9 to 16: id. 17 to 22: SKU.
#[inline]
pub fn encode(entry: &Entry<'_>) -> Words {
    let known = entry.known;
    let mut words = [0; WORDS];
    let id = entry.id.as_bytes();
    let flags = u64::from(entry.stages.is_some()) * HAS_STAGES + u64::from(known.buyer.is_some()) * HAS_BUYER;
    let total = (entry.total_ns / 100).min(u64::from(u32::MAX));
    words[0] = entry.at_ms << 16 | u64::from(entry.status);
    words[1] = total << 32
        | (id.len() as u64) << 24
        | entry.code.map_or(NO_CODE, |code| code as u64) << 16
        | (entry.route as u64 & 0xff) << 8
        | u64::from(known.method.0) << 4
        | flags;
    let stages = entry.stages.unwrap_or_default();
    words[2] = pair(stages.ring_wait_ns, stages.decide_ns);
    words[3] = pair(stages.commit_ns, stages.reply_ns);
    words[4] = known.order.map_or(0, |order| order.0);
    let buyer = known.buyer.map_or([0; 16], |buyer| buyer.0);
    put(&mut words[5..7], &buyer);
    let client = match known.client {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    put(&mut words[7..9], &client.octets());
    put(&mut words[ID..SKU], entry.id.padded());
    if let Some(sku) = &known.sku {
        let name = sku.as_bytes();
        let mut padded = [0; SKU_BYTES];
        padded[..name.len()].copy_from_slice(name);
        padded[SKU_BYTES - 1] = name.len() as u8;
        put(&mut words[SKU..], &padded);
    }
    words
}

fn pair(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

fn put(words: &mut [u64], bytes: &[u8]) {
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
}

/// When it was answered, unix milliseconds.
pub fn at_ms(words: &Words) -> u64 {
    words[0] >> 16
}

/// The answer's status.
pub fn status(words: &Words) -> u16 {
    words[0] as u16
}

/// How long it took, to a tenth of a microsecond.
pub fn total_ns(words: &Words) -> u64 {
    (words[1] >> 32) * 100
}

/// Index of its route.
pub fn route(words: &Words) -> usize {
    (words[1] >> 8 & 0xff) as usize
}

/// The refusal's code.
pub fn code(words: &Words) -> Option<Code> {
    Code::ALL.get((words[1] >> 16 & 0xff) as usize).copied()
}

/// Whether this is its `x-request-id`.
pub fn has_id(words: &Words, id: &str) -> bool {
    let length = id_length(words);
    id.len() == length && bytes_of(&words[ID..SKU]).starts_with(id.as_bytes())
}

fn id_length(words: &Words) -> usize {
    (words[1] >> 24 & 0xff) as usize
}

fn bytes_of(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A request that was answered, as `/debug/requests` shows it. Times are microseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    /// When it was answered, RFC 3339.
    pub at: String,
    /// Its `x-request-id`.
    pub id: String,
    /// Its method.
    pub method: &'static str,
    /// Its route's template.
    pub route: &'static str,
    /// The answer's status.
    pub status: u16,
    /// The refusal's code, `null` if it was none.
    pub code: Option<&'static str>,
    /// First byte of the head to the answer handed to the connection.
    pub total_us: f64,
    /// `null` when the edge answered by itself.
    pub stages: Option<StagesShown>,
    /// The client's address.
    pub client: IpAddr,
    /// The buyer's hash, as in the log; `null` without a token.
    pub buyer: Option<String>,
    /// The SKU; of an order the first.
    pub sku: Option<String>,
    /// The order's id.
    pub order: Option<String>,
}

/// [`Stages`] in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "see Stages")]
pub struct StagesShown {
    pub ring_wait_us: f64,
    pub decide_us: f64,
    pub commit_us: f64,
    pub reply_us: f64,
}

impl Record {
    /// Reads what [`encode`] wrote; `None` for words that it cannot have written.
    pub fn decode(words: &Words) -> Option<Record> {
        let flags = words[1] & 0xf;
        let buyer = bytes_of(&words[5..7]);
        let client: [u8; 16] = bytes_of(&words[7..9]).try_into().ok()?;
        let sku = bytes_of(&words[SKU..]);
        let sku = match usize::from(sku[SKU_BYTES - 1]) {
            0 => None,
            length => Some(text(&sku, length)?),
        };
        let mut at = Vec::new();
        push_rfc3339(&mut at, at_ms(words));
        Some(Record {
            at: text(&at, at.len())?,
            id: text(&bytes_of(&words[ID..SKU]), id_length(words))?,
            method: Method((words[1] >> 4 & 0xf) as u8).name(),
            route: ROUTE_NAMES.get(route(words))?,
            status: status(words),
            code: code(words).map(Code::word),
            total_us: total_ns(words) as f64 / 1e3,
            stages: (flags & HAS_STAGES != 0).then(|| StagesShown::decode(words)),
            client: Ipv6Addr::from(client).to_canonical(),
            buyer: (flags & HAS_BUYER != 0).then(|| buyer.iter().map(|byte| format!("{byte:02x}")).collect()),
            sku,
            order: (words[4] != 0).then(|| words[4].to_string()),
        })
    }
}

impl StagesShown {
    fn decode(words: &Words) -> StagesShown {
        let us = |ns: u64| (ns & 0xffff_ffff) as f64 / 1e3;
        StagesShown {
            ring_wait_us: us(words[2]),
            decide_us: us(words[2] >> 32),
            commit_us: us(words[3]),
            reply_us: us(words[3] >> 32),
        }
    }
}

fn text(bytes: &[u8], length: usize) -> Option<String> {
    String::from_utf8(bytes.get(..length)?.to_vec()).ok()
}
