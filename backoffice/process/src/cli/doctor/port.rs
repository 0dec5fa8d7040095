//! Whether addresses are free.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::report::Check;

/// How long a backoffice that runs here may take to say so.
const ANSWER: Duration = Duration::from_millis(500);

/// Whether a backoffice with this admin address runs: its ports are taken, and that is as it should be.
pub(super) fn runs_here(admin: SocketAddr) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&admin, ANSWER)?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.write_all(b"GET /livez HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.take(4096).read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.ends_with("alive\n"))
}

/// Tries to listen, and lets go at once.
pub(super) fn port(name: &'static str, key: &str, address: SocketAddr, runs_here: bool) -> Check {
    match TcpListener::bind(address) {
        Ok(_) => Check::ok(name, format!("{address} is free")),
        Err(error) => taken(name, key, address, error.kind(), runs_here),
    }
}

fn taken(name: &'static str, key: &str, address: SocketAddr, kind: ErrorKind, runs_here: bool) -> Check {
    match kind {
        ErrorKind::AddrInUse if runs_here => {
            Check::ok(name, format!("{address} has the backoffice that runs here"))
        }
        ErrorKind::AddrInUse => Check::fail(
            name,
            address.to_string(),
            "another process listens there",
            format!("end it, or set {key} to another port (ss -ltnp shows who it is)"),
        ),
        ErrorKind::AddrNotAvailable => Check::fail(
            name,
            address.to_string(),
            "this machine does not have that address",
            format!("set {key} to one that `ip address` shows, or to 0.0.0.0"),
        ),
        ErrorKind::PermissionDenied => Check::fail(
            name,
            address.to_string(),
            "this user may not listen there",
            format!("set {key} to a port from 1024 on, or give the process CAP_NET_BIND_SERVICE"),
        ),
        kind => Check::fail(
            name,
            address.to_string(),
            kind.to_string(),
            format!("set {key} to an address where this process can listen"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Verdict;
    use super::*;

    #[test]
    fn a_taken_port_fails_unless_the_backoffice_that_runs_here_has_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let check = port("gRPC port", "grpc.listen", address, false);
        assert_eq!(check.verdict, Verdict::Fail);
        assert!(check.remedy.contains("grpc.listen"));
        assert_eq!(
            port("gRPC port", "grpc.listen", address, true).verdict,
            Verdict::Ok
        );
        drop(listener);
        assert_eq!(
            port("gRPC port", "grpc.listen", address, false).verdict,
            Verdict::Ok
        );
    }

    #[test]
    fn somebody_else_that_listens_is_not_taken_for_a_backoffice() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let other = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nhello\n").unwrap();
        });
        assert!(!runs_here(address));
        other.join().unwrap();
        assert!(!runs_here(address), "nobody listens");
    }
}
