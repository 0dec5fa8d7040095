//! The net threads: made of the parts that all of them share, pinned, and run in the shell that works here.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::thread::JoinHandle;

use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use tidegate_conn::{ConnConfig, Deadlines, Limits as ConnLimits, Nanos};
use tidegate_host::NetPort;
use tidegate_lane::LanePort;

use crate::auth::Authenticator;
use crate::auth::keys::SharedKeys;
use crate::breaker::board::Board;
use crate::breaker::{self, Progress};
use crate::certs::Certificates;
use crate::config::Config;
use crate::config::checked::{Io, Limits};
use crate::gcra::{SETS_DEFAULT, Table};
use crate::limits::LISTEN_BACKLOG;
use crate::live::Live;
use crate::recorder::{Recorder, Tape};
use crate::shards::Layout;
use crate::worker::http_date::HttpDate;
use crate::worker::inflight::Inflight;
use crate::worker::jitter::Jitter;
use crate::worker::request_id::RequestIds;
use crate::worker::seat::Seat;
use crate::worker::slow_lane::{Held, SlowLane};
use crate::worker::stack::{Edge, verify_within_ns};
use crate::worker::stats::NetStats;
use crate::worker::stock_view::StockView;
use crate::worker::{Shared, Worker, WorkerParts, clock, tasks, uring};

/// What all net threads share.
pub struct Net {
    /// The configuration in force.
    pub live: Arc<Live>,
    /// Keys of tokens.
    pub keys: Arc<SharedKeys>,
    /// Certificates by name.
    pub certificates: Arc<Certificates>,
    /// What is told to every thread at once.
    pub shared: Arc<Shared>,
    /// Token buckets.
    pub buckets: Buckets,
    /// Breakers of the shard threads and of the backoffice.
    pub board: Arc<Board>,
    /// The breaker of the backoffice.
    pub backoffice: Arc<breaker::shared::Shared>,
    /// The flight recorder's tapes, one a net thread.
    pub tapes: Vec<Tape>,
}

/// The buckets of all net threads, one table a limit.
#[derive(Clone)]
pub struct Buckets {
    /// Per client address.
    pub address: Arc<Table>,
    /// Per user.
    pub user: Arc<Table>,
    /// TLS handshakes, per peer address.
    pub handshakes: Arc<Table>,
}

impl Buckets {
    fn new(limits: &Limits, now_ns: u64) -> Buckets {
        let table = |limit| Arc::new(Table::new(limit, SETS_DEFAULT, now_ns));
        Buckets {
            address: table(limits.address),
            user: table(limits.user),
            handshakes: table(limits.handshakes),
        }
    }
}

impl Net {
    /// The shared parts of a configuration, with a `backoffice` or without.
    pub fn new(
        live: Arc<Live>,
        keys: Arc<SharedKeys>,
        certificates: Arc<Certificates>,
        layout: &Layout,
        backoffice: bool,
    ) -> Net {
        let shared = Arc::new(Shared {
            drain: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
        });
        let requests = live.current().observe.recorder_requests;
        Net {
            tapes: (0..layout.nets).map(|_| Tape::new(requests)).collect(),
            buckets: Buckets::new(&live.current().limits, clock::now_ns()),
            board: Arc::new(Board::new(layout.nets, layout.shards, backoffice)),
            backoffice: Arc::new(breaker::shared::Shared::new(breaker::Settings::default())),
            live,
            keys,
            certificates,
            shared,
        }
    }

