//! A fixed number of connections on one monoio thread, fed by a [`Source`].
//!
//! Two tasks per connection, one a direction (a read future that is dropped would lose bytes). Whoever frees a worker
//! asks the source for the next request at once, so there is no task and no queue per request.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use monoio::io::{
    AsyncReadRent, AsyncWriteRent, AsyncWriteRentExt, OwnedReadHalf, OwnedWriteHalf, Splitable,
};
use monoio::net::TcpStream;

use super::link::{Http, Link};
use super::runtime::{self, Timer};
use super::session::TlsClient;
use crate::clock::Clock;
use crate::limits::READ_BYTES;
use crate::request::{Answer, Connections, Flight, Next, Request, Source};
use crate::target::Target;
use crate::users::Users;

/// How a pool connects.
#[derive(Clone)]
pub struct PoolConfig {
    /// Where to.
    pub target: Target,
    /// TLS, when the target wants it.
    pub tls: Option<TlsClient>,
    /// Protocol.
    pub http: Http,
    /// Connections.
    pub connections: usize,
    /// Requests outstanding on each: pipelined on HTTP/1.1, streams on HTTP/2.
    pub outstanding: usize,
    /// A connection that owes an answer and did not move for this long is given up.
    pub timeout_ns: u64,
    /// The pool gives up when nothing was connected for this long.
    pub patience_ns: u64,
}

/// What a pool saw.
#[derive(Clone, Debug, Default)]
pub struct PoolStats {
    /// Connections made.
    pub connects: u64,
    /// Connections that could not be made.
    pub connect_failures: u64,
    /// Connections that ended with requests outstanding.
    pub lost: u64,
    /// The last error, for people.
    pub last_error: Option<String>,
    /// Why the pool gave up, when it did.
    pub gave_up: Option<String>,
}

/// Connections are told apart in the whole process: a drill runs many pools.
static NEXT_LINK: AtomicU32 = AtomicU32::new(0);

struct Shared<S> {
    config: PoolConfig,
    /// For HTTP/1.1 the `Host`, for HTTP/2 `scheme://host`.
    authority: String,
    clock: Clock,
    users: Rc<Users>,
    source: RefCell<Option<S>>,
    idle: RefCell<VecDeque<Rc<Link>>>,
    links: RefCell<Vec<Rc<Link>>>,
    request: RefCell<Request>,
    scratch: RefCell<Vec<u8>>,
    stats: RefCell<PoolStats>,
    supervisors: Cell<usize>,
    stopping: Cell<bool>,
    due: Cell<u64>,
}

/// Runs `source` to its end and gives it back.
pub fn run<S: Source>(
    config: &PoolConfig,
    clock: Clock,
    users: &Rc<Users>,
    source: S,
) -> Result<(S, PoolStats), String> {
    let scheme = if config.target.tls { "https" } else { "http" };
    let authority = match config.http {
        Http::One => config.target.authority.clone(),
        Http::Two => format!("{scheme}://{}", config.target.authority),
    };
    let shared = Rc::new(Shared {
        config: config.clone(),
        authority,
        clock,
        users: users.clone(),
        source: RefCell::new(Some(source)),
        idle: RefCell::default(),
        links: RefCell::default(),
        request: RefCell::default(),
        scratch: RefCell::default(),
        stats: RefCell::default(),
        supervisors: Cell::new(0),
        stopping: Cell::new(false),
        due: Cell::new(0),
    });
    let main = lead(shared.clone());
    let mut runtime = runtime::build()?;
    runtime.block_on(main);
    drop(runtime);
    let source = shared
        .source
        .borrow_mut()
        .take()
        .ok_or("the pool lost its source")?;
    let stats = shared.stats.borrow().clone();
    Ok((source, stats))
}

