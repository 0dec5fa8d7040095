//! The admin address: `/metrics`, `/livez`, `/readyz`.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::Role;
use crate::health::{Health, Severity};
use crate::metrics::Metrics;

/// What it shows.
pub struct Admin {
    /// Counted by Prometheus's names.
    pub registry: Registry,
    /// Who counts.
    pub metrics: Arc<Metrics>,
    /// What is wrong.
    pub health: Arc<Health>,
    /// The end has begun.
    pub stopping: CancellationToken,
}

/// Serves until it is dropped: metrics are read during an end as well.
pub async fn serve(listener: TcpListener, admin: Admin) {
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .with_state(Arc::new(admin));
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!("the admin address: {error}");
    }
}

async fn metrics(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match admin.metrics.text(&admin.registry) {
        Ok(text) => ([(CONTENT_TYPE, kind)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// 200 while every role does its work, with a line for each that has something wrong with it.
async fn ready(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    let (ready, mut text) = match (admin.stopping.is_cancelled(), admin.health.is_ready()) {
        (true, _) => (false, "on its way out\n".to_owned()),
        (false, true) => (true, "ready\n".to_owned()),
        (false, false) => (false, "not ready\n".to_owned()),
    };
    for role in Role::ALL {
        if let Some((severity, line)) = admin.health.of(role) {
            let word = match severity {
                Severity::Degraded => "degraded",
                Severity::Down => "down",
            };
            _ = writeln!(text, "{role}: {word}: {}", line.replace(char::is_control, " "));
        }
    }
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, text)
}
