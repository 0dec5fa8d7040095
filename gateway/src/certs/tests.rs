use std::io;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::server::ProducesTickets as _;
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, ProtocolVersion, RootCertStore, ServerConnection,
};
use tempfile::TempDir;

use super::*;

/// A directory with a self-signed certificate a name.
pub(super) struct World {
    dir: TempDir,
    pub(super) roots: RootCertStore,
    clock: u64,
}

impl World {
    pub(super) fn new() -> World {
        World {
            dir: tempfile::tempdir().unwrap(),
            roots: RootCertStore::empty(),
            clock: 0,
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file with a modification time of its own: two writes within the clock's grain are two changes.
    pub(super) fn write(&mut self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        self.clock += 1;
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + self.clock);
        std::fs::File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_modified(time)
            .unwrap();
    }

    pub(super) fn certificate(&mut self, file: &str, names: &[&str]) -> CertificateFiles {
        let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        self.roots.add(made.cert.der().clone()).unwrap();
        self.write(&format!("{file}.pem"), &made.cert.pem());
        self.write(&format!("{file}.key"), &made.signing_key.serialize_pem());
        CertificateFiles {
            cert: self.path(&format!("{file}.pem")),
            key: self.path(&format!("{file}.key")),
        }
    }

    fn client(&self, versions: &[&'static rustls::SupportedProtocolVersion]) -> ClientConfig {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        config.resumption = Resumption::in_memory_sessions(8);
        config.alpn_protocols = vec![b"http/1.1".to_vec(), b"h2".to_vec()];
        config
    }
}

pub(super) fn tls(certificates: Vec<CertificateFiles>, tickets: Option<PathBuf>) -> Tls {
    Tls {
        certificates,
        own_certificate: false,
        ticket_key_file: tickets,
        client_auth: None,
        reload: Duration::from_secs(1),
    }
}

/// A whole handshake in memory, tickets included.
pub(super) fn handshake(
    client: &Arc<ClientConfig>,
    certificates: &Certificates,
    name: &str,
) -> Result<(ClientConnection, ServerConnection), rustls::Error> {
    let name = ServerName::try_from(name.to_string()).unwrap();
    let mut client = ClientConnection::new(Arc::clone(client), name)?;
    let mut server = ServerConnection::new(certificates.server_config())?;
    let move_bytes = |from: &mut dyn FnMut(&mut Vec<u8>) -> io::Result<usize>| {
        let mut bytes = Vec::new();
        from(&mut bytes).unwrap();
        bytes
    };
    for _ in 0..10 {
        while client.wants_write() {
            let bytes = move_bytes(&mut |out| client.write_tls(out));
            let mut wire = bytes.as_slice();
            while !wire.is_empty() {
                server.read_tls(&mut wire).unwrap();
                server.process_new_packets()?;
            }
        }
        while server.wants_write() {
            let bytes = move_bytes(&mut |out| server.write_tls(out));
            let mut wire = bytes.as_slice();
            while !wire.is_empty() {
                client.read_tls(&mut wire).unwrap();
                client.process_new_packets()?;
            }
        }
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok((client, server))
}

pub(super) const BOTH: &[&rustls::SupportedProtocolVersion] =
    &[&rustls::version::TLS13, &rustls::version::TLS12];

#[test]
fn both_versions_of_tls_are_spoken_and_h2_is_preferred() {
    let mut world = World::new();
    let files = world.certificate("a", &["localhost"]);
    let certificates = Certificates::load(&tls(vec![files], None)).unwrap();
    for (version, protocol) in [
        (&rustls::version::TLS13, ProtocolVersion::TLSv1_3),
        (&rustls::version::TLS12, ProtocolVersion::TLSv1_2),
    ] {
        let client = Arc::new(world.client(&[version]));
        let (client, server) = handshake(&client, &certificates, "localhost").unwrap();
        assert_eq!(client.protocol_version(), Some(protocol));
        assert_eq!(server.alpn_protocol(), Some(ALPN[0]));
    }
}

#[test]
fn a_session_is_resumed_by_any_thread_in_both_versions() {
    let mut world = World::new();
    let files = world.certificate("a", &["localhost"]);
    let certificates = Certificates::load(&tls(vec![files], None)).unwrap();
    for version in BOTH {
        let client = Arc::new(world.client(&[version]));
        let first = handshake(&client, &certificates, "localhost").unwrap();
        assert_eq!(first.1.handshake_kind(), Some(HandshakeKind::Full));
        // Threads share the one server configuration and nothing else: stateless tickets are all it takes.
        let second = handshake(&client, &certificates, "localhost").unwrap();
        assert_eq!(second.1.handshake_kind(), Some(HandshakeKind::Resumed));
    }
}

fn key(digit: char) -> String {
    digit.to_string().repeat(64)
}

#[test]
fn ticket_keys_from_a_file_outlive_a_restart_and_a_rotation() {
    let mut world = World::new();
    let files = world.certificate("a", &["localhost"]);
    world.write("tickets", &format!("# today\n{}\n", key('a')));
    let settings = tls(vec![files], Some(world.path("tickets")));
    let client = Arc::new(world.client(BOTH));
    let kind = |certificates: &Certificates| {
        handshake(&client, certificates, "localhost")
            .unwrap()
            .1
            .handshake_kind()
    };
    let before = Certificates::load(&settings).unwrap();
    assert_eq!(kind(&before), Some(HandshakeKind::Full));
    let restarted = Certificates::load(&settings).unwrap();
    assert_eq!(kind(&restarted), Some(HandshakeKind::Resumed));
    world.write("tickets", &format!("{}\n{}\n", key('b'), key('a')));
    assert_eq!(restarted.reload_if_changed(), Ok(true));
    assert_eq!(
        kind(&restarted),
        Some(HandshakeKind::Resumed),
        "the old key still opens"
    );
    world.write("tickets", &key('c'));
    restarted.reload_if_changed().unwrap();
    assert_eq!(
        kind(&restarted),
        Some(HandshakeKind::Full),
        "no key opens it any more"
    );
}

#[test]
fn a_ticket_that_was_changed_or_cut_short_is_not_opened() {
    let mut world = World::new();
    world.write("tickets", &key('a'));
    let tickets = Tickets {
        file: Arc::new(FileTickets::read(&world.path("tickets")).unwrap()),
        binding: Vec::new(),
    };
    let ticket = tickets.encrypt(b"a session").unwrap();
    assert_eq!(tickets.decrypt(&ticket).unwrap(), b"a session");
    for at in 0..ticket.len() {
        let mut changed = ticket.clone();
        changed[at] ^= 1;
        assert_eq!(tickets.decrypt(&changed), None);
        assert_eq!(tickets.decrypt(&ticket[..at]), None);
    }
}

#[test]
fn the_name_asked_for_chooses_the_certificate() {
    let mut world = World::new();
    let files = [
        world.certificate("default", &["localhost", "127.0.0.1"]),
        world.certificate("shop", &["shop.example", "Also.Example"]),
        world.certificate("wild", &["*.shop.example"]),
    ];
    let certificates = Certificates::load(&tls(files.to_vec(), None)).unwrap();
    let client = Arc::new(world.client(BOTH));
    for name in ["localhost", "shop.example", "also.example", "eu.shop.example"] {
        // The client verifies the name, so a wrong choice fails here.
        handshake(&client, &certificates, name).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    assert!(handshake(&client, &certificates, "a.b.shop.example").is_err());
    assert!(handshake(&client, &certificates, "other.example").is_err());
}

#[test]
fn a_host_that_the_served_certificate_does_not_cover_is_told_apart() {
    let mut world = World::new();
    let files = [
        world.certificate("default", &["localhost", "127.0.0.1", "::1"]),
        world.certificate("shop", &["shop.example", "*.shop.example"]),
    ];
    let certificates = Certificates::load(&tls(files.to_vec(), None)).unwrap();
    for (sni, host, covered) in [
        (None, "localhost", true),
        (None, "LOCALHOST", true),
        (None, "localhost.", true),
        (None, "127.0.0.1", true),
        (None, "127.0.0.2", false),
        (None, "[::1]", true),
        (None, "shop.example", false),
        (Some("shop.example"), "shop.example", true),
        (Some("shop.example"), "eu.shop.example", true),
        (Some("shop.example"), "a.b.shop.example", false),
        (Some("shop.example"), "localhost", false),
        (Some("nobody.example"), "localhost", true),
        (None, "", false),
        (None, "a b", false),
        (None, "localhost:443", false),
    ] {
        assert_eq!(certificates.covers(sni, host), covered, "{sni:?} {host}");
    }
}

#[test]
fn a_changed_certificate_serves_the_next_handshake_and_a_bad_one_changes_nothing() {
    let mut world = World::new();
    let files = world.certificate("a", &["old.example"]);
    let certificates = Certificates::load(&tls(vec![files], None)).unwrap();
    assert_eq!(certificates.reload_if_changed(), Ok(false));
    let cert = std::fs::read_to_string(world.path("a.pem")).unwrap();

    let other_key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    for (file, bad) in [
        ("a.pem", ""),
        ("a.pem", "garbage"),
        ("a.key", ""),
        ("a.key", other_key.as_str()),
    ] {
        let good = std::fs::read_to_string(world.path(file)).unwrap();
        world.write(file, bad);
        certificates.reload_if_changed().expect_err("a bad file");
        assert_eq!(
            certificates.reload_if_changed(),
            Ok(false),
            "complained about once"
        );
        handshake(&Arc::new(world.client(BOTH)), &certificates, "old.example").unwrap();
        world.write(file, &good);
        assert_eq!(certificates.reload_if_changed(), Ok(true));
    }
    assert_eq!((certificates.failures(), certificates.reloads()), (4, 4));

    world.certificate("a", &["new.example"]);
    assert_ne!(cert, std::fs::read_to_string(world.path("a.pem")).unwrap());
    assert_eq!(certificates.reload_if_changed(), Ok(true));
    handshake(&Arc::new(world.client(BOTH)), &certificates, "new.example").unwrap();
}

#[test]
fn files_that_are_not_what_they_should_be_stop_the_start() {
    let mut world = World::new();
    let good = world.certificate("a", &["localhost"]);
    let other = world.certificate("b", &["localhost"]);
    let crossed = CertificateFiles {
        cert: good.cert.clone(),
        key: other.key,
    };
    let error = Certificates::load(&tls(vec![crossed], None)).err().unwrap();
    assert!(error.contains("a.pem"), "{error}");
    let missing = CertificateFiles {
        cert: world.path("no.pem"),
        key: world.path("no.key"),
    };
    assert!(Certificates::load(&tls(vec![missing], None)).is_err());
    for bad in ["", "# nothing", "abc", &"g".repeat(64)] {
        world.write("tickets", bad);
        assert!(
            Certificates::load(&tls(vec![good.clone()], Some(world.path("tickets")))).is_err(),
            "{bad}"
        );
    }
}
