//! The gRPC server: the service, health and reflection, over TLS or in the clear.

use std::sync::Arc;
use std::time::Duration;

use tidegate_api::DESCRIPTOR;
use tidegate_api::pb::backoffice_server::BackofficeServer;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::bearer::Bearer;
use crate::config::checked::{Grpc, Tls};
use crate::config::{Config, Role};
use crate::health::Health;
use crate::service::Service;

/// The service's name in gRPC's health service.
const NAME: &str = "tidegate.v1.Backoffice";
/// Bytes of a message, at most: an edge's batch is a megabyte or so.
const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// A peer that is gone without a word is noticed by pings this far apart.
const PING: Duration = Duration::from_secs(10);
/// How long the answer to a ping may take.
const PONG: Duration = Duration::from_secs(10);
/// Calls of one edge at the same time, at most.
const STREAMS_MAX: u32 = 4096;
/// Bytes under way on one connection, and on one call, before the other side must have read.
const CONNECTION_WINDOW: u32 = 16 << 20;
const STREAM_WINDOW: u32 = 1 << 20;

/// Serves until `stopping`, then ends what is under way.
///
/// # Errors
/// A line: certificates that cannot be used, or the server's own end.
pub async fn serve(
    config: &Config,
    listener: TcpListener,
    service: Service,
    health: Arc<Health>,
    stopping: CancellationToken,
) -> Result<(), String> {
    let (reporter, health_service) = tonic_health::server::health_reporter();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTOR)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(|error| format!("reflection: {error}"))?;
    let bearer = Bearer::new(config.grpc.token.clone());
    let backoffice = BackofficeServer::new(service)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let mut server = Server::builder()
        .tcp_nodelay(true)
        .http2_keepalive_interval(Some(PING))
        .http2_keepalive_timeout(Some(PONG))
        .max_concurrent_streams(STREAMS_MAX)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .initial_stream_window_size(STREAM_WINDOW);
    if let Some(tls) = tls(&config.grpc)? {
        server = server
            .tls_config(tls)
            .map_err(|error| format!("grpc.cert and grpc.key: {}", causes(&error)))?;
    }
    let reporting = tokio::spawn(report(
        reporter,
        health,
        config.roles.iter().copied().collect(),
        stopping.clone(),
    ));
    let served = server
        .add_service(health_service)
        .add_service(InterceptedService::new(reflection, bearer.clone()))
        .add_service(InterceptedService::new(backoffice, bearer))
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), stopping.cancelled_owned())
        .await;
    reporting.abort();
    served.map_err(|error| format!("gRPC: {error}"))
}

/// TLS as the configuration has it; none in the clear.
///
/// # Errors
/// A line: a file that cannot be read.
pub fn tls(grpc: &Grpc) -> Result<Option<ServerTlsConfig>, String> {
    let Some(Tls { cert, key, client_ca }) = &grpc.tls else {
        return Ok(None);
    };
    let read = |name: &str, path: &std::path::Path| {
        std::fs::read(path)
            .map_err(|error| format!("grpc.{name}: {} cannot be read: {error}", path.display()))
    };
    let identity = Identity::from_pem(read("cert", cert)?, read("key", key)?);
    let config = ServerTlsConfig::new().identity(identity);
    Ok(Some(match client_ca {
        Some(ca) => config.client_ca_root(Certificate::from_pem(read("client_ca", ca)?)),
        None => config,
    }))
}

/// An error with what caused it: the transport's own words are few.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// Tells gRPC's health service how each role is: `tidegate.v1.Backoffice` for the process, and a role by its name.
async fn report(
    reporter: HealthReporter,
    health: Arc<Health>,
    roles: Vec<Role>,
    stopping: CancellationToken,
) {
    let status = |serving: bool| match serving {
        true => ServingStatus::Serving,
        false => ServingStatus::NotServing,
    };
    let mut changes = health.changes();
    loop {
        let stops = stopping.is_cancelled();
        for name in ["", NAME] {
            let serving = !stops && health.is_ready();
            reporter.set_service_status(name, status(serving)).await;
        }
        for role in &roles {
            let serving = !stops && health.of(*role).is_none();
            reporter.set_service_status(role.name(), status(serving)).await;
        }
        if stops {
            return;
        }
        tokio::select! {
            _ = changes.changed() => {}
            () = stopping.cancelled() => {}
        }
    }
}
