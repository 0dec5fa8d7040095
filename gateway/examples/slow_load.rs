//! Asks the slow lane for lists, for `scripts/slow-lane.sh`: so many a second over all connections, or, at rate 0, as many
//! as are answered.
//!
//! `slow_load ADDRESS CACERT TOKEN CONNECTIONS SECONDS RATE` prints how many answers of each status came.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, cacert, token, connections, seconds, rate] = &arguments[..] else {
        return Err("want ADDRESS CACERT TOKEN CONNECTIONS SECONDS RATE".into());
    };
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(cacert)?)?;
    let config = Arc::new(
        rustls::ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth(),
    );
    let request = format!(
        "GET /v1/orders?limit=20 HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    let until = Instant::now() + Duration::from_secs(seconds.parse()?);
    let (connections, rate): (u32, f64) = (connections.parse()?, rate.parse()?);
    let pause = if rate > 0.0 {
        Duration::from_secs_f64(f64::from(connections) / rate)
    } else {
        Duration::ZERO
    };
    let threads: Vec<_> = (0..connections)
        .map(|number| {
            let (config, address, request) = (Arc::clone(&config), address.clone(), request.clone());
            // One after another, so that a rate is a rate and not a burst of all of them.
            let first = Instant::now() + pause * number / connections;
            std::thread::spawn(move || ask_until((first, until), pause, config, &address, &request))
        })
        .collect();
    let mut statuses = BTreeMap::<String, u64>::new();
    for thread in threads {
        let counts = thread.join().map_err(|_| "a connection's thread panicked")??;
        counts
            .into_iter()
            .for_each(|(status, count)| *statuses.entry(status).or_default() += count);
    }
    for (status, count) in statuses {
        println!("{status} {count}");
    }
    Ok(())
}

fn ask_until(
    (first, until): (Instant, Instant),
    pause: Duration,
    config: Arc<rustls::ClientConfig>,
    address: &str,
    request: &str,
) -> Result<BTreeMap<String, u64>, Failure> {
    let tls = rustls::ClientConnection::new(config, ServerName::try_from("localhost")?)?;
    let mut stream = rustls::StreamOwned::new(tls, TcpStream::connect(address)?);
    let mut counts = BTreeMap::new();
    let mut next = first;
    while Instant::now() < until {
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        next += pause;
        stream.write_all(request.as_bytes())?;
        let status = answer(&mut stream)?;
        *counts.entry(status).or_default() += 1;
    }
    Ok(counts)
}

/// Reads one answer with a length; its status.
fn answer(stream: &mut impl Read) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Err("the connection ended".into());
        }
        bytes.extend_from_slice(&buffer[..count]);
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let head = std::str::from_utf8(&bytes[..end])?.to_ascii_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        if bytes.len() >= end + 4 + length.unwrap_or("0").parse::<usize>()? {
            return Ok(head.get(9..12).unwrap_or_default().to_owned());
        }
    }
}
