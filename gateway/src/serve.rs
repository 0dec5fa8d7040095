//! `tidegate run`: everything started in order, one wait, everything ended in order.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use tidegate_host::{Host, NetPort, Progress};
use tidegate_lane::{LanePort, LaneServer};
use tidegate_log::ShardMark;

use crate::admin::token::AdminToken;
use crate::admin::{self, Admin};
use crate::auth::jwks::{self, FetchStats};
use crate::auth::keys::{self, SharedKeys};
use crate::backoffice;
use crate::certs::Certificates;
use crate::config::checked::{Durability, own_certificate_files};
use crate::config::{Config, Sources};
use crate::console::About;
use crate::desk::Desk;
use crate::first_start::Banner;
use crate::live::Live;
use crate::logging::Filter;
use crate::net::{self, Net, Shell};
use crate::observe::{FeedFigures, Observer};
use crate::reload::{self, Reloader};
use crate::shards::{self, Layout};
use crate::supervisor::Supervisor;
use crate::worker::seat;
use crate::worker::stats::NetStats;
use crate::{catalogue, first_start};

/// How long a start waits for the first answer of `auth.jwks_url`.
const FIRST_FETCH: Duration = Duration::from_secs(2);

/// What is wrong when the system gives no thread or descriptor.
const MORE_THREADS: &str = "raise TasksMax and LimitNOFILE (systemd), or ulimit -u and -n";

/// What stands behind the edge.
pub struct Backoffice {
    /// The name of the store that the data directory feeds.
    pub store: String,
    /// How far that store has each shard.
    pub marks: Vec<ShardMark>,
    /// How its store follows the log.
    pub feed: Option<FeedFigures>,
    /// Starts it, once the shards serve.
    pub start: StartBackoffice,
}

/// Starts a backoffice; what it gives ends it, before the shards stop.
pub type StartBackoffice = Box<dyn FnOnce(Behind<'_>) -> Result<EndBackoffice, String>>;

/// Ends a backoffice.
pub type EndBackoffice = Box<dyn FnOnce() + Send>;

/// Opens a backoffice, before the shards are recovered.
pub type OpenBackoffice = Box<dyn FnOnce(&Config) -> Result<Backoffice, String>>;

/// What a backoffice is given.
pub struct Behind<'a> {
    /// Its half of the slow lane: it runs on a runtime of the backoffice's own.
    pub lane: LaneServer,
    /// A way to the shards.
    pub desk: Desk,
    /// The shards, for their feed.
    pub host: &'a Host,
}

/// Serves until a signal ends it. Returns the process's exit status: 0 after an orderly drain.
///
/// # Errors
/// One line: what could not be started and what to do about it.
///
/// `sources` is where `config` came from, for a reload; `filter` is what changes the log's filter then.
pub fn run(config: Config, sources: Sources, filter: Option<Filter>) -> Result<i32, String> {
    let backoffice = backoffice::of(&config);
    run_before(backoffice, config, sources, filter)
}

