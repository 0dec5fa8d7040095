//! The connections to a backoffice in another process.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tidegate_api::convert::record;
use tidegate_api::pb::backoffice_client::BackofficeClient;
use tidegate_api::{Malformed, pb};
use tidegate_follow::Mark;
use tokio::sync::mpsc;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status, Streaming};

use crate::config::checked::RemoteBackoffice;

/// How long a connection may take to be made, TLS included.
const CONNECT: Duration = Duration::from_secs(2);
/// How often a connection is tried when nothing goes over it, and how long the answer may take: a machine that lost power says nothing.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// How long a welcome may take: store and bus may be opened anew for it, by a transaction that has to end first.
const WELCOME: Duration = Duration::from_secs(60);
/// Messages with records that wait for the connection.
const OUTGOING: usize = 4;

/// A client, with the token on each call.
pub type Client = BackofficeClient<InterceptedService<Channel, Shown>>;

/// Where the backoffice is. The slow lane and the feed have a connection each, so that neither waits in the other's window.
#[derive(Clone)]
pub struct Link {
    address: String,
    lane: Channel,
    feed: Channel,
    shown: Shown,
}

/// What is shown on each call.
#[derive(Clone, Default)]
pub struct Shown {
    token: Option<MetadataValue<Ascii>>,
    /// The store that this edge feeds, so that the backoffice of another shop takes nothing of it and commands nothing here.
    store: Option<MetadataValue<Ascii>>,
}

impl Interceptor for Shown {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.token {
            request.metadata_mut().insert("authorization", token.clone());
        }
        if let Some(store) = &self.store {
            request.metadata_mut().insert("tidegate-store", store.clone());
        }
        Ok(request)
    }
}

/// What the backoffice's store has.
pub struct Welcome {
    /// Its name.
    pub store: String,
    /// How far it has each shard.
    pub applied: Vec<Mark>,
    /// How far the bus before it has each shard, where there is one.
    pub published: Vec<Mark>,
    /// Bytes that may be on their way.
    pub window_bytes: u64,
}

/// A feed that was welcomed.
pub struct Session {
    /// What came first.
    pub welcome: Welcome,
    /// What goes on coming.
    pub incoming: Streaming<pb::ToEdge>,
    /// Where records go.
    pub outgoing: mpsc::Sender<pb::FromEdge>,
}