    /// Starts net thread `index` on `core`, serving `listener`; `seat` is where it sits among the others.
    ///
    /// # Errors
    /// The thread cannot be made.
    pub fn spawn(
        &self,
        index: usize,
        core: Option<usize>,
        (port, lane, seat): (NetPort, Option<LanePort>, Seat),
        listener: OwnedFd,
        stats: Arc<NetStats>,
        shell: Shell,
    ) -> io::Result<JoinHandle<io::Result<()>>> {
        let edge_parts = self.edge_parts(index);
        let certificates = Arc::clone(&self.certificates);
        let live = Arc::clone(&self.live);
        let shared = Arc::clone(&self.shared);
        let handshake_limit = Arc::clone(&self.buckets.handshakes);
        std::thread::Builder::new()
            .name(format!("net-{index}"))
            .spawn(move || {
                if let Some(core) = core {
                    pin(core);
                }
                let config = live.current();
                // Made here: a worker is of one thread.
                let edge = edge_parts.edge(&config, port, lane, stats);
                let parts = WorkerParts {
                    edge,
                    live,
                    conn_config: Box::new(move |config| conn_config(config, &certificates)),
                    handshake_limit,
                    shared,
                    seat,
                    proxy_protocol: config.server.proxy_protocol,
                };
                let worker = Worker::new(parts);
                match shell {
                    Shell::Uring => uring::Shell::new(worker, listener, config.server.turn_us)?.run(),
                    Shell::Monoio(driver) => tasks::run(driver, worker, listener),
                }
            })
    }

    fn edge_parts(&self, net: usize) -> EdgeParts {
        EdgeParts {
            keys: Arc::clone(&self.keys),
            buckets: self.buckets.clone(),
            board: Arc::clone(&self.board),
            backoffice: Arc::clone(&self.backoffice),
            tape: self.tapes[net].clone(),
            net,
        }
    }
}

/// The shared parts an edge is made of; may cross to its thread.
struct EdgeParts {
    keys: Arc<SharedKeys>,
    buckets: Buckets,
    board: Arc<Board>,
    backoffice: Arc<breaker::shared::Shared>,
    tape: Tape,
    net: usize,
}

impl EdgeParts {
    fn edge(self, config: &Config, port: NetPort, lane: Option<LanePort>, stats: Arc<NetStats>) -> Edge {
        let stall_ns = config.overload.stall.as_nanos() as u64;
        let breakers = port.stats().iter().map(|_| Progress::new(stall_ns)).collect();
        Edge {
            lane: lane.map(|lane| SlowLane::new(lane, self.backoffice, config)),
            breakers,
            board: self.board,
            net: self.net,
            inflight: Inflight::new(config.overload.inflight_per_thread * port.stats().len()),
            auth: Authenticator::new(self.keys, config.auth.cache_tokens),
            limit_address: self.buckets.address,
            limit_user: self.buckets.user,
            proxies: config.server.trusted_proxies.clone(),
            stock: StockView::default(),
            draft: Default::default(),
            held: Held::default(),
            stats,
            recorder: Recorder::new(&self.tape, clock::now_ns()),
            ids: RequestIds::new(random()),
            jitter: Jitter::new(random()),
            date: HttpDate::default(),
            answer_ns: config.timeouts.answer.as_nanos() as u64,
            verify_within_ns: verify_within_ns(config),
            wall_ms: clock::wall_ms(),
            draining: false,
            port,
        }
    }
}

/// How bytes are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    /// Our own io_uring loop.
    Uring,
    /// Tasks under monoio.
    Monoio(tasks::Driver),
}

impl Shell {
    /// The shell for a setting. Where io_uring is wanted but blocked: the portable one, and a sentence that says why.
    ///
    /// # Errors
    /// io_uring was asked for by name and does not work here.
    pub fn choose(io: Io) -> Result<(Shell, Option<String>), String> {
        match io {
            Io::Epoll => return Ok((Shell::Monoio(tasks::Driver::Epoll), None)),
            Io::Monoio => return Ok((Shell::Monoio(tasks::Driver::Uring), None)),
            Io::Auto | Io::Uring => {}
        }
        match uring::probe() {
            Ok(()) => Ok((Shell::Uring, None)),
            Err(why) if io == Io::Uring => Err(format!("server.io = \"uring\", but {why}")),
            Err(why) => Ok((
                Shell::Monoio(tasks::Driver::Epoll),
                Some(format!("{why}; going on with epoll")),
            )),
        }
    }
}

