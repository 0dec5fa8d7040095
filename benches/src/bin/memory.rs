//! What things cost in memory: a million open orders, and idle TLS connections of a running Tidegate.
//!
//! ```text
//! cargo run --release -p tidegate-benches --bin memory
//! ```
//! Bars: 250 MB; 24 KiB a connection on HTTP/1.1, 64 KiB on HTTP/2. Resident memory is what is measured, so the allocator's own
//! losses count. The kernel's buffers of a socket are not in it, for no server.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tidegate_benches::certificate::Certificate;
use tidegate_benches::client::{Client, Connection, Http, ask_and_keep};
use tidegate_benches::meter::resident_bytes;
use tidegate_benches::programs::build;
use tidegate_benches::server::{Place, Server};
use tidegate_benches::shop::{NOW, order, shard};
use tidegate_shard_core::Input;

/// Memory a thing of each kind.
#[derive(Debug, Parser)]
#[command(name = "memory")]
struct Arguments {
    /// Open orders in one shard; 0 leaves them out.
    #[arg(long, default_value_t = 1_000_000)]
    orders: u64,
    /// Idle connections of each protocol; 0 leaves them out.
    #[arg(long, default_value_t = 2000)]
    connections: usize,
    /// Tidegate's binary; built when not given.
    #[arg(long)]
    tidegate: Option<PathBuf>,
    /// How Tidegate's net thread does I/O: uring, monoio, epoll.
    #[arg(long)]
    io: Option<String>,
    /// Another setting of Tidegate, as section.key=value.
    #[arg(long)]
    set: Vec<String>,
    /// Where its data directory goes.
    #[arg(long, default_value = "target/compare")]
    data_root: PathBuf,
}

/// Connections that are there before the first reading: they warm the allocator and the server's buffers up.
const WARM: usize = 64;
/// After the last connection, until what the server does lazily is done.
const SETTLE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    match measure(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("memory: {problem}");
            ExitCode::from(2)
        }
    }
}

fn measure(arguments: &Arguments) -> Result<bool, String> {
    let mut holds = true;
    println!("| | each | bar | |\n|---|--:|--:|---|");
    if arguments.orders > 0 {
        holds &= open_orders(arguments.orders)?;
    }
    if arguments.connections > 0 {
        let folder = arguments.data_root.join(format!("memory-{}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let result = idle(arguments, &folder.canonicalize().map_err(|e| e.to_string())?);
        let _ = std::fs::remove_dir_all(&folder);
        holds &= result?;
    }
    Ok(holds)
}

/// One line of the table; whether the bar holds.
fn row(what: &str, each: f64, bar: f64, unit: &str) -> bool {
    let holds = each <= bar;
    println!(
        "| {what} | {each:.1} {unit} | {bar:.0} {unit} | {} |",
        if holds { "holds" } else { "**missed**" }
    );
    holds
}

/// Orders of different buyers with keys of their own, over a hundred SKUs of one shard, each with a buyer's limit.
fn open_orders(count: u64) -> Result<bool, String> {
    let resident = || resident_bytes(std::process::id()).ok_or("/proc/self/status cannot be read");
    let before = resident()?;
    let mut shard = shard(100, Some(2));
    for number in 0..count {
        let entry = shard.decide(NOW, Input::Command(&order(number, 100))).entry;
        shard.apply(&entry.ok_or("an order was refused")?);
    }
    let grown = resident()?.saturating_sub(before) as f64;
    assert_eq!(shard.open_orders(), count);
    let million = grown / count as f64;
    Ok(row("a million open orders", million, 250.0, "MB"))
}

fn idle(arguments: &Arguments, folder: &std::path::Path) -> Result<bool, String> {
    let program = match &arguments.tidegate {
        Some(path) => path.clone(),
        None => build("tidegate", "tidegate", "release")?,
    };
    let certificate = Certificate::make(folder)?;
    let mut set = arguments.set.clone();
    set.extend(arguments.io.iter().map(|io| format!("server.io={io}")));
    let mut holds = true;
    for (http, name, bar) in [(Http::One, "HTTP/1.1", 24.0), (Http::Two, "HTTP/2", 64.0)] {
        for used in [false, true] {
            // A process of its own for each: what one freed, the next would get for nothing.
            let place = Place {
                core: 0,
                folder: folder.join(format!("{name}-{used}").replace('/', "-")),
                certificate: &certificate,
            };
            let mut server = Server::tidegate(&program, &place, None, &set)?;
            let each =
                idle_connections(&mut server, &certificate, http, arguments.connections, used)? / 1024.0;
            let state = if used {
                "after a request"
            } else {
                "after the handshake"
            };
            holds &= row(
                &format!("an idle TLS connection, {name}, {state}"),
                each,
                bar,
                "KiB",
            );
        }
    }
    Ok(holds)
}

/// Bytes by which the server grows with each connection.
fn idle_connections(
    server: &mut Server,
    certificate: &Certificate,
    http: Http,
    count: usize,
    used: bool,
) -> Result<f64, String> {
    let client = Client::new(server.address, &certificate.cert, http)?;
    let authority = server.address.to_string();
    let open = |count: usize| -> Result<Vec<Connection>, String> {
        let mut connections = Vec::with_capacity(count);
        for _ in 0..count {
            let mut connection = client.connect()?;
            if used {
                ask_and_keep(&mut connection, http, &authority, "/v1/stock/SKU-1")?;
            }
            connections.push(connection);
        }
        Ok(connections)
    };
    let resident = |server: &Server| resident_bytes(server.pids[0]).ok_or("the server is gone");
    let warm = open(WARM)?;
    std::thread::sleep(SETTLE);
    let before = resident(server)?;
    let connections = open(count)?;
    std::thread::sleep(SETTLE);
    let after = resident(server)?;
    if !server.is_alive() {
        return Err("the server ended".into());
    }
    drop((warm, connections));
    Ok(after.saturating_sub(before) as f64 / count as f64)
}
