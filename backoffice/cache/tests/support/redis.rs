//! A Redis of its own for a test, so that it can be killed and stopped; it goes with the test.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tidegate_cache::{Cache, Invalidator, Settings};

/// The variable that says that there are real servers.
const SERVER: &str = "TIDEGATE_TEST_REDIS";

/// The server.
pub struct Redis {
    child: Child,
    port: u16,
    directory: PathBuf,
}

impl Redis {
    /// Starts one that keeps nothing on disk; none, with a line that says so, where no servers are named.
    pub fn start() -> Option<Redis> {
        if std::env::var(SERVER).is_err() {
            println!(
                "SKIPPED: no Redis: {SERVER} is not set (scripts/services up redis, then eval \"$(scripts/services env)\")"
            );
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let directory = std::env::temp_dir().join(format!("tidegate-cache-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let child = launch(port, &directory);
        Some(Redis {
            child,
            port,
            directory,
        })
    }

    /// Settings of a cache on it, with an answer's deadline that a busy test machine meets.
    pub fn settings(&self) -> Settings {
        let mut settings = Settings::new(format!("redis://127.0.0.1:{}", self.port));
        settings.answer_timeout = Duration::from_millis(500);
        settings
    }

    /// Stops it as a machine does that stands still.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
    }

    /// And lets it go on.
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    /// Kills it with -9: it loses everything.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.child.wait().unwrap();
    }

    /// Starts it again, empty.
    pub fn start_again(&mut self) {
        self.child = launch(self.port, &self.directory);
    }

    /// Asks it by its own client.
    pub fn cli(&self, words: &[&str]) -> String {
        let output = Command::new("redis-cli")
            .args(["-p", &self.port.to_string()])
            .args(words)
            .output();
        String::from_utf8_lossy(&output.expect("redis-cli runs").stdout)
            .trim()
            .to_owned()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the server is there");
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
        _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn launch(port: u16, directory: &PathBuf) -> Child {
    let mut child = Command::new("redis-server")
        .args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ])
        .current_dir(directory)
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is in the PATH");
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(child.try_wait().unwrap().is_none(), "redis-server ended");
        assert!(begun.elapsed() < Duration::from_secs(20), "redis-server listens");
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

/// A cache and its invalidator, which has beaten once.
pub async fn followed(settings: Settings) -> (Cache, Invalidator) {
    let cache = Cache::open(settings).await.expect("the cache opens");
    let invalidator = cache.invalidator("store").expect("it is named");
    let begun = Instant::now();
    while let Err(error) = invalidator.beat().await {
        assert!(begun.elapsed() < Duration::from_secs(20), "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The driver tells of its first connection a moment after it is used; the invalidator then makes all void once more.
    tokio::time::sleep(Duration::from_millis(100)).await;
    invalidator.beat().await.expect("it beats");
    (cache, invalidator)
}