impl Link {
    /// Nothing is dialled yet.
    ///
    /// # Errors
    /// A line: a file cannot be read, or its content not be used.
    pub fn new(remote: &RemoteBackoffice) -> Result<Link, String> {
        let wrong =
            |error: tonic::transport::Error| format!("backoffice.address {}: {error}", remote.address);
        let mut endpoint = Endpoint::from_shared(remote.address.clone())
            .map_err(wrong)?
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .keep_alive_while_idle(true);
        if let Some(ca) = &remote.ca {
            let mut tls =
                ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read("backoffice.ca", ca)?));
            if let Some(files) = &remote.identity {
                let (cert, key) = (
                    read("backoffice.cert", &files.cert)?,
                    read("backoffice.key", &files.key)?,
                );
                tls = tls.identity(Identity::from_pem(cert, key));
            }
            endpoint = endpoint.tls_config(tls).map_err(wrong)?;
        }
        let token = remote.token_file.as_deref().map(bearer).transpose()?;
        Ok(Link {
            address: remote.address.clone(),
            lane: endpoint.connect_lazy(),
            feed: endpoint.connect_lazy(),
            shown: Shown { token, store: None },
        })
    }

    /// The same, of an edge that feeds this store.
    ///
    /// # Errors
    /// A line: it is no name that can be sent.
    pub fn of_store(self, name: &str) -> Result<Link, String> {
        let store = name
            .parse()
            .map_err(|_| format!("the store's name {name:?} is not visible ASCII"))?;
        let shown = Shown {
            store: Some(store),
            ..self.shown
        };
        Ok(Link { shown, ..self })
    }

    /// For exchanges.
    pub fn lane(&self) -> Client {
        BackofficeClient::with_interceptor(self.lane.clone(), self.shown.clone())
    }

    /// For the feed and the desk.
    pub fn feed(&self) -> Client {
        BackofficeClient::with_interceptor(self.feed.clone(), self.shown.clone())
    }

    /// Says hello, and waits for the welcome: a minute, or as long as is said.
    ///
    /// # Errors
    /// What the call came to.
    pub async fn hello(&self, hello: pb::Hello, patience: Option<Duration>) -> Result<Session, Status> {
        let greet = async {
            let (outgoing, queue) = mpsc::channel(OUTGOING);
            let hello = pb::FromEdge {
                message: Some(pb::from_edge::Message::Hello(hello)),
            };
            // The queue is empty.
            _ = outgoing.try_send(hello);
            let mut incoming = self.feed().follow(stream(queue)).await?.into_inner();
            match incoming.message().await?.and_then(|to_edge| to_edge.message) {
                Some(pb::to_edge::Message::Welcome(welcome)) => Ok(Session {
                    welcome: welcome_of(welcome)?,
                    incoming,
                    outgoing,
                }),
                _ => Err(malformed(Malformed("welcome"))),
            }
        };
        match tokio::time::timeout(patience.unwrap_or(WELCOME), greet).await {
            Ok(greeted) => greeted,
            Err(_) => Err(Status::deadline_exceeded("no welcome in time")),
        }
    }

    /// What a call came to, for an operator.
    pub fn line(&self, status: &Status) -> String {
        let hint = match status.code() {
            Code::Unauthenticated | Code::PermissionDenied => "; see backoffice.token_file, and cert and key",
            _ => "",
        };
        // What the transport says is in the sources: refused, or a certificate of somebody else.
        let mut text = format!("the backoffice at {}: {}", self.address, status.message());
        let mut source = std::error::Error::source(status);
        while let Some(error) = source {
            let more = error.to_string();
            if !text.contains(&more) {
                text = format!("{text}: {more}");
            }
            source = error.source();
        }
        text + hint
    }
}

/// Whether the backoffice will not have this edge, however often it asks.
pub fn is_refusal(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::FailedPrecondition
            | Code::Unauthenticated
            | Code::PermissionDenied
            | Code::Unimplemented
            | Code::InvalidArgument
    )
}

/// That the store is the one that the data directory feeds.
///
/// # Errors
/// A line.
pub fn check_store(welcome: &Welcome, fed: Option<&str>) -> Result<(), String> {
    match fed {
        Some(fed) if fed != welcome.store => Err(format!(
            "the backoffice has the store {:?}, and the data directory feeds the store {fed:?}: set backoffice.address to that one's \
             backoffice, or name another data directory with --data",
            welcome.store
        )),
        _ if welcome.store.is_empty() => Err("the backoffice's store has no name".to_owned()),
        _ => Ok(()),
    }
}

fn welcome_of(welcome: pb::Welcome) -> Result<Welcome, Status> {
    Ok(Welcome {
        store: welcome.store,
        applied: record::marks(welcome.applied).map_err(malformed)?,
        published: record::marks(welcome.published).map_err(malformed)?,
        window_bytes: welcome.window_bytes,
    })
}

/// What is not as the protocol says it is.
pub fn malformed(what: Malformed) -> Status {
    Status::internal(what.to_string())
}

/// What a queue gets, as a stream.
pub fn stream<T>(mut queue: mpsc::Receiver<T>) -> impl futures_util::Stream<Item = T> {
    futures_util::stream::poll_fn(move |context| queue.poll_recv(context))
}

fn read(key: &str, path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{key} {}: {error}", path.display()))
}

fn bearer(path: &Path) -> Result<MetadataValue<Ascii>, String> {
    let text = read("backoffice.token_file", path)?;
    let token = text.trim();
    let value = format!("Bearer {token}").parse();
    match value {
        Ok(value) if !token.is_empty() => Ok(value),
        _ => Err(format!(
            "backoffice.token_file {}: it must hold one line of visible ASCII",
            path.display()
        )),
    }
}
