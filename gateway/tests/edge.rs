//! What the edge does with a socket before the first request, from outside: a real process and real sockets.

mod common;

use std::net::TcpStream;

use common::{Client, Gateway};

/// Limits that the tests would meet.
const OFF: [&str; 2] = ["limits.user.rate=off", "limits.address.rate=off"];
const SHELLS: [&str; 3] = ["server.io=uring", "server.io=epoll", "server.io=monoio"];

const STOCK: &str = "/v1/stock/SKU-1";

#[test]
fn few_long_connections_end_up_even_over_the_net_threads() {
    for shell in SHELLS {
        let folder = tempfile::tempdir().unwrap();
        let set = [shell, "server.threads=8", OFF[0], OFF[1]];
        let mut gateway = Gateway::start(folder.path(), &set);
        // A hash spreads 64 over 8 as evenly as this about once in a hundred times, and then without a hand-over.
        let mut clients: Vec<Client> = (0..64).map(|_| gateway.connect()).collect();
        let open = gateway.wait_for("tidegate_connections", |sum| sum == 64);
        let (most, least) = (open.iter().max().unwrap(), open.iter().min().unwrap());
        assert!(open.len() == 8 && most - least <= 3, "{shell}: {open:?}");
        gateway.wait_for("tidegate_connections_handed_over_total", |sum| sum > 0);
        for client in &mut clients {
            assert_eq!(client.request("GET", STOCK, "", &[], "").status, 200, "{shell}");
        }
        drop(clients);
        gateway.wait_for("tidegate_connections", |sum| sum == 0);
        assert_eq!(gateway.terminate(), 0, "{shell}");
    }
}

#[test]
fn a_drain_while_connections_are_handed_over_ends_in_order() {
    for shell in SHELLS {
        let folder = tempfile::tempdir().unwrap();
        let set = [
            shell,
            "server.threads=4",
            "timeouts.drain_ms=1000",
            OFF[0],
            OFF[1],
        ];
        let mut gateway = Gateway::start(folder.path(), &set);
        let address = gateway.address.clone();
        let opening = std::thread::spawn(move || {
            // Until nobody listens any more.
            let mut open = Vec::new();
            while let Ok(socket) = TcpStream::connect(&address) {
                open.push(socket);
                if open.len() > 400 {
                    open.clear();
                }
            }
        });
        gateway.wait_for("tidegate_connections_handed_over_total", |sum| sum > 50);
        // The process checks at its end that it counts no connection.
        assert_eq!(gateway.terminate(), 0, "{shell}");
        opening.join().unwrap();
    }
}
