//! What a durable order allocates, counted over every thread of a real gateway: net, shard, writer and admin.
//!
//! This binary is both ends: it starts itself again as the gateway, under a counting allocator, and places the orders
//! from here, where nothing is counted. `ALLOCATION_SITES=1 cargo test -p tidegate --test allocations -- --nocapture`
//! names the places that allocate.

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tidegate::auth::jwt;
use tidegate::cli::RunArgs;
use tidegate::serve;

/// Calls that gave memory: `alloc`, `alloc_zeroed` and `realloc`.
static CALLS: AtomicU64 = AtomicU64::new(0);
/// Whether every [`SAMPLED`]th of them leaves its backtrace in [`SITES`].
static SAMPLING: AtomicBool = AtomicBool::new(false);
static SITES: Mutex<Vec<Backtrace>> = Mutex::new(Vec::new());
/// A prime, so that it does not beat with what repeats once an order.
const SAMPLED: u64 = 7;

thread_local! {
    /// A backtrace allocates, too: it is not counted.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

struct Counting;

fn note() {
    if INSIDE.try_with(Cell::get).unwrap_or(false) {
        return;
    }
    let calls = CALLS.fetch_add(1, Ordering::Relaxed);
    if SAMPLING.load(Ordering::Relaxed) && calls.is_multiple_of(SAMPLED) {
        INSIDE.set(true);
        let site = Backtrace::force_capture();
        if let Ok(mut sites) = SITES.lock() {
            sites.push(site);
        }
        INSIDE.set(false);
    }
}

// SAFETY: every call goes on to the system's allocator unchanged; counting touches no memory of it.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note();
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// No limits; a disk that others keep busy sheds nothing; the certificate's files are not looked at meanwhile.
const SETTINGS: [&str; 8] = [
    // What an order costs the edge: the store's thread allocates for each as well.
    "backoffice.mode=none",
    "limits.user.rate=off",
    "limits.address.rate=off",
    "limits.handshakes.rate=off",
    "overload.shed_after_ms=10000",
    "overload.stall_ms=30000",
    "timeouts.answer_ms=20000",
    "tls.reload_s=3600",
];

/// Names the data directory of the gateway that [`the_gateway_that_counts`] is to be.
const DATA: &str = "ALLOCATIONS_DATA";

#[test]
#[ignore = "the other end of the test below"]
fn the_gateway_that_counts() {
    let Some(data) = std::env::var_os(DATA).and_then(|data| data.into_string().ok()) else {
        return;
    };
    let args = RunArgs {
        data: Some(data),
        listen: Some("127.0.0.1:0".to_owned()),
        admin: Some("127.0.0.1:0".to_owned()),
        set: SETTINGS.map(str::to_owned).to_vec(),
        ..RunArgs::default()
    };
    let sources = args.sources();
    let config = sources.load().expect("a configuration");
    std::thread::spawn(|| {
        if let Err(problem) = serve::run(config, sources, None) {
            eprintln!("{problem}");
        }
        std::process::exit(1);
    });
    let wants_sites = std::env::var_os("ALLOCATION_SITES").is_some();
    // A line asks for the count. The parent kills this process when it has seen enough.
    for line in std::io::stdin().lines() {
        let calls = CALLS.load(Ordering::Relaxed);
        line.expect("the parent asks");
        if wants_sites && SAMPLING.swap(!SAMPLING.load(Ordering::Relaxed), Ordering::Relaxed) {
            print_sites();
        }
        println!("calls {calls}");
    }
}

/// The sampled backtraces, most frequent first, without the frames of std and of this file.
fn print_sites() {
    let sites = std::mem::take(&mut *SITES.lock().expect("nobody panicked"));
    let all = sites.len();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for trace in sites {
        let text = trace.to_string();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let frames = lines
            .windows(2)
            .filter(|pair| pair[1].starts_with("at ") && !pair[1].contains("/rustc/"))
            .filter(|pair| !pair[1].contains(file!().rsplit('/').next().unwrap_or_default()));
        let site: String = frames
            .take(6)
            .map(|pair| format!("\n    {} {}", pair[0], pair[1]))
            .collect();
        *counts.entry(site).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    for (site, count) in counts.iter().take(25) {
        eprintln!("{count} of {all} samples:{site}");
    }
}

/// The gateway's process; killed when dropped.
struct Gateway {
    child: Child,
    asks: ChildStdin,
    says: BufReader<ChildStdout>,
    address: String,
}

impl Gateway {
    fn start(data: &Path) -> Gateway {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "the_gateway_that_counts", "--ignored", "--nocapture"])
            .env(DATA, data)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts");
        let asks = child.stdin.take().expect("piped");
        let says = BufReader::new(child.stdout.take().expect("piped"));
        let mut gateway = Gateway {
            child,
            asks,
            says,
            address: String::new(),
        };
        let banner = gateway.line_with("listens on https://");
        gateway.address = banner.split(' ').next().expect("an address").to_owned();
        gateway
    }

    /// What follows `mark` in the next line that has it.
    fn line_with(&mut self, mark: &str) -> String {
        let mut line = String::new();
        while self.says.read_line(&mut line).expect("UTF-8") > 0 {
            if let Some((_, rest)) = line.split_once(mark) {
                return rest.trim_end().to_owned();
            }
            line.clear();
        }
        panic!("the gateway ended");
    }

    /// Allocations of the whole process so far.
    fn calls(&mut self) -> u64 {
        writeln!(self.asks, "count").expect("it runs");
        self.line_with("calls ").parse().expect("a number")
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A buyer on a kept connection, one order at a time.
struct Buyer {
    stream: rustls::StreamOwned<rustls::ClientConnection, TcpStream>,
    token: String,
    name: String,
    placed: usize,
}

impl Buyer {
    fn connect(gateway: &Gateway, data: &Path, name: String) -> Buyer {
        let mut roots = rustls::RootCertStore::empty();
        let cert = CertificateDer::from_pem_file(data.join("cert.pem")).expect("made at the first start");
        roots.add(cert).expect("a certificate");
        let config = rustls::ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let server = ServerName::try_from("localhost").expect("a name");
        let tls = rustls::ClientConnection::new(Arc::new(config), server).expect("a client");
        let socket = TcpStream::connect(&gateway.address).expect("it listens");
        socket.set_nodelay(true).expect("a socket");
        socket
            .set_read_timeout(Some(Duration::from_secs(30)))
            .expect("a time-out");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let token = jwt::issue(&data.join("token.key"), &name, &[], now.as_secs(), 3600).expect("a token");
        Buyer {
            stream: rustls::StreamOwned::new(tls, socket),
            token,
            name,
            placed: 0,
        }
    }

    fn place(&mut self) {
        let sku = self.placed % SKUS + 1;
        let body = format!("{{\"lines\":[{{\"sku\":\"SKU-{sku}\",\"qty\":1}}]}}");
        let request = format!(
            "POST /v1/orders HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\
             idempotency-key: {}-{}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.token,
            self.name,
            self.placed,
            body.len()
        );
        self.placed += 1;
        self.stream.write_all(request.as_bytes()).expect("sent");
        // An answer of one order is one record, so one read.
        let mut answer = [0; 4096];
        let length = self.stream.read(&mut answer).expect("an answer within 30 s");
        let text = String::from_utf8_lossy(&answer[..length]);
        assert!(text.starts_with("HTTP/1.1 201 ") && text.ends_with('}'), "{text}");
    }
}

/// Each connection places this many orders at once with the others'.
fn place(buyers: &mut [Buyer], each: usize) {
    std::thread::scope(|scope| {
        for buyer in buyers {
            scope.spawn(move || (0..each).for_each(|_| buyer.place()));
        }
    });
}

/// SKUs in demand; each has a shard of its own or shares it with another.
const SKUS: usize = 8;
const BUYERS: usize = 8;
/// Orders of a buyer before the count begins: 2,100 a shard, after its tables doubled (at 1,792 and 2,048 orders) and
/// long before they do again.
const WARM: usize = 2_100;
const MEASURED: usize = 1_000;

/// A buyer whose token is remembered, on a kept connection. What aws-lc allocates in C is not seen.
///
/// Two an order are rustls' own: the plaintext of the record read, the record written. The hundredth is for growth: a
/// shard takes room for 256 more orders at once.
#[test]
fn a_durable_order_allocates_only_rustls_two_records_in_the_whole_process() {
    let folder = tempfile::tempdir().expect("a directory");
    let mut gateway = Gateway::start(folder.path());
    let mut buyers: Vec<Buyer> = (0..BUYERS)
        .map(|n| Buyer::connect(&gateway, folder.path(), format!("buyer-{n}")))
        .collect();
    place(&mut buyers, WARM);
    let before = gateway.calls();
    place(&mut buyers, MEASURED);
    let calls = gateway.calls() - before;
    let orders = (BUYERS * MEASURED) as u64;
    println!(
        "h1 over TLS: {:.3} allocations an order",
        calls as f64 / orders as f64
    );
    assert!(calls <= 2 * orders + orders / 100, "{calls} for {orders} orders");
}