/// Starts the connections, keeps time, and ends the pool.
async fn lead<S: Source>(shared: Rc<Shared<S>>) {
    for _ in 0..shared.config.connections {
        shared.add_supervisor();
    }
    let mut timer = Timer::new();
    let mut housekeeping_at = 0;
    let mut connected_at = shared.clock.now();
    loop {
        let now = shared.clock.now();
        shared.pump(now);
        if now >= housekeeping_at {
            housekeeping_at = now + 100_000_000;
            let connections = shared.connections();
            shared.with_source(|s| s.tick(now, connections));
            shared.drop_stuck(now);
            if shared
                .links
                .borrow()
                .iter()
                .any(|l| l.has_room() || l.in_flight() > 0)
            {
                connected_at = now;
            }
            let finished = shared.with_source(|s| s.is_finished(now)).unwrap_or(true);
            if finished && shared.links.borrow().iter().all(|l| l.in_flight() == 0) {
                break;
            }
            if now - connected_at > shared.config.patience_ns {
                let stats = &mut *shared.stats.borrow_mut();
                let last = stats.last_error.clone().unwrap_or_else(|| "no answer".into());
                let addr = shared.config.target.addr;
                stats.gave_up = Some(format!(
                    "no connection to {addr}: {last}; does the gateway run, and does it listen there (--target)?"
                ));
                break;
            }
        }
        timer
            .sleep(shared.due.get().saturating_sub(shared.clock.now()))
            .await;
    }
    shared.close().await;
}

impl<S: Source> Shared<S> {
    fn with_source<R>(&self, f: impl FnOnce(&mut S) -> R) -> Option<R> {
        self.source.borrow_mut().as_mut().map(f)
    }

    fn connections(&self) -> Connections {
        let links = self.links.borrow();
        let stats = self.stats.borrow();
        let in_flight: usize = links.iter().map(|l| l.in_flight()).sum();
        Connections {
            wanted: self.config.connections,
            ready: links.iter().filter(|l| l.is_ready()).count(),
            in_flight,
            made: stats.connects,
            failed: stats.connect_failures,
        }
    }

    /// Gives due requests to idle connections.
    fn pump(&self, now: u64) {
        let Ok(mut source) = self.source.try_borrow_mut() else {
            return;
        };
        let Some(source) = source.as_mut() else { return };
        let request = &mut *self.request.borrow_mut();
        let mut idle = self.idle.borrow_mut();
        while let Some(link) = idle.pop_front() {
            link.listed.set(false);
            if self.stopping.get() || !link.has_room() {
                continue;
            }
            request.clear();
            match source.next(now, request) {
                Next::Send => {
                    let identity = self.users.identity(request.user);
                    let scratch = &mut *self.scratch.borrow_mut();
                    if !link.send(now, request, identity, &self.authority, scratch) {
                        source.lost(now, request.flight);
                    }
                    if link.has_room() {
                        link.listed.set(true);
                        idle.push_back(link);
                    }
                }
                wait => {
                    self.due.set(if let Next::WaitUntil(at) = wait {
                        at
                    } else {
                        u64::MAX
                    });
                    link.listed.set(true);
                    idle.push_front(link);
                    return;
                }
            }
        }
        self.due.set(u64::MAX);
    }

    fn list(&self, link: &Rc<Link>) {
        if !link.listed.get() && link.has_room() {
            link.listed.set(true);
            self.idle.borrow_mut().push_back(link.clone());
        }
    }

    fn add_supervisor(self: &Rc<Self>) {
        self.supervisors.set(self.supervisors.get() + 1);
        let shared = self.clone();
        monoio::spawn(async move {
            supervise(&shared).await;
            shared.supervisors.set(shared.supervisors.get() - 1);
        });
    }

    /// The connection ended: what it owed is unknown.
    fn end(&self, link: &Rc<Link>, now: u64, error: Option<String>) {
        if link.dead.replace(true) {
            return;
        }
        link.signal.raise();
        let owed = link.take_in_flight();
        let stats = &mut *self.stats.borrow_mut();
        stats.lost += u64::from(!owed.is_empty());
        if error.is_some() {
            stats.last_error = error;
        }
        for flight in owed {
            self.with_source(|s| s.lost(now, flight));
        }
        self.links.borrow_mut().retain(|l| l.id != link.id);
    }

    fn drop_stuck(self: &Rc<Self>, now: u64) {
        let timeout = self.config.timeout_ns;
        let is_stuck = |l: &&Rc<Link>| now.saturating_sub(l.progress_at.get()) > timeout && l.in_flight() > 0;
        let stuck: Vec<_> = self.links.borrow().iter().filter(is_stuck).cloned().collect();
        for link in stuck {
            link.abandoned.set(true);
            self.end(
                &link,
                now,
                Some(format!("no answer within {} ms", timeout / 1_000_000)),
            );
            self.add_supervisor();
        }
    }

