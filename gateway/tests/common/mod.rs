//! A real gateway process and a small blocking HTTPS client, for tests from outside.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};

/// The binary under test.
pub const TIDEGATE: &str = env!("CARGO_BIN_EXE_tidegate");

/// `tidegate run` on free ports of loopback.
pub fn run(data: &Path) -> Command {
    let mut command = Command::new(TIDEGATE);
    command
        .args([
            "run",
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
            "--data",
        ])
        .arg(data);
    command
}

/// Runs a command to its end.
pub fn tidegate(args: &[&str]) -> Output {
    Command::new(TIDEGATE)
        .args(args)
        .output()
        .expect("the binary starts")
}

/// What a process said.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A path of a test, as an argument.
pub fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// A running gateway; killed with -9 when dropped.
pub struct Gateway {
    child: Child,
    pub data: PathBuf,
    pub address: String,
    pub admin: String,
}

impl Gateway {
    /// Starts on free ports and waits for the banner.
    pub fn start(data: &Path, set: &[&str]) -> Gateway {
        let mut command = run(data);
        set.iter().for_each(|pair| {
            command.args(["--set", pair]);
        });
        Gateway::launch(data, command)
    }

    /// Starts with what a file says.
    pub fn start_with(data: &Path, file: &Path) -> Gateway {
        let mut command = run(data);
        command.arg("--config").arg(file);
        Gateway::launch(data, command)
    }

    /// Starts with more environment.
    pub fn start_in(data: &Path, environment: &[(&str, &str)]) -> Gateway {
        let mut command = run(data);
        command.envs(environment.iter().copied());
        Gateway::launch(data, command)
    }

