//! What lies between a store and its server, and breaks when it is told to.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

const PASS: u8 = 0;
const CUT_AFTER_COMMIT: u8 = 1;
const COMMITTING: u8 = 2;
const SILENT: u8 = 3;

/// A proxy on loopback. Its threads end with their connections.
pub struct Proxy {
    port: u16,
    mode: Arc<AtomicU8>,
}

impl Proxy {
    /// In front of the server of a URL.
    pub fn before(url: &str) -> Proxy {
        let server = authority(url).to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let mode = Arc::new(AtomicU8::new(PASS));
        let seen = Arc::clone(&mode);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(&server)) else {
                    return;
                };
                let other = |stream: &TcpStream| stream.try_clone().expect("a handle");
                let (client_again, server_again) = (other(&client), other(&server));
                let (up, down) = (Arc::clone(&seen), Arc::clone(&seen));
                std::thread::spawn(move || carry(client, server, &up, true));
                std::thread::spawn(move || carry(server_again, client_again, &down, false));
            }
        });
        Proxy { port, mode }
    }

    /// The URL by way of it.
    pub fn url(&self, url: &str) -> String {
        url.replace(authority(url), &format!("127.0.0.1:{}", self.port))
    }

    /// The next COMMIT reaches the server, and its answer nobody.
    pub fn lose_the_next_commit(&self) {
        self.mode.store(CUT_AFTER_COMMIT, Ordering::SeqCst);
    }

    /// Takes everything and hands nothing on, or does so again.
    pub fn silent(&self, silent: bool) {
        self.mode
            .store(if silent { SILENT } else { PASS }, Ordering::SeqCst);
    }
}

fn authority(url: &str) -> &str {
    let after = url.rsplit_once('@').expect("a user").1;
    after.split_once('/').expect("a database").0
}

fn carry(mut from: TcpStream, mut to: TcpStream, mode: &AtomicU8, to_server: bool) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        let bytes = &bytes[..count];
        let commits = to_server && bytes.windows(6).any(|window| window == b"COMMIT");
        if commits {
            _ = mode.compare_exchange(CUT_AFTER_COMMIT, COMMITTING, Ordering::SeqCst, Ordering::SeqCst);
        }
        let lost = !to_server
            && mode
                .compare_exchange(COMMITTING, PASS, Ordering::SeqCst, Ordering::SeqCst)
                .is_ok();
        if lost {
            break;
        }
        if mode.load(Ordering::SeqCst) != SILENT && to.write_all(bytes).is_err() {
            break;
        }
    }
    _ = to.shutdown(Shutdown::Both);
    _ = from.shutdown(Shutdown::Both);
}
