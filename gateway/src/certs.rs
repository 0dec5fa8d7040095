//! Certificates: which one is served to whom, session tickets, and reloading without a restart.
//!
//! One [`Certificates`] serves all net threads. What its `rustls::ServerConfig` asks for a certificate (by SNI) changes with a
//! reload, so that it reaches the next handshake of every thread and no older one. The configuration itself is replaced only
//! when other authorities are believed about clients, and its ticket keys with it.

mod clients;
mod tickets;

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, NoServerSessionStorage, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::config::checked::{CertificateFiles, ClientAuth, Tls};
use clients::Clients;
use tickets::{FileTickets, Tickets};

#[cfg(test)]
mod tests;

/// ALPN (RFC 7301): what we speak, best first.
pub const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];
/// Certificates of one chain, at most: a chain is sent with every full handshake.
const CHAIN_MAX: usize = 10;

/// The certificates all net threads serve.
pub struct Certificates {
    resolver: Arc<Resolver>,
    front: RwLock<Arc<Front>>,
    tickets: Option<Arc<FileTickets>>,
    files: Vec<CertificateFiles>,
    ticket_key_file: Option<PathBuf>,
    client_auth: Option<ClientAuth>,
    seen: Mutex<Vec<Option<SystemTime>>>,
    reloads: AtomicU64,
    failures: AtomicU64,
}

impl Certificates {
    /// Reads every file.
    ///
    /// # Errors
    /// A sentence about the first file that is missing or is not what it should be, a key that does not belong to its certificate included.
    pub fn load(tls: &Tls) -> Result<Certificates, String> {
        let seen = modified(
            &tls.certificates,
            tls.ticket_key_file.as_deref(),
            tls.client_auth.as_ref(),
        );
        let resolver = Arc::new(Resolver {
            current: RwLock::new(Arc::new(Served::read(&tls.certificates)?)),
        });
        let tickets = match &tls.ticket_key_file {
            Some(path) => Some(Arc::new(FileTickets::read(path)?)),
            None => None,
        };
        let clients = tls.client_auth.as_ref().map(Clients::read).transpose()?;
        let front = Front::new(Arc::clone(&resolver), tickets.clone(), clients)?;
        Ok(Certificates {
            resolver,
            front: RwLock::new(Arc::new(front)),
            tickets,
            files: tls.certificates.clone(),
            ticket_key_file: tls.ticket_key_file.clone(),
            client_auth: tls.client_auth.clone(),
            seen: Mutex::new(seen),
            reloads: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        })
    }

    /// What the next connection is made with; one for all threads, so that a ticket from one is good on another.
    pub fn server_config(&self) -> Arc<rustls::ServerConfig> {
        Arc::clone(&self.front().config)
    }

    fn front(&self) -> Arc<Front> {
        Arc::clone(&self.front.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether clients are asked for certificates.
    pub fn asks_clients(&self) -> bool {
        self.client_auth.is_some()
    }

    /// Whether the client whose certificates a resumed session remembers would be let in by a full handshake now.
    pub fn admits_again(&self, chain: Option<&[CertificateDer<'static>]>) -> bool {
        let front = self.front();
        front.clients.as_ref().is_none_or(|clients| clients.admits(chain))
    }

    /// Whether the certificate that a client with this SNI is served covers `host`: a Host or `:authority` without its port. If not, the answer
    /// is 421 (RFC 9110, section 15.5.20). It reads the certificate: some microseconds, so ask once per connection and host.
    pub fn covers(&self, sni: Option<&str>, host: &str) -> bool {
        let served = self.resolver.served();
        let certificate = served.choose(sni);
        certificate_covers(&certificate.cert[0], host)
    }

    /// Reads the files again if one changed. Call it from a thread that may block. `Ok(true)`: new handshakes get the new ones.
    ///
    /// # Errors
    /// What is wrong with the new files; the old ones stay in use, all of them, and the same files are not complained about twice.
    pub fn reload_if_changed(&self) -> Result<bool, String> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let modified = modified(
            &self.files,
            self.ticket_key_file.as_deref(),
            self.client_auth.as_ref(),
        );
        if *seen == modified {
            return Ok(false);
        }
        *seen = modified;
        self.reload().inspect_err(|_| {
            self.failures.fetch_add(1, Ordering::Relaxed);
        })?;
        self.reloads.fetch_add(1, Ordering::Relaxed);
        Ok(true)
    }

    /// Reads everything before it replaces anything.
    fn reload(&self) -> Result<(), String> {
        let served = Served::read(&self.files)?;
        let front = self.changed_front()?;
        if let (Some(tickets), Some(path)) = (&self.tickets, &self.ticket_key_file) {
            tickets.reload(path)?;
        }
        *self
            .resolver
            .current
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(served);
        if let Some(front) = front {
            *self.front.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(front);
        }
        Ok(())
    }

    /// A new front, if other authorities are believed than before. Else the old one stays, and its tickets good.
    fn changed_front(&self) -> Result<Option<Front>, String> {
        let Some(auth) = &self.client_auth else {
            return Ok(None);
        };
        let clients = Clients::read(auth)?;
        let front = self.front();
        if front
            .clients
            .as_ref()
            .is_some_and(|old| old.binding == clients.binding)
        {
            return Ok(None);
        }
        Front::new(Arc::clone(&self.resolver), self.tickets.clone(), Some(clients)).map(Some)
    }

    /// Reloads that succeeded.
    pub fn reloads(&self) -> u64 {
        self.reloads.load(Ordering::Relaxed)
    }

    /// Reloads that failed; the old files stayed in use.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// When the first of the served certificates ends, is for a metric one day; the leaf of the default one as DER, for now.
    pub fn default_certificate(&self) -> CertificateDer<'static> {
        self.resolver.served().default.cert[0].clone()
    }
}

/// What connections are made with, and who is believed about their clients: they change together.
struct Front {
    config: Arc<rustls::ServerConfig>,
    clients: Option<Clients>,
}

impl Front {
    fn new(
        resolver: Arc<Resolver>,
        tickets: Option<Arc<FileTickets>>,
        clients: Option<Clients>,
    ) -> Result<Front, String> {
        let config = Arc::new(server_config(resolver, tickets, clients.as_ref())?);
        Ok(Front { config, clients })
    }
}

/// TLS 1.2 and 1.3 with aws-lc-rs; stateless resumption only, so that no table of sessions is shared by the threads.
fn server_config(
    resolver: Arc<Resolver>,
    tickets: Option<Arc<FileTickets>>,
    clients: Option<&Clients>,
) -> Result<rustls::ServerConfig, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| format!("tls: {error}"))?;
    let builder = match clients {
        Some(clients) => builder.with_client_cert_verifier(Arc::clone(&clients.verifier)),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(resolver);
    config.alpn_protocols = ALPN.iter().map(|protocol| protocol.to_vec()).collect();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = match tickets {
        Some(file) => Arc::new(Tickets {
            file,
            binding: clients.map_or_else(Vec::new, |clients| clients.binding.clone()),
        }),
        // Random keys of this configuration alone: what an older one sealed is not opened.
        None => rustls::crypto::aws_lc_rs::Ticketer::new().map_err(|error| format!("tls: {error}"))?,
    };
    // 0-RTT stays off: a replayed order is what the idempotency key is for, but a replayed cancel is not.
    config.max_early_data_size = 0;
    Ok(config)
}