/// As [`run`], before a backoffice.
///
/// # Errors
/// As [`run`], or what the backoffice could not start.
pub fn run_before(
    backoffice: Option<OpenBackoffice>,
    config: Config,
    sources: Sources,
    filter: Option<Filter>,
) -> Result<i32, String> {
    let config = Arc::new(config);
    let signals = Signals::new()?;
    let live = Arc::new(Live::new(Arc::clone(&config)));
    let fresh = first_start::is_fresh(&config.server.data);
    let made = first_start::prepare(&config)?;
    let token = AdminToken::load_or_make(&config.server.data)?;
    let log = filter.as_ref().map(Filter::recent).unwrap_or_default();
    net::raise_descriptor_limit(config.server.connections_max);
    let (shell, fallback) = Shell::choose(config.server.io)?;
    if let Some(line) = fallback {
        tracing::warn!("{line}");
    }
    let certificates = Arc::new(Certificates::load(&config.tls).map_err(|error| {
        format!(
            "{error}; put the right file there or name another in [tls] (`tidegate doctor` looks at each)"
        )
    })?);
    let keys = Arc::new(
        SharedKeys::load(keys::Sources::of(&config.auth)).map_err(|error| {
            format!(
                "{error}; put the right key there or name another in [auth] (`tidegate doctor` looks at each)"
            )
        })?,
    );
    let fetches = Arc::new(FetchStats::default());
    let first_fetch = jwks::start(Arc::clone(&keys), Arc::clone(&fetches), jwks::FETCH_TIMEOUT)
        .map_err(|e| format!("the thread that fetches token keys: {e}; {MORE_THREADS}"))?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let layout = Layout::of(&config, cores);
    let listeners = bind_all(config.server.listen, layout.nets)?;
    let backoffice = backoffice.map(|open| open(&config)).transpose()?;
    let (host, mut ports) = start_host(&config, &layout, backoffice.as_ref())?;
    let too_few = "the host gave too few ports";
    let desk = start_desk(ports.pop().ok_or(too_few)?)?;
    let mut control = ports.pop().ok_or(too_few)?;
    // With a bus the answers would wait for a backoffice that does not run yet, and such a shop has a catalogue of its own.
    let alone = config.shards.durability == Durability::Local;
    if alone && first_start::is_catalogue_due(&config.server.data) {
        catalogue::put(&mut control, &first_start::sample_catalogue())?;
        first_start::catalogue_done(&config.server.data)?;
    }

    let address = net::local_address(&listeners[0]).map_err(|e| e.to_string())?;
    let net = Net::new(
        Arc::clone(&live),
        Arc::clone(&keys),
        Arc::clone(&certificates),
        &layout,
        backoffice.is_some(),
    );
    let net_stats: Vec<Arc<NetStats>> = listeners.iter().map(|_| Arc::default()).collect();
    let serving = Arc::new(AtomicBool::new(false));
    let failed = Arc::new(AtomicBool::new(false));
    let reloader = Arc::new(Reloader::new(reload::Parts {
        sources,
        live: Arc::clone(&live),
        buckets: net.buckets.clone(),
        keys: Arc::clone(&keys),
        knobs: host.knobs(),
        filter,
    }));
    let observer = Arc::new(Observer {
        nets: net_stats.clone(),
        shards: host.stats(),
        feed: backoffice.as_ref().and_then(|backoffice| backoffice.feed.clone()),
        scrub: host.scrub_stats(),
        shared: Arc::clone(&net.shared),
        serving: Arc::clone(&serving),
        failed: Arc::clone(&failed),
        keys: Arc::clone(&keys),
        fetches,
        certificates: Arc::clone(&certificates),
        reloader: Arc::clone(&reloader),
        board: Arc::clone(&net.board),
    });
    let admin = admin::start(
        config.server.admin,
        Admin {
            source: observer,
            live,
            reloader: Some(Arc::clone(&reloader)),
            board: Arc::clone(&net.board),
            certificates: Some(certificates),
            keys: Some(Arc::clone(&keys)),
            reload: config.tls.reload,
            token,
            tapes: net.tapes.clone(),
            desk: Some(desk),
            log,
            about: about(&config),
        },
    )
    .map_err(|e| {
        format!(
            "the admin address {}: {e}; choose another with --admin (`tidegate doctor` says who has it)",
            config.server.admin
        )
    })?;
    await_keys(&keys, &first_fetch);
    let (lanes, end_backoffice): (Vec<_>, _) = match backoffice {
        Some(backoffice) => {
            let (lanes, lane) = slow_lane(&config, &ports);
            let desk = start_desk(control)?;
            let host = &host;
            let end = (backoffice.start)(Behind { lane, desk, host })?;
            (lanes.into_iter().map(Some).collect(), Some(end))
        }
        None => (ports.iter().map(|_| None).collect(), None),
    };
    let ends = ports.into_iter().zip(lanes).collect();
    let threads = spawn_nets(&net, &layout, ends, listeners, net_stats, shell)?;
    serving.store(true, Ordering::Release);
    let supervisor = Supervisor::from_environment(Instant::now());
    supervisor.ready();
    let banner = first_start::banner(&Banner {
        listen: address,
        admin: admin.address,
        data: &config.server.data,
        made,
        catalogue: fresh,
        own_certificate: config
            .tls
            .own_certificate
            .then(|| own_certificate_files(&config.server.data).cert),
        program: std::env::current_exe().unwrap_or_else(|_| "tidegate".into()),
    });
    print!("{banner}");
    let _ = io::stdout().flush();
    tracing::info!(%address, nets = layout.nets, shards = layout.shards, shell = ?shell, "serving");
    wait(signals, supervisor, &net, &host, &failed, &threads, &reloader);
    end(threads, end_backoffice, host, &net)
}

/// What the console says of this run.
fn about(config: &Config) -> About {
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    About {
        run: format!("{}-{}", started.as_millis(), std::process::id()),
        version: env!("CARGO_PKG_VERSION"),
        build: if cfg!(debug_assertions) {
            "debug"
        } else {
            "release"
        },
        data: config.server.data.display().to_string(),
    }
}

/// Gives the identity provider a moment, so that the first tokens are not refused for want of a key. It is no condition of the
/// start: what is certain here is that orders can be taken under the keys there are.
fn await_keys(keys: &SharedKeys, first_fetch: &Receiver<()>) {
    let Some(remote) = keys.remote() else { return };
    if first_fetch.recv_timeout(FIRST_FETCH).is_err() {
        tracing::warn!(
            url = remote.url,
            "auth.jwks_url has not answered yet; serving without its keys, and trying on"
        );
    }
}

/// One socket a net thread. The first finds the port, if 0 was asked for.
fn bind_all(address: SocketAddr, nets: usize) -> Result<Vec<OwnedFd>, String> {
    let failed = |e: io::Error| {
        format!("{address}: {e}; choose another with --listen (`tidegate doctor` says who has it)")
    };
    let first = net::claim(address).map_err(failed)?;
    let address = net::local_address(&first).map_err(failed)?;
    let mut listeners = vec![first];
    for _ in 1..nets {
        listeners.push(net::listen(address).map_err(failed)?);
    }
    Ok(listeners)
}

