//! The process: opens what it listens on, starts its roles, and ends them in order.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin::{self, Admin};
use crate::config::{Config, Role};
use crate::desk::Desk;
use crate::exchange::Exchanges;
use crate::follow::FeedRole;
use crate::health::Health;
use crate::metrics::Metrics;
use crate::server;
use crate::service::Service;
use crate::shop::ShopRole;
use crate::store::StoreRole;
use crate::supervisor;

/// Runs until a signal, or until something ends that must not.
///
/// # Errors
/// A sentence: why it does not start, or what ended.
pub async fn run(config: Config) -> Result<(), String> {
    let config = Arc::new(config);
    let stopping = CancellationToken::new();
    let (metrics, health) = (Arc::new(Metrics::default()), Arc::new(Health::default()));
    // Before anything is begun: a port that is taken is the likeliest mistake.
    let grpc = listen("grpc.listen", config.grpc.listen).await?;
    let admin = listen("admin.listen", config.admin).await?;
    let service = service(&config, &metrics, &health, &stopping)?;
    let (streams, roles) = (service.tasks.clone(), TaskTracker::new());
    let admin = tokio::spawn(admin::serve(
        admin,
        Admin {
            registry: metrics.registry(),
            metrics: Arc::clone(&metrics),
            health: Arc::clone(&health),
            stopping: stopping.clone(),
        },
    ));
    if config.follows_bus() {
        let store = StoreRole {
            config: Arc::clone(&config),
            metrics: Arc::clone(&metrics.store),
            health: Arc::clone(&health),
        };
        roles.spawn(store.run(stopping.clone()));
    }
    if let Some(desk) = &service.desk {
        let shop = ShopRole {
            config: Arc::clone(&config),
            health: Arc::clone(&health),
            desk: Arc::clone(desk),
            exchanges: service.exchanges.clone(),
            store: Arc::clone(&service.store),
        };
        roles.spawn(shop.run(stopping.clone()));
    }
    let names: Vec<&str> = config.roles.iter().map(|role| role.name()).collect();
    tracing::info!(
        grpc = %config.grpc.listen,
        admin = %config.admin,
        roles = names.join(","),
        "tidegate-backoffice {}",
        env!("CARGO_PKG_VERSION")
    );
    supervisor::ready();
    let serving = server::serve(&config, grpc, service, health, stopping.clone());
    tokio::pin!(serving);
    let ended = tokio::select! {
        served = &mut serving => Some(served),
        asked = signals() => { asked?; None }
    };
    supervisor::stopping();
    stopping.cancel();
    streams.close();
    roles.close();
    let ending = async {
        streams.wait().await;
        roles.wait().await;
        match ended {
            Some(served) => served,
            None => serving.await,
        }
    };
    let ended = match tokio::time::timeout(config.stop, ending).await {
        Ok(served) => served,
        Err(_) => {
            tracing::warn!(
                "what was under way did not end within process.stop_ms: it comes again at the next start"
            );
            Ok(())
        }
    };
    admin.abort();
    ended
}

/// What serves edges, by role.
fn service(
    config: &Arc<Config>,
    metrics: &Arc<Metrics>,
    health: &Arc<Health>,
    stopping: &CancellationToken,
) -> Result<Service, String> {
    let mut service = Service::default();
    if config.has(Role::Feed) {
        let feed = FeedRole::new(
            Arc::clone(config),
            Arc::clone(&metrics.feed),
            Arc::clone(health),
            stopping.clone(),
        )?;
        service.feed = Some(Arc::new(feed));
    }
    if config.has(Role::Api) || config.has(Role::Jobs) {
        let desk = Desk::new(Arc::clone(&metrics.api), stopping.clone());
        service.desk = Some(Arc::new(desk));
    }
    if config.has(Role::Api) {
        service.exchanges = Some(Exchanges::new(Arc::clone(&metrics.api)));
    }
    Ok(service)
}

async fn listen(key: &str, address: std::net::SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address)
        .await
        .map_err(|error| format!("{key}: nothing can listen on {address}: {error}"))
}

/// Waits for the signal to end.
async fn signals() -> Result<(), String> {
    let hear = |kind| signal(kind).map_err(|error| format!("signals cannot be heard: {error}"));
    let (mut terminate, mut interrupt) = (hear(SignalKind::terminate())?, hear(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: on its way out"),
        _ = interrupt.recv() => tracing::info!("SIGINT: on its way out"),
    }
    Ok(())
}