/// What a handshake asks.
struct Resolver {
    current: RwLock<Arc<Served>>,
}

impl Resolver {
    fn served(&self) -> Arc<Served> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(self.served().choose(hello.server_name())))
    }
}

/// One load of all files.
struct Served {
    default: Arc<CertifiedKey>,
    /// Lower-case DNS names, exact or with `*.` in front; the first certificate with a name wins.
    by_name: HashMap<String, Arc<CertifiedKey>>,
}

impl Served {
    fn read(files: &[CertificateFiles]) -> Result<Served, String> {
        let mut by_name = HashMap::new();
        let mut default = None;
        for pair in files {
            let certified = Arc::new(read_pair(pair)?);
            for name in dns_names(&certified.cert[0]) {
                by_name.entry(name).or_insert_with(|| Arc::clone(&certified));
            }
            default.get_or_insert(certified);
        }
        Ok(Served {
            default: default.ok_or("tls: no certificate is configured")?,
            by_name,
        })
    }

    /// By exact name, then by the wildcard one label up (RFC 9525, section 6.3), else the first certificate.
    /// rustls hands the SNI name over in lower case.
    fn choose(&self, sni: Option<&str>) -> &Arc<CertifiedKey> {
        let Some(name) = sni else { return &self.default };
        let wildcard = || {
            let (_, parent) = name.split_once('.')?;
            self.by_name.get(&format!("*.{parent}"))
        };
        self.by_name.get(name).or_else(wildcard).unwrap_or(&self.default)
    }
}

fn read_pair(pair: &CertificateFiles) -> Result<CertifiedKey, String> {
    let (cert, key) = (pair.cert.display(), pair.key.display());
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(&pair.cert)
        .map_err(|error| format!("{cert}: {error}"))?
        .take(CHAIN_MAX + 1)
        .collect();
    let chain = chain.map_err(|error| format!("{cert}: {error}"))?;
    if chain.is_empty() || chain.len() > CHAIN_MAX {
        return Err(format!(
            "{cert}: holds {} certificates, expected 1 to {CHAIN_MAX}",
            chain.len()
        ));
    }
    let private = PrivateKeyDer::from_pem_file(&pair.key).map_err(|error| format!("{key}: {error}"))?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    CertifiedKey::from_der(chain, private, &provider)
        .map_err(|error| format!("{key}: not the private key of {cert}: {error}"))
}

/// The leaf's DNS names, lower case.
fn dns_names(leaf: &CertificateDer<'_>) -> Vec<String> {
    let Ok(certificate) = webpki::EndEntityCert::try_from(leaf) else {
        return Vec::new();
    };
    certificate
        .valid_dns_names()
        .map(str::to_ascii_lowercase)
        .collect()
}

fn certificate_covers(leaf: &CertificateDer<'_>, host: &str) -> bool {
    let host = host
        .strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'))
        .unwrap_or(host);
    let name = match host.parse::<IpAddr>() {
        Ok(address) => ServerName::from(address),
        // A fully qualified name may end in a dot; certificates have none.
        Err(_) => match ServerName::try_from(host.strip_suffix('.').unwrap_or(host)) {
            Ok(name) => name,
            Err(_) => return false,
        },
    };
    ParsedCertificate::try_from(leaf)
        .is_ok_and(|certificate| rustls::client::verify_server_name(&certificate, &name).is_ok())
}

fn modified(
    files: &[CertificateFiles],
    ticket_keys: Option<&Path>,
    clients: Option<&ClientAuth>,
) -> Vec<Option<SystemTime>> {
    let of = |path: &Path| std::fs::metadata(path).and_then(|meta| meta.modified()).ok();
    files
        .iter()
        .flat_map(|pair| [of(&pair.cert), of(&pair.key)])
        .chain(ticket_keys.map(of))
        .chain(clients.map(|clients| of(&clients.ca)))
        .collect()
}
