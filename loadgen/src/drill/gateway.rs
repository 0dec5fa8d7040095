//! The gateway under test: started, watched and killed by the drill. Only the process that was started here is ever killed.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::verify::store;

/// How a gateway is started.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The program.
    pub program: PathBuf,
    /// Its data.
    pub data: PathBuf,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Its admin address.
    pub admin: SocketAddr,
    /// Where its output goes.
    pub output: PathBuf,
    /// `backoffice.mode`.
    pub backoffice: String,
    /// `backoffice.store`, if it is not where it is by default.
    pub store: Option<PathBuf>,
}

/// A running gateway; killed when it is dropped.
#[derive(Clone)]
pub struct Gateway {
    child: Arc<Mutex<Child>>,
    admin: SocketAddr,
}

/// A free loopback port.
pub fn free_address() -> Result<SocketAddr, String> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .map_err(|e| format!("no free port: {e}; is loopback up (`ip link show lo`)?"))
}

impl Gateway {
    /// Starts it with this many shard threads.
    pub fn start(setup: &Setup, threads: usize) -> Result<Gateway, String> {
        let output = output(&setup.output)?;
        let errors = output
            .try_clone()
            .map_err(|e| format!("{}: {e}", setup.output.display()))?;
        let store = setup
            .store
            .iter()
            .flat_map(|file| ["--set".to_owned(), store::setting(file)]);
        let child = Command::new(&setup.program)
            .args(["run", "--data"])
            .arg(&setup.data)
            .args([
                "--listen",
                &setup.listen.to_string(),
                "--admin",
                &setup.admin.to_string(),
            ])
            .args(["--set", &format!("shards.threads={threads}")])
            .args(["--set", &format!("backoffice.mode={}", setup.backoffice)])
            .args(store)
            // Small segments: they are switched, closed and read back often, which is what a drill is for.
            .args(["--set", "shards.segment_bytes=2097152"])
            .args(["--set", "shards.checkpoint_bytes=4194304"])
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(|e| {
                format!(
                    "{}: {e}; build it, or name it with --tidegate",
                    setup.program.display()
                )
            })?;
        Ok(Gateway {
            child: Arc::new(Mutex::new(child)),
            admin: setup.admin,
        })
    }

    /// Waits until `/readyz` says yes.
    pub fn wait_ready(&self, patience: Duration) -> Result<Duration, String> {
        let start = Instant::now();
        while start.elapsed() < patience {
            if let Some(status) = self.ended() {
                return Err(format!(
                    "the gateway ended while it started: {status}; its last lines are above"
                ));
            }
            if is_ready(self.admin) {
                return Ok(start.elapsed());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(format!(
            "the gateway was not ready within {patience:?}; its last lines are above, and `tidegate doctor` times the disk"
        ))
    }

    fn ended(&self) -> Option<ExitStatus> {
        self.child.lock().ok()?.try_wait().ok()?
    }

    /// Kills it with -9 and waits for its end. `Err` when it had ended by itself.
    pub fn kill(&self) -> Result<(), String> {
        if let Some(status) = self.ended() {
            return Err(format!(
                "the gateway ended by itself: {status}; its last lines are above"
            ));
        }
        let mut child = self.child.lock().map_err(|_| "a thread of the drill panicked")?;
        child
            .kill()
            .and_then(|()| child.wait())
            .map(|_| ())
            .map_err(|e| format!("kill: {e}"))
    }

    /// Asks it to stop (SIGTERM) and waits.
    pub fn stop(&self, patience: Duration) -> Result<ExitStatus, String> {
        let id = self
            .child
            .lock()
            .map_err(|_| "a thread of the drill panicked")?
            .id();
        let pid = rustix::process::Pid::from_raw(id as i32).ok_or("no such process")?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)
            .map_err(|e| format!("SIGTERM: {e}"))?;
        let start = Instant::now();
        while start.elapsed() < patience {
            if let Some(status) = self.ended() {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(format!("the gateway did not stop within {patience:?}"))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if Arc::strong_count(&self.child) == 1 {
            // It may have ended already.
            let _ = self.kill();
        }
    }
}

fn output(path: &Path) -> Result<File, String> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(|e| format!("{}: {e}", path.display()))
}

fn is_ready(admin: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&admin, Duration::from_millis(200))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n")?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        Ok(head.starts_with(b"HTTP/1.1 200"))
    };
    ask().unwrap_or(false)
}

/// The last lines the gateway said, for a failure's message.
pub fn last_words(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}
