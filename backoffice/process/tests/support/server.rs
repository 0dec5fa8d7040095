//! The gRPC server in the test's own process, with a router of the test's own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use tidegate_api::pb::backoffice_client::BackofficeClient;
use tidegate_process::config::{Config, Sources};
use tidegate_process::desk::Desk;
use tidegate_process::exchange::Exchanges;
use tidegate_process::health::Health;
use tidegate_process::metrics::Metrics;
use tidegate_process::server;
use tidegate_process::service::Service;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

/// A running server.
pub struct Served {
    pub address: SocketAddr,
    pub desk: Arc<Desk>,
    pub health: Arc<Health>,
    pub metrics: Arc<Metrics>,
    pub stopping: CancellationToken,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}

fn config(set: &[String]) -> Config {
    let sources = Sources {
        set: set.to_vec(),
        ..Sources::default()
    };
    sources.load().expect("a configuration")
}

pub async fn serve(set: &[String], router: impl Into<Option<Router>>) -> Served {
    let config = config(set);
    let stopping = CancellationToken::new();
    let (metrics, health) = (Arc::new(Metrics::default()), Arc::new(Health::default()));
    let desk = Arc::new(Desk::new(Arc::clone(&metrics.api), stopping.clone()));
    let exchanges = Exchanges::new(Arc::clone(&metrics.api));
    if let Some(router) = router.into() {
        exchanges.open(router);
    }
    let service = Service {
        desk: Some(Arc::clone(&desk)),
        exchanges: Some(exchanges.clone()),
        ..Service::default()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (watched, ends) = (Arc::clone(&health), stopping.clone());
    tokio::spawn(async move {
        server::serve(&config, listener, service, watched, ends)
            .await
            .expect("it serves");
    });
    Served {
        address,
        desk,
        health,
        metrics,
        stopping,
    }
}

pub async fn channel(served: &Served) -> Channel {
    let address = format!("http://{}", served.address);
    Channel::from_shared(address).unwrap().connect().await.unwrap()
}

pub async fn client(served: &Served) -> BackofficeClient<Channel> {
    BackofficeClient::new(channel(served).await)
}

/// Waits until something is true.
pub async fn until(true_: impl Fn() -> bool) {
    let begun = Instant::now();
    while !true_() {
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "it becomes true within 5 s"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
