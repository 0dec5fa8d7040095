//! The path of one request through the edge, a layer a line. Whatever refuses ends it.

use std::net::IpAddr;
use std::sync::Arc;

use tidegate_conn::Request;
use tidegate_host::{NetPort, Request as ShardRequest};
use tidegate_lane::Key;
use tidegate_shard_core::{Command, home_shard};

use crate::address::TrustedProxies;
use crate::auth::Authenticator;
use crate::breaker::Progress;
use crate::breaker::board::Board;
use crate::codes::Code;
use crate::config::Config;
use crate::gcra;
use crate::recorder::{Entry, Known, Recorder, Stages};
use crate::worker::answer::Draft;
use crate::worker::description;
use crate::worker::http_date::HttpDate;
use crate::worker::inflight::{Inflight, Waiting};
use crate::worker::jitter::Jitter;
use crate::worker::outcome;
use crate::worker::refusal::Refusal;
use crate::worker::request_id::{RequestId, RequestIds};
use crate::worker::slow_lane::{Held, HeldRefusal, SlowLane};
use crate::worker::stats::NetStats;
use crate::worker::stock_view::StockView;

pub mod breaker;
mod command;
pub mod decode;
pub(in crate::worker) mod identify;
mod limit;
pub mod route;

use route::Route;

/// What one net thread owns apart from its connections.
pub struct Edge {
    /// The way to the shards.
    pub port: NetPort,
    /// Verified tokens of this thread.
    pub auth: Authenticator,
    /// The bucket per client address, shared by all threads.
    pub limit_address: Arc<gcra::Table>,
    /// The bucket per user, shared by all threads.
    pub limit_user: Arc<gcra::Table>,
    /// Whose `X-Forwarded-For` is believed.
    pub proxies: TrustedProxies,
    /// Requests at the shards.
    pub inflight: Inflight,
    /// Stock as of durable ops.
    pub stock: StockView,
    /// The answer being written.
    pub draft: Draft,
    /// Refusals that are told a moment later.
    pub held: Held,
    /// Figures of this thread.
    pub stats: Arc<NetStats>,
    /// The way to the backoffice, if there is one.
    pub lane: Option<SlowLane>,
    /// The last requests of this thread, and the SKUs in demand.
    pub recorder: Recorder,
    /// One breaker a shard thread.
    pub breakers: Vec<Progress>,
    /// Where operators see and set them.
    pub board: Arc<Board>,
    /// This net thread's number.
    pub net: usize,
    /// Makes `x-request-id`s.
    pub ids: RequestIds,
    /// Spreads retries.
    pub jitter: Jitter,
    /// The `date` header.
    pub date: HttpDate,
    /// How long an answer may take before it is 504.
    pub answer_ns: u64,
    /// A request that has waited longer gets no token verified for it.
    pub verify_within_ns: u64,
    /// The turn's wall clock, for `date` and for tokens.
    pub wall_ms: u64,
    /// No new orders: the process is on its way out.
    pub draining: bool,
}

/// Which connection a request came by.
#[derive(Clone, Copy)]
pub struct Origin {
    /// The connection's slot.
    pub slot: u32,
    /// The slot's generation.
    pub generation: u32,
    /// The socket's peer.
    pub peer: IpAddr,
}

/// A request whose answer is in the draft.
pub struct Ended<'a> {
    /// Index of its route.
    pub route: usize,
    /// Echoed in the answer.
    pub id: &'a RequestId,
    /// First byte of the head, monotonic nanoseconds.
    pub first_byte_ns: u64,
    /// What was found out about it.
    pub known: &'a Known,
    /// The refusal's code, if it was one.
    pub code: Option<Code>,
    /// Where its time went, if a shard answered.
    pub stages: Option<Stages>,
}

/// What became of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The answer is in the draft.
    Answered,
    /// A shard has it, or it was refused and that is told later; the answer comes later.
    Waiting,
    /// The backoffice has it; the answer comes later.
    Asked(Key),
}

impl Edge {
    /// Takes over what another configuration says.
    pub fn adopt(&mut self, config: &Config) {
        self.proxies.clone_from(&config.server.trusted_proxies);
        self.answer_ns = config.timeouts.answer.as_nanos() as u64;
        self.verify_within_ns = verify_within_ns(config);
        let stall_ns = config.overload.stall.as_nanos() as u64;
        for breaker in &mut self.breakers {
            breaker.set_stall_ns(stall_ns);
        }
        if let Some(lane) = &mut self.lane {
            lane.adopt(config);
        }
    }

    /// Takes one request in.
    pub fn handle(&mut self, origin: Origin, request: &Request<'_>, now_ns: u64) -> Step {
        let picked = &request.head.picked;
        let id = self.ids.of(picked.x_request_id, picked.traceparent);
        let route = route::of(request.head.method, request.head.path_and_query);
        let index = route.as_ref().map_or(route::NO_ROUTE, Route::index);
        let is_slow = matches!(route, Ok(Route::Slow(_)));
        let mut known = Known::new(request.head.method, origin.peer);
        let step = route.and_then(|route| self.layers(origin, request, route, id, &mut known, now_ns));
        let code = match step {
            Ok(Step::Answered) => None,
            Ok(later) => return later,
            Err(refusal) => {
                self.stats.refused(refusal.code());
                if is_slow && let Some(due_ns) = self.held.when(now_ns) {
                    let held = HeldRefusal {
                        origin,
                        exchange: request.exchange,
                        route: index,
                        request_id: id,
                        first_byte_ns: request.first_byte_at.0,
                        refused_ns: now_ns,
                        known,
                        refusal,
                    };
                    self.held.keep(due_ns, held);
                    return Step::Waiting;
                }
                refusal.write(&mut self.draft);
                Some(refusal.code())
            }
        };
        let ended = Ended {
            route: index,
            id: &id,
            first_byte_ns: request.first_byte_at.0,
            known: &known,
            code,
            stages: None,
        };
        self.finish(&ended, now_ns);
        Step::Answered
    }