/// What connections are told.
fn conn_config(config: &Config, certificates: &Arc<Certificates>) -> ConnConfig {
    let (timeouts, http) = (&config.timeouts, &config.http);
    let ns = |duration: std::time::Duration| Nanos(duration.as_nanos() as u64);
    let covering = Arc::clone(certificates);
    let (making, admitting) = (Arc::clone(certificates), Arc::clone(certificates));
    let mut conn = ConnConfig::cleartext();
    conn.tls = Some(Box::new(move || making.server_config()));
    if certificates.asks_clients() {
        conn.admits_again = Some(Box::new(move |chain| admitting.admits_again(chain)));
    }
    conn.covers = Some(Box::new(move |sni, host| covering.covers(sni, host)));
    conn.deadlines = Deadlines {
        handshake: ns(timeouts.handshake),
        head: ns(timeouts.head),
        request: ns(timeouts.request),
        idle: ns(timeouts.idle),
        age: ns(timeouts.connection_age),
        write: ns(timeouts.write),
        ..Deadlines::default()
    };
    conn.limits = ConnLimits {
        head_bytes: http.head_bytes,
        head_fields: http.head_fields,
        target_bytes: http.target_bytes,
        body_bytes: http.body_bytes,
        requests: http.requests_per_connection,
        h2_streams: http.h2_streams,
        h2_stream_window: http.h2_stream_window_bytes,
        h2_connection_window: http.h2_connection_window_bytes,
        ..ConnLimits::default()
    };
    conn
}

/// The first listening socket of this process on an address. `SO_REUSEPORT` would let another process of the same user onto the same port
/// without a word, and connections would be spread over two shops: so it is asked for without first.
///
/// # Errors
/// Somebody listens there, also after a second: an io_uring server that was killed holds its port for a moment.
pub fn claim(address: SocketAddr) -> io::Result<OwnedFd> {
    let mut tries = 20;
    loop {
        match bind(address, false).map(drop).and_then(|()| listen(address)) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries > 0 => {
                tries -= 1;
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
            result => return result,
        }
    }
}

/// One listening socket a net thread, all on the same address: the kernel spreads connections by `SO_REUSEPORT`.
///
/// # Errors
/// The address cannot be bound.
pub fn listen(address: SocketAddr) -> io::Result<OwnedFd> {
    let socket = bind(address, true)?;
    rustix::net::listen(&socket, LISTEN_BACKLOG)?;
    Ok(socket)
}

fn bind(address: SocketAddr, shared: bool) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let socket = rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_socket_reuseport(&socket, shared)?;
    rustix::net::bind(&socket, &address)?;
    Ok(socket)
}

/// The address a listener got, when port 0 was asked for.
///
/// # Errors
/// The socket is gone.
pub fn local_address(listener: &OwnedFd) -> io::Result<SocketAddr> {
    let address = rustix::net::getsockname(listener)?;
    SocketAddr::try_from(address).map_err(|_| io::Error::other("not an internet address"))
}

/// Descriptors beside connections: log segments, checkpoints, rings, the admin address.
const DESCRIPTORS_RESERVED: u64 = 256;

/// Descriptors of a process with so many connections.
pub fn descriptors_needed(connections_max: usize) -> u64 {
    connections_max as u64 + DESCRIPTORS_RESERVED
}

/// Raises the soft limit of open files to the hard one, and says so when that is too few for the connections allowed.
pub fn raise_descriptor_limit(connections_max: usize) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let current = if setrlimit(Resource::Nofile, raised).is_ok() {
        limit.maximum
    } else {
        limit.current
    };
    let needed = descriptors_needed(connections_max);
    if let Some(current) = current.filter(|current| *current < needed) {
        tracing::warn!(
            open_files = current,
            connections_max,
            "the limit of open files is below server.connections_max; raise LimitNOFILE (systemd) or ulimit -n to {needed}"
        );
    }
}

fn pin(core: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(core);
    if let Err(errno) = rustix::thread::sched_setaffinity(None, &set) {
        tracing::warn!(core, %errno, "the thread cannot be pinned");
    }
}

/// Randomness for ids and jitter; nothing secret depends on it.
fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish() ^ clock::now_ns()
}