    /// Starts a command that becomes a gateway, and waits for the banner.
    pub fn launch(data: &Path, mut command: Command) -> Gateway {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the binary starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let first = loop {
            match lines.next() {
                Some(Ok(line)) if line.contains("listens on") => break line,
                Some(Ok(_)) => {}
                _ => panic!("the gateway ended without a banner"),
            }
        };
        // Whatever else it prints must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let after = |mark: &str| {
            let rest = &first[first.find(mark).expect("the banner names both addresses") + mark.len()..];
            rest.split([' ', ';']).next().unwrap_or_default().to_owned()
        };
        let (address, admin) = (after("https://"), after("admin: http://"));
        Gateway {
            child,
            data: data.to_owned(),
            address,
            admin,
        }
    }

    /// A token of `tidegate token`.
    pub fn token(&self, user: &str, role: Option<&str>) -> String {
        let mut command = Command::new(TIDEGATE);
        command.args(["token", "--user", user, "--data"]).arg(&self.data);
        if let Some(role) = role {
            command.args(["--role", role]);
        }
        let output = command.output().expect("the binary starts");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout)
            .expect("a token is ASCII")
            .trim()
            .to_owned()
    }

    /// A connection that trusts the gateway's own certificate.
    pub fn connect(&self) -> Client {
        self.connect_by(&[], None)
    }

    /// A connection that begins with bytes before TLS, in the pieces given, and whose client has a certificate (or none).
    pub fn connect_by(&self, before: &[&[u8]], identity: Option<&Identity>) -> Client {
        let mut socket = TcpStream::connect(&self.address).expect("it listens");
        for (n, piece) in before.iter().enumerate() {
            if n > 0 {
                std::thread::sleep(Duration::from_millis(20));
            }
            socket.write_all(piece).expect("sent");
        }
        let name = ServerName::try_from("localhost").expect("a name");
        let config = Arc::new(self.client_config(identity));
        let tls = rustls::ClientConnection::new(config, name).expect("a client");
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .expect("a time-out");
        Client {
            stream: rustls::StreamOwned::new(tls, socket),
            unread: Vec::new(),
        }
    }

    fn client_config(&self, identity: Option<&Identity>) -> rustls::ClientConfig {
        let mut roots = rustls::RootCertStore::empty();
        let cert =
            CertificateDer::from_pem_file(self.data.join("cert.pem")).expect("made at the first start");
        roots.add(cert).expect("a certificate");
        let builder = rustls::ClientConfig::builder().with_root_certificates(roots);
        match identity {
            Some((chain, key)) => builder
                .with_client_auth_cert(chain.clone(), key.clone_key())
                .expect("a key of the certificate"),
            None => builder.with_no_client_auth(),
        }
    }

    /// A plain GET of the admin address: status and body.
    pub fn admin(&self, path: &str) -> (u16, String) {
        self.ask_admin("GET", path)
    }

    /// A request without a body to the admin address: status and body.
    pub fn ask_admin(&self, method: &str, path: &str) -> (u16, String) {
        let mut socket = TcpStream::connect(&self.admin).expect("the admin address listens");
        write!(
            socket,
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        )
        .expect("sent");
        let mut text = String::new();
        socket.read_to_string(&mut text).expect("an answer");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        (head[9..12].parse().expect("a status"), body.to_owned())
    }

    /// The values of a metric, one a net thread (or whatever its label is), in the order shown.
    pub fn metric(&self, name: &str) -> Vec<u64> {
        let (_, text) = self.admin("/metrics");
        let values = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let (labels, value) = rest.rsplit_once(' ')?;
            (labels.is_empty() || labels.starts_with('{')).then(|| value.parse().expect("a whole number"))
        });
        values.collect()
    }

    /// Waits until a metric, summed over its labels, is as wanted: figures are published ten times a second.
    pub fn wait_for(&self, name: &str, wanted: impl Fn(u64) -> bool) -> Vec<u64> {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let values = self.metric(name);
            if wanted(values.iter().sum()) {
                return values;
            }
            assert!(Instant::now() < until, "{name} stays at {values:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// SIGKILL, and wait until it is gone.
    pub fn kill(mut self) -> PathBuf {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
        self.data.clone()
    }

    /// A line of `/metrics` by its name and labels; 0 if there is none.
    pub fn figure(&self, line: &str) -> u64 {
        let (_, text) = self.admin("/metrics");
        let found = text
            .lines()
            .find_map(|text| text.strip_prefix(line)?.strip_prefix(' '));
        found.map_or(0, |value| value.parse().expect("a whole number"))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("it runs");
    }

    /// SIGTERM; the exit status.
    pub fn terminate(&mut self) -> i32 {
        self.signal(rustix::process::Signal::TERM);
        self.wait(Duration::from_secs(30))
    }

    /// The exit status of a process that ends by itself.
    pub fn wait(&mut self, time: Duration) -> i32 {
        let until = Instant::now() + time;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status.code().unwrap_or(-1);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the gateway did not end within {time:?}");
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client's certificate chain and key.
pub type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Waits for what takes milliseconds, and fails after 20 s.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// One HTTPS connection, one request at a time.
pub struct Client {
    stream: rustls::StreamOwned<rustls::ClientConnection, TcpStream>,
    unread: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Response {
    /// A member of the JSON body as text, strings without their quotes.
    pub fn member(&self, name: &str) -> String {
        let json: serde_json::Value = serde_json::from_str(&self.body).expect("a JSON body");
        json[name]
            .as_str()
            .map_or_else(|| json[name].to_string(), str::to_owned)
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .into_iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

impl Client {
    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("sent");
        self.stream.flush().expect("sent");
    }

    /// Whether the gateway ends the connection without an answer: asks for something and waits.
    pub fn is_cut(&mut self) -> bool {
        use std::io::ErrorKind::{TimedOut, WouldBlock};
        if !self.try_send(b"GET /v1/stock/SKU-1 HTTP/1.1\r\nhost: localhost\r\n\r\n") {
            return true;
        }
        match self.stream.read(&mut [0; 512]) {
            Ok(length) => length == 0,
            Err(error) => !matches!(error.kind(), TimedOut | WouldBlock),
        }
    }

    /// Writes fail after this long instead of waiting.
    pub fn give_up_after(&mut self, time: Duration) {
        self.stream
            .sock
            .set_write_timeout(Some(time))
            .expect("a time-out");
    }

    /// Sends bytes, or says that the peer takes no more.
    pub fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream
            .write_all(bytes)
            .and_then(|()| self.stream.flush())
            .is_ok()
    }

    /// One request with a JSON body (or none) and further header lines.
    pub fn request(
        &mut self,
        method: &str,
        path: &str,
        token: &str,
        more: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
        if !token.is_empty() {
            head += &format!("authorization: Bearer {token}\r\n");
        }
        for (name, value) in more {
            head += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() || method != "GET" {
            if !more.iter().any(|(name, _)| *name == "content-type") {
                head += "content-type: application/json\r\n";
            }
            head += &format!("content-length: {}\r\n", body.len());
        }
        self.send(format!("{head}\r\n{body}").as_bytes());
        self.response()
    }

    /// Places an order of one line.
    pub fn place(&mut self, token: &str, key: &str, sku: &str, qty: u32) -> Response {
        let body = format!("{{\"lines\":[{{\"sku\":\"{sku}\",\"qty\":{qty}}}]}}");
        self.request("POST", "/v1/orders", token, &[("idempotency-key", key)], &body)
    }

    /// Reads one answer with a content-length.
    pub fn response(&mut self) -> Response {
        loop {
            if let Some(end) = self.unread.windows(4).position(|w| w == b"\r\n\r\n") {
                let head = String::from_utf8(self.unread[..end].to_vec()).expect("ASCII");
                let length = head
                    .lines()
                    .filter_map(|line| line.split_once(": "))
                    .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                    .map_or(0, |(_, value)| value.parse().expect("a length"));
                if self.unread.len() >= end + 4 + length {
                    let body =
                        String::from_utf8(self.unread[end + 4..end + 4 + length].to_vec()).expect("UTF-8");
                    self.unread.drain(..end + 4 + length);
                    let status = head[9..12].parse().expect("a status");
                    return Response { status, head, body };
                }
            }
            let mut buffer = [0; 4096];
            let length = self.stream.read(&mut buffer).expect("an answer within 20 s");
            assert!(length > 0, "the connection ended in the middle of an answer");
            self.unread.extend_from_slice(&buffer[..length]);
        }
    }
}