    fn layers(
        &mut self,
        origin: Origin,
        request: &Request<'_>,
        route: Route,
        id: RequestId,
        known: &mut Known,
        now_ns: u64,
    ) -> Result<Step, Refusal> {
        known.see(&route);
        let address = self.proxies.client(origin.peer, forwarded(request));
        known.client = address;
        limit::address(&self.limit_address, address, now_ns, &mut self.jitter)?;
        let caller = identify::caller(self, &route, request, now_ns)?;
        known.buyer = caller.as_ref().map(|caller| caller.buyer);
        limit::user(&self.limit_user, caller.as_ref(), now_ns, &mut self.jitter)?;
        let exact = caller.as_ref().is_some_and(|caller| caller.operator);
        if let Route::ReadStock(sku) = &route
            && !exact
            && let Some(line) = self.stock.get(sku)
        {
            outcome::stock(&mut self.draft, sku.as_str(), line);
            return Ok(Step::Answered);
        }
        if route == Route::Description {
            description::write(&mut self.draft);
            return Ok(Step::Answered);
        }
        if matches!(route, Route::Slow(_)) {
            return self.ask_for(origin, request, &route, caller.as_ref(), (id, known), now_ns);
        }
        let command = command::of(&route, caller.as_ref(), request)?;
        if let Command::Place(place) = &command {
            known.sku = place.lines.first().map(|line| line.sku);
        }
        let shard = home_shard(&command, self.port.shards());
        if shard.0 >= self.port.shards() {
            // Of no order that was ever made here: no breaker and no backoffice is troubled with it.
            return Err(Refusal::new(
                Code::UnknownOrder,
                "no order of this gateway has this id",
            ));
        }
        breaker::admit(self, &command, shard)?;
        let waiting = Waiting {
            slot: origin.slot,
            slot_generation: origin.generation,
            exchange: request.exchange,
            route: route.index() as u8,
            first_byte_ns: request.first_byte_at.0,
            whole_ns: request.whole_at.0,
            deadline_ns: now_ns + self.answer_ns,
            request_id: id,
            read: self.read_again(&route, caller.as_ref()),
            known: *known,
        };
        self.send(
            waiting,
            ShardRequest {
                ticket: 0,
                at_ns: request.whole_at.0,
                shard,
                command,
            },
        )
    }

    fn send(&mut self, waiting: Waiting, mut command: ShardRequest) -> Result<Step, Refusal> {
        if self.draining && matches!(command.command, Command::Place(_)) {
            return Err(Refusal::new(Code::ShuttingDown, "this gateway takes no new orders").retry_after(1));
        }
        let Some(ticket) = self.inflight.begin(waiting) else {
            return Err(self.overloaded());
        };
        command.ticket = ticket;
        if self.port.try_send(command).is_err() {
            self.inflight.finish(ticket);
            return Err(self.overloaded());
        }
        Ok(Step::Waiting)
    }

    /// 503 for a request that would have to wait too long.
    pub fn overloaded(&mut self) -> Refusal {
        Refusal::new(Code::Overloaded, "more orders wait than can be answered in time")
            .retry_after(self.jitter.spread(1))
    }

    /// Adds what every answer carries, counts it, and records it.
    pub fn finish(&mut self, ended: &Ended<'_>, now_ns: u64) {
        self.draft.header("x-request-id", ended.id.as_bytes());
        self.draft.header("date", self.date.at(self.wall_ms));
        let total_ns = now_ns.saturating_sub(ended.first_byte_ns);
        let figures = (self.draft.status(), total_ns);
        note(&self.stats, &mut self.recorder, self.wall_ms, ended, figures);
    }
}

/// Counts an answer of this status and duration, and records it.
pub fn note(
    stats: &NetStats,
    recorder: &mut Recorder,
    wall_ms: u64,
    ended: &Ended<'_>,
    (status, total_ns): (u16, u64),
) {
    stats.answered(ended.route, status, total_ns);
    recorder.record(&Entry {
        at_ms: wall_ms,
        id: ended.id,
        route: ended.route,
        status,
        code: ended.code,
        total_ns,
        stages: ended.stages,
        known: ended.known,
    });
}

/// Four fifths of the time after which an order is shed: what is verified then still reaches its shard in time.
pub fn verify_within_ns(config: &Config) -> u64 {
    config.overload.shed_after.as_nanos() as u64 / 5 * 4
}

fn forwarded<'a>(request: &Request<'a>) -> ForwardedLines<'a> {
    // One line is the common case and needs no walk over the head.
    if request.head.picked.x_forwarded_for_lines <= 1 {
        return request.head.picked.x_forwarded_for.into_iter().collect();
    }
    let lines = request
        .head
        .fields()
        .filter(|(name, _)| name.eq_ignore_ascii_case("x-forwarded-for"));
    lines.map(|(_, value)| value).collect()
}

/// `X-Forwarded-For` lines in the order they came.
type ForwardedLines<'a> = smallvec::SmallVec<[&'a [u8]; 4]>;
