//! The real binary, started, killed and started again.

use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A port that is free now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// The process and how it is started.
pub struct Process {
    child: Option<Child>,
    set: Vec<String>,
    environment: Vec<(String, String)>,
    /// Where edges dial.
    pub grpc: u16,
    /// Metrics and health.
    pub admin: u16,
}

impl Process {
    /// Starts it with these keys, and waits until it listens.
    pub fn start(set: &[String], environment: &[(&str, &str)]) -> Process {
        let (grpc, admin) = (free_port(), free_port());
        let mut set = set.to_vec();
        set.push(format!("grpc.listen=127.0.0.1:{grpc}"));
        set.push(format!("admin.listen=127.0.0.1:{admin}"));
        set.push("logging.json=false".into());
        let mut process = Process {
            child: None,
            set,
            environment: environment
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            grpc,
            admin,
        };
        process.begin();
        process
    }

    /// Starts it, again.
    pub fn begin(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate-backoffice"));
        for set in &self.set {
            command.args(["--set", set]);
        }
        command.envs(self.environment.iter().cloned());
        if std::env::var_os("SHOW").is_none() {
            command.stderr(Stdio::null());
        }
        self.child = Some(command.spawn().expect("the binary starts"));
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.grpc)).is_err() {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "it listens within 20 s"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// With -9.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it is killed");
            child.wait().expect("it is gone");
        }
    }

    /// With SIGTERM; gives its status and how long it took.
    pub fn terminate(&mut self) -> (Option<i32>, Duration) {
        let mut child = self.child.take().expect("it runs");
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it is told");
        let begun = Instant::now();
        let status = child.wait().expect("it ends");
        (status.code(), begun.elapsed())
    }

    /// What a path of the admin address says, head and body.
    pub fn ask(&self, path: &str) -> String {
        use std::io::Write as _;
        let mut stream = TcpStream::connect(("127.0.0.1", self.admin)).expect("it listens");
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it is asked");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself.
            _ = child.kill();
            _ = child.wait();
        }
    }
}
