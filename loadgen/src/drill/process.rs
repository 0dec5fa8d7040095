//! A process under test: started, watched and killed by the drill. Only a process that was started here is ever killed.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A running process with an admin address; killed when its last clone is dropped.
#[derive(Clone)]
pub struct Process {
    name: &'static str,
    child: Arc<Mutex<Child>>,
    admin: SocketAddr,
}

/// A free loopback port.
pub fn free_address() -> Result<SocketAddr, String> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .map_err(|e| format!("no free port: {e}; is loopback up (`ip link show lo`)?"))
}

impl Process {
    /// Starts it, with what it says at the end of a file. `named`: the argument that says where its program is.
    pub fn start(
        name: &'static str,
        mut command: Command,
        admin: SocketAddr,
        said: &Path,
        named: &str,
    ) -> Result<Process, String> {
        let output = output(said)?;
        let errors = output
            .try_clone()
            .map_err(|e| format!("{}: {e}", said.display()))?;
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(|e| format!("{program}: {e}; build it, or name it with {named}"))?;
        Ok(Process {
            name,
            child: Arc::new(Mutex::new(child)),
            admin,
        })
    }

    /// Waits until `/readyz` says yes.
    pub fn wait_ready(&self, patience: Duration) -> Result<Duration, String> {
        let start = Instant::now();
        while start.elapsed() < patience {
            if let Some(status) = self.ended() {
                return Err(format!(
                    "{} ended while it started: {status}; its last lines are above",
                    self.name
                ));
            }
            if is_ready(self.admin) {
                return Ok(start.elapsed());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(format!(
            "{} was not ready within {patience:?}; its last lines are above, and its command `doctor` tries what it depends on",
            self.name
        ))
    }

    /// `Err` when it has ended, which nobody asked for.
    pub fn lives(&self) -> Result<(), String> {
        match self.ended() {
            None => Ok(()),
            Some(status) => Err(format!(
                "{} ended by itself: {status}; its last lines are above",
                self.name
            )),
        }
    }

    fn ended(&self) -> Option<ExitStatus> {
        self.child.lock().ok()?.try_wait().ok()?
    }

    /// Kills it with -9 and waits for its end. `Err` when it had ended by itself.
    pub fn kill(&self) -> Result<(), String> {
        self.lives()?;
        let mut child = self.child.lock().map_err(|_| "a thread of the drill panicked")?;
        child
            .kill()
            .and_then(|()| child.wait())
            .map(|_| ())
            .map_err(|e| format!("kill: {e}"))
    }

    /// Asks it to stop (SIGTERM) and waits; `Err` unless it ends with status 0.
    pub fn stop(&self, patience: Duration) -> Result<(), String> {
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
            match self.ended() {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("after SIGTERM {} ended with {status}", self.name)),
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        Err(format!("{} did not stop within {patience:?}", self.name))
    }
}

impl Drop for Process {
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

/// The last lines that a process said, for a failure's message.
pub fn last_words(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}