    async fn close(&self) {
        self.stopping.set(true);
        for link in self.links.borrow().iter() {
            link.closing.set(true);
            link.signal.raise();
        }
        for _ in 0..100 {
            if self.supervisors.get() == 0 {
                return;
            }
            monoio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Keeps one connection: connects, serves it until it ends, connects again.
async fn supervise<S: Source>(shared: &Rc<Shared<S>>) {
    let mut backoff = Duration::from_millis(5);
    while !shared.stopping.get() {
        match connect(shared).await {
            Ok((link, stream)) => {
                shared.stats.borrow_mut().connects += 1;
                let (read, write) = stream.into_split();
                monoio::spawn(write_loop(shared.clone(), link.clone(), write));
                read_loop(shared, &link, read).await;
                if link.abandoned.get() {
                    return;
                }
                if link.answers.get() > 0 {
                    backoff = Duration::from_millis(5);
                    continue;
                }
            }
            Err(e) => {
                let stats = &mut *shared.stats.borrow_mut();
                stats.connect_failures += 1;
                stats.last_error = Some(e);
            }
        }
        monoio::time::sleep(backoff).await;
        backoff = (backoff * 2).min(Duration::from_millis(200));
    }
}

async fn connect<S: Source>(shared: &Rc<Shared<S>>) -> Result<(Rc<Link>, TcpStream), String> {
    let config = &shared.config;
    let dial = TcpStream::connect_addr(config.target.addr);
    let stream = match monoio::time::timeout(Duration::from_secs(3), dial).await {
        Ok(made) => made.map_err(|e| format!("connect: {e}"))?,
        Err(_) => return Err("connect: timed out".into()),
    };
    stream.set_nodelay(true).map_err(|e| format!("connect: {e}"))?;
    let id = NEXT_LINK.fetch_add(1, Ordering::Relaxed);
    let now = shared.clock.now();
    let link = Rc::new(Link::new(
        id,
        config.http,
        config.outstanding,
        config.tls.as_ref(),
        now,
    )?);
    shared.links.borrow_mut().push(link.clone());
    link.signal.raise();
    // Cleartext has no handshake whose end would list it.
    shared.list(&link);
    Ok((link, stream))
}

async fn read_loop<S: Source>(shared: &Rc<Shared<S>>, link: &Rc<Link>, mut half: OwnedReadHalf<TcpStream>) {
    let mut buffer = Vec::with_capacity(READ_BYTES);
    let error = loop {
        let (result, back) = half.read(buffer).await;
        buffer = back;
        if link.dead.get() {
            return;
        }
        let count = match result {
            Ok(0) => break None,
            Ok(n) => n,
            Err(e) => break Some(format!("read: {e}")),
        };
        let now = shared.clock.now();
        let received = link.receive(&buffer[..count], &mut |flight, answer| {
            deliver(shared, link, now, flight, answer);
        });
        if let Err(e) = received {
            break Some(e);
        }
        if link.is_spent() {
            break None;
        }
        shared.list(link);
        shared.pump(now);
    };
    shared.end(link, shared.clock.now(), error);
}

fn deliver<S: Source>(shared: &Shared<S>, link: &Link, now: u64, flight: Flight, answer: Answer<'_>) {
    link.progress_at.set(now);
    link.answers.set(link.answers.get() + 1);
    shared.with_source(|s| s.answered(now, flight, answer));
}

async fn write_loop<S: Source>(shared: Rc<Shared<S>>, link: Rc<Link>, mut half: OwnedWriteHalf<TcpStream>) {
    let mut out = Vec::with_capacity(READ_BYTES);
    while !link.dead.get() {
        link.signal.wait().await;
        let now = shared.clock.now();
        let mut sink = |flight, answer: Answer<'_>| deliver(&shared, &link, now, flight, answer);
        if let Err(e) = link.transmit(&mut out, &mut sink) {
            shared.end(&link, now, Some(e));
            break;
        }
        if !out.is_empty() {
            let (result, back) = half.write_all(out).await;
            out = back;
            out.clear();
            if let Err(e) = result {
                shared.end(&link, shared.clock.now(), Some(format!("write: {e}")));
                break;
            }
        }
        if link.closing.get() {
            break;
        }
    }
    // The peer may be gone already.
    let _ = half.shutdown().await;
}
