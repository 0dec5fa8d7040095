//! Servers under test: started on one core, stopped by their own pid.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::affinity::{on_core, strays};
use crate::certificate::Certificate;
use crate::client::{Client, Http};
use crate::meter::children;

/// A first start fills a catalogue and zeroes log segments; more than this is a fault.
const START: Duration = Duration::from_secs(60);
/// Tidegate drains for at most 10 s.
const STOP: Duration = Duration::from_secs(15);
/// Ports that are tried: somebody else may take one between our looking and the server's binding.
const TRIES: usize = 5;

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// All of its processes, the one that we started first.
    pub pids: Vec<u32>,
    child: Child,
    core: usize,
}

/// What every server needs.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    /// The core that all its threads run on.
    pub core: usize,
    /// A folder of its own: configuration, data, output.
    pub folder: PathBuf,
    /// What it shows to clients.
    pub certificate: &'a Certificate,
}

impl Server {
    /// nginx that answers `200 ok` to everything over TLS, HTTP/1.1 and HTTP/2: one worker, no log, no limit on a connection's requests.
    ///
    /// # Errors
    /// A sentence.
    pub fn nginx(program: &Path, place: &Place<'_>) -> Result<Server, String> {
        let start = |address: SocketAddr| {
            let file = place.folder.join("nginx.conf");
            fs::write(&file, nginx_conf(address, place)).map_err(|e| format!("{}: {e}", file.display()))?;
            let mut command = Command::new(program);
            command
                .arg("-c")
                .arg(&file)
                .arg("-p")
                .arg(&place.folder)
                .arg("-e")
                .arg(place.folder.join("error.log"));
            Ok(command)
        };
        let mut server = Server::start("nginx", place, start)?;
        server.pids.extend(children(server.child.id()));
        Ok(server)
    }

    /// Tidegate with one net and one shard thread, a data directory that does not exist yet (but for `token_key`, if there is one to share), and
    /// no limits. `set` are further `section.key=value`.
    ///
    /// # Errors
    /// A sentence.
    pub fn tidegate(
        program: &Path,
        place: &Place<'_>,
        token_key: Option<&Path>,
        set: &[String],
    ) -> Result<Server, String> {
        let data = place.folder.join("data");
        let start = |address: SocketAddr| {
            if data.exists() {
                fs::remove_dir_all(&data).map_err(|e| format!("{}: {e}", data.display()))?;
            }
            if let Some(key) = token_key {
                fs::create_dir_all(&data).map_err(|e| format!("{}: {e}", data.display()))?;
                fs::copy(key, data.join("token.key")).map_err(|e| format!("{}: {e}", key.display()))?;
            }
            let mut command = Command::new(program);
            command.arg("run").arg("--data").arg(&data);
            command.args(["--listen", &address.to_string(), "--admin", "127.0.0.1:0"]);
            for setting in tidegate_settings(place).iter().chain(set) {
                command.args(["--set", setting]);
            }
            Ok(command)
        };
        let server = Server::start("tidegate", place, start)?;
        let strays = server.strays();
        if strays.is_empty() {
            Ok(server)
        } else {
            Err(format!(
                "these threads of tidegate are not bound to core {}: {}",
                place.core,
                strays.join(", ")
            ))
        }
    }

    fn start(
        name: &str,
        place: &Place<'_>,
        command: impl Fn(SocketAddr) -> Result<Command, String>,
    ) -> Result<Server, String> {
        fs::create_dir_all(&place.folder).map_err(|e| format!("{}: {e}", place.folder.display()))?;
        let output = place.folder.join("output.txt");
        let mut why = String::new();
        for _ in 0..TRIES {
            let address = free_address()?;
            let log = File::create(&output).map_err(|e| format!("{}: {e}", output.display()))?;
            let again = log.try_clone().map_err(|e| e.to_string())?;
            let mut command = command(address)?;
            command.stdin(Stdio::null()).stdout(log).stderr(again);
            let child = on_core(place.core, || {
                command
                    .spawn()
                    .map_err(|e| format!("{name} ({:?}): {e}", command.get_program()))
            })?;
            let mut server = Server {
                address,
                pids: vec![child.id()],
                child,
                core: place.core,
            };
            match server.wait_until_ready(place.certificate) {
                Ok(()) => return Ok(server),
                Err(error) => why = error,
            }
        }
        let said = fs::read_to_string(&output).unwrap_or_default();
        let tail: Vec<&str> = said.lines().rev().take(5).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        Err(format!("{name} did not start: {why}\n{}", tail.join("\n")))
    }

    fn wait_until_ready(&mut self, certificate: &Certificate) -> Result<(), String> {
        let client = Client::new(self.address, &certificate.cert, Http::One)?;
        let until = Instant::now() + START;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("it ended with {status}"));
            }
            match client.request("GET", "/v1/stock/SKU-1", "", "") {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > until => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// Its threads that may run elsewhere than on its core.
    pub fn strays(&self) -> Vec<String> {
        self.pids.iter().flat_map(|pid| strays(*pid, self.core)).collect()
    }

    /// The core it runs on.
    pub fn core(&self) -> usize {
        self.core
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    fn stop(&mut self) {
        if !self.is_alive() {
            return;
        }
        if let Some(pid) = Pid::from_raw(self.child.id() as i32) {
            // It cannot be another's pid: the child was not waited for.
            let _ = kill_process(pid, Signal::TERM);
        }
        let until = Instant::now() + STOP;
        while self.is_alive() {
            if Instant::now() > until {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A port that nobody has just now.
fn free_address() -> Result<SocketAddr, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|e| format!("no free port: {e}"))?;
    listener.local_addr().map_err(|e| e.to_string())
}

fn nginx_conf(address: SocketAddr, place: &Place<'_>) -> String {
    let folder = place.folder.display();
    let (cert, key) = (place.certificate.cert.display(), place.certificate.key.display());
    format!(
        "daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log error;
worker_rlimit_nofile 16384;
events {{ worker_connections 12000; }}
http {{
    access_log off;
    keepalive_timeout 1h;
    keepalive_time 24h;
    keepalive_requests 1000000000;
    http2_max_concurrent_streams 128;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen {address} ssl http2 backlog=8192;
        ssl_certificate \"{cert}\";
        ssl_certificate_key \"{key}\";
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_session_cache shared:tls:10m;
        location / {{ return 200 ok; }}
    }}
}}
"
    )
}

/// Everything on one core; limits are on, as in production, and so high that they never refuse the generator: a full bucket
/// outlasts every lane.
fn tidegate_settings(place: &Place<'_>) -> Vec<String> {
    let (core, certificate) = (place.core, place.certificate);
    vec![
        format!("tls.cert={}", certificate.cert.display()),
        format!("tls.key={}", certificate.key.display()),
        "backoffice.mode=none".into(),
        "server.threads=1".into(),
        format!("server.cores=[{core}]"),
        "shards.threads=1".into(),
        format!("shards.cores=[{core}]"),
        "shards.placement=shared".into(),
        "limits.user.rate=100000".into(),
        "limits.user.burst=1000000".into(),
        "limits.address.rate=100000".into(),
        "limits.address.burst=1000000".into(),
        "limits.handshakes.rate=off".into(),
        "http.requests_per_connection=1000000000".into(),
        "http.h2_streams=128".into(),
    ]
}