fn start_host(
    config: &Config,
    layout: &Layout,
    backoffice: Option<&Backoffice>,
) -> Result<(Host, Vec<NetPort>), String> {
    let began = Instant::now();
    Supervisor::recovering(0);
    let result = shards::start(
        config,
        layout.shards,
        layout.shard_cores.clone(),
        layout.nets,
        backoffice.map(|backoffice| (backoffice.store.as_str(), backoffice.marks.as_slice())),
        &mut |progress| match progress {
            Progress::Line(line) => tracing::info!("{line}"),
            Progress::Recovered { records, bytes } => {
                Supervisor::recovering(records);
                tracing::info!(
                    records,
                    bytes,
                    seconds = began.elapsed().as_secs_f32(),
                    "recovering"
                );
            }
        },
    );
    result.map_err(|error| error.to_string())
}

fn start_desk(port: NetPort) -> Result<Desk, String> {
    Desk::start(port).map_err(|e| format!("the thread desk: {e}; {MORE_THREADS}"))
}

/// A port of the slow lane for each net thread; the backoffice has the other half.
fn slow_lane(config: &Config, ports: &[NetPort]) -> (Vec<LanePort>, LaneServer) {
    let limits = tidegate_lane::Limits {
        exchanges: config.slow_lane.exchanges,
        running: config.slow_lane.running,
    };
    let bells = ports.iter().map(NetPort::bell).collect();
    tidegate_lane::lane(ports.len(), bells, limits)
}

fn spawn_nets(
    net: &Net,
    layout: &Layout,
    ends: Vec<(NetPort, Option<LanePort>)>,
    listeners: Vec<OwnedFd>,
    stats: Vec<Arc<NetStats>>,
    shell: Shell,
) -> Result<Vec<JoinHandle<io::Result<()>>>, String> {
    let bells = ends.iter().map(|(port, _)| port.bell()).collect();
    let seats = seat::seats(bells, net.live.current().server.hand_over);
    let each = ends.into_iter().zip(seats).zip(listeners).zip(stats).enumerate();
    each.map(|(index, ((((port, lane), seat), listener), stats))| {
        let core = layout.net_cores.get(index).copied();
        net.spawn(index, core, (port, lane, seat), listener, stats, shell)
            .map_err(|e| format!("net thread {index}: {e}; {MORE_THREADS}"))
    })
    .collect()
}

/// The runtime of the waiting thread, and SIGHUP, which is listened for from the first moment: by default it would end a process that
/// is still recovering its log. What comes then is done when the gateway serves.
struct Signals {
    runtime: Runtime,
    hangup: Signal,
}

impl Signals {
    fn new() -> Result<Signals, String> {
        let failed = |error: io::Error| format!("signals: {error}; {MORE_THREADS}");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let guard = runtime.enter();
        let hangup = signal(SignalKind::hangup()).map_err(failed)?;
        drop(guard);
        Ok(Signals { runtime, hangup })
    }
}

/// Until SIGTERM, SIGINT, a drain by the admin address, a failed log, or a net thread that ended.
fn wait(
    signals: Signals,
    mut supervisor: Supervisor,
    net: &Net,
    host: &Host,
    failed: &AtomicBool,
    threads: &[JoinHandle<io::Result<()>>],
    reloader: &Reloader,
) {
    let Signals { runtime, mut hangup } = signals;
    runtime.block_on(async {
        let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        else {
            return;
        };
        loop {
            tokio::select! {
                _ = term.recv() => break,
                _ = int.recv() => break,
                // This thread does nothing else: it may read files.
                _ = hangup.recv() => {
                    reloader.reload("SIGHUP");
                }
                () = tokio::time::sleep(Duration::from_millis(100)) => {}
            }
            // A net thread that ended by itself took its connections along: better to start again than to serve half.
            if host.failure().is_some() || threads.iter().any(JoinHandle::is_finished) {
                failed.store(true, Ordering::Release);
                break;
            }
            if net.shared.drain.load(Ordering::Relaxed) {
                break;
            }
            supervisor.alive(Instant::now());
        }
    });
    tracing::info!("draining");
    supervisor.stopping();
    net.shared.drain.store(true, Ordering::Relaxed);
}

fn end(
    threads: Vec<JoinHandle<io::Result<()>>>,
    end_backoffice: Option<EndBackoffice>,
    host: Host,
    net: &Net,
) -> Result<i32, String> {
    let (mut status, mut panicked) = (0, false);
    for thread in threads {
        match thread.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(%error, "a net thread failed");
                status = 1;
            }
            Err(_) => panicked = true,
        }
    }
    // Before the shards: they end when nothing follows them any more.
    if let Some(end) = end_backoffice {
        end();
    }
    if panicked {
        drop(host);
        return Err("a net thread panicked; the log holds every order that was answered: start it again, and report what is above".into());
    }
    debug_assert_eq!(net.shared.connections.load(Ordering::Relaxed), 0);
    match host.stop() {
        Ok(()) => {
            tracing::info!("drained; the log is synced");
            Ok(status)
        }
        Err(failure) => Err(failure.text),
    }
}
