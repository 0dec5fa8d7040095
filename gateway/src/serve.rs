//! `tidegate run`: everything started in order, one wait, everything ended in order.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tidegate_host::{Host, NetPort, Progress};

use crate::admin::{self, Admin};
use crate::auth::keys::{SharedKeys, Sources};
use crate::certs::Certificates;
use crate::config::Config;
use crate::config::checked::own_certificate_files;
use crate::first_start::Banner;
use crate::net::{self, Net, Shell};
use crate::observe::Observer;
use crate::shards::{self, Layout};
use crate::worker::stats::NetStats;
use crate::{catalogue, first_start};

/// Serves until a signal ends it. Returns the process's exit status: 0 after an orderly drain.
///
/// # Errors
/// One line: what could not be started and what to do about it.
pub fn run(config: Config) -> Result<i32, String> {
    let config = Arc::new(config);
    let fresh = first_start::is_fresh(&config.server.data);
    let made = first_start::prepare(&config)?;
    net::raise_descriptor_limit(config.server.connections_max);
    let (shell, fallback) = Shell::choose(config.server.io)?;
    if let Some(line) = fallback {
        tracing::warn!("{line}");
    }
    let certificates = Arc::new(Certificates::load(&config.tls)?);
    let keys = Arc::new(load_keys(&config)?);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let layout = Layout::of(&config, cores);
    let listeners = bind_all(config.server.listen, layout.nets)?;
    let (host, mut ports) = start_host(&config, &layout)?;
    let mut control = ports.pop().ok_or("the host gave too few ports")?;
    if first_start::is_catalogue_due(&config.server.data) {
        catalogue::put(&mut control, &first_start::sample_catalogue())?;
        first_start::catalogue_done(&config.server.data)?;
    }
    drop(control);

    let address = net::local_address(&listeners[0]).map_err(|e| e.to_string())?;
    let net = Net::new(Arc::clone(&config), Arc::clone(&keys), Arc::clone(&certificates));
    let net_stats: Vec<Arc<NetStats>> = listeners.iter().map(|_| Arc::default()).collect();
    let serving = Arc::new(AtomicBool::new(false));
    let failed = Arc::new(AtomicBool::new(false));
    let observer = Arc::new(Observer {
        nets: net_stats.clone(),
        shards: host.stats(),
        scrub: host.scrub_stats(),
        shared: Arc::clone(&net.shared),
        serving: Arc::clone(&serving),
        failed: Arc::clone(&failed),
        keys: Arc::clone(&keys),
        certificates: Arc::clone(&certificates),
        stall_ns: config.overload.stall.as_nanos() as u64,
    });
    let admin = admin::start(
        config.server.admin,
        Admin {
            source: observer,
            effective: config.effective.clone(),
            certificates: Some(certificates),
            keys: Some(keys),
            reload: config.tls.reload,
        },
    )
    .map_err(|e| {
        format!(
            "the admin address {}: {e}; choose another with --admin",
            config.server.admin
        )
    })?;
    let threads = spawn_nets(&net, &layout, ports, listeners, net_stats, shell)?;
    serving.store(true, Ordering::Release);
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
    wait(&net, &host, &failed, &threads);
    end(threads, host, &net)
}

fn load_keys(config: &Config) -> Result<SharedKeys, String> {
    let auth = &config.auth;
    SharedKeys::load(Sources {
        keys: auth.keys.clone(),
        jwks_file: auth.jwks_file.clone(),
        issuer: auth.issuer.clone(),
        audience: auth.audience.clone(),
        leeway: auth.leeway,
    })
}

/// One socket a net thread. The first finds the port, if 0 was asked for.
fn bind_all(address: SocketAddr, nets: usize) -> Result<Vec<OwnedFd>, String> {
    let bind =
        |address| net::listen(address).map_err(|e| format!("{address}: {e}; choose another with --listen"));
    let first = bind(address)?;
    let address = net::local_address(&first).map_err(|e| e.to_string())?;
    let mut listeners = vec![first];
    for _ in 1..nets {
        listeners.push(bind(address)?);
    }
    Ok(listeners)
}

fn start_host(config: &Config, layout: &Layout) -> Result<(Host, Vec<NetPort>), String> {
    let began = Instant::now();
    let result = shards::start(
        config,
        layout.shards,
        layout.shard_cores.clone(),
        layout.nets,
        &mut |progress| match progress {
            Progress::Line(line) => tracing::info!("{line}"),
            Progress::Recovered { records, bytes } => {
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

fn spawn_nets(
    net: &Net,
    layout: &Layout,
    ports: Vec<NetPort>,
    listeners: Vec<OwnedFd>,
    stats: Vec<Arc<NetStats>>,
    shell: Shell,
) -> Result<Vec<JoinHandle<io::Result<()>>>, String> {
    let each = ports.into_iter().zip(listeners).zip(stats).enumerate();
    each.map(|(index, ((port, listener), stats))| {
        let core = layout.net_cores.get(index).copied();
        net.spawn(index, core, port, listener, stats, shell)
            .map_err(|e| format!("net thread {index}: {e}"))
    })
    .collect()
}

/// Until SIGTERM, SIGINT, a drain by the admin address, a failed log, or a net thread that ended.
fn wait(net: &Net, host: &Host, failed: &AtomicBool, threads: &[JoinHandle<io::Result<()>>]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else { return };
    runtime.block_on(async {
        use tokio::signal::unix::{SignalKind, signal};
        let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        else {
            return;
        };
        loop {
            tokio::select! {
                _ = term.recv() => break,
                _ = int.recv() => break,
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
        }
    });
    tracing::info!("draining");
    net.shared.drain.store(true, Ordering::Relaxed);
}

fn end(threads: Vec<JoinHandle<io::Result<()>>>, host: Host, net: &Net) -> Result<i32, String> {
    let mut status = 0;
    for thread in threads {
        match thread.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(%error, "a net thread failed");
                status = 1;
            }
            Err(_) => {
                return Err("a net thread panicked; the log holds every order that was answered".into());
            }
        }
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
