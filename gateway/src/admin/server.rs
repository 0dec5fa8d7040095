//! The admin thread's routes.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use prometheus_client::registry::Registry;
use serde::{Deserialize, Serialize};

use super::profile::{Form, ProfileError, SECONDS_MAX};
use super::{Admin, debug, guard, metrics, operate, profile};
use crate::breaker::Force;
use crate::console::{self, History};
use crate::reload::Ending;

pub(super) struct Shared {
    pub(super) admin: Admin,
    pub(super) registry: Registry,
    pub(super) history: Mutex<History>,
    /// When a console last looked, monotonic; 0: none has.
    pub(super) looked_ns: AtomicU64,
    pub(super) began: Instant,
}

/// Serves until the process ends.
pub(super) fn run(listener: TcpListener, admin: Admin) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        // A profile sleeps on one of these; reloads read files on another. Neither is on the admin thread itself.
        .max_blocking_threads(4)
        .thread_name("admin-work")
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "the admin thread cannot start");
            return;
        }
    };
    runtime.block_on(async move {
        let listener = match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(%error, "the admin address cannot be served");
                return;
            }
        };
        let registry = metrics::registry(Arc::clone(&admin.source));
        let shared = Arc::new(Shared {
            admin,
            registry,
            history: Mutex::default(),
            looked_ns: AtomicU64::new(0),
            began: Instant::now(),
        });
        tokio::spawn(watch(Arc::clone(&shared)));
        tokio::spawn(operate::sample(Arc::clone(&shared)));
        let routes = routes(shared).into_make_service_with_connect_info::<SocketAddr>();
        if let Err(error) = axum::serve(listener, routes).await {
            tracing::error!(%error, "the admin address is no longer served");
        }
    });
}

fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(async || console::PAGE))
        .route("/console/style.css", get(async || console::STYLE))
        .route("/console/script.js", get(async || console::SCRIPT))
        .route("/console/actions.js", get(async || console::ACTIONS))
        .route("/console/icon.svg", get(async || console::ICON))
        .route("/console.json", get(operate::view))
        .route("/skus/{sku}", get(operate::sku))
        .route("/skus/{sku}/pause", post(operate::pause))
        .route("/skus/{sku}/resume", post(operate::resume))
        .route("/debug/requests", get(debug::requests))
        .route("/debug/hot", get(debug::hot))
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_text))
        .route("/config", get(config))
        .route("/reload", get(last_reload).post(reload))
        .route("/breakers", get(breakers))
        .route("/breakers/{name}", post(set_breaker))
        .route("/drain", post(drain))
        .route("/debug/pprof/profile", get(profile_protobuf))
        .route("/debug/pprof/flamegraph", get(profile_flamegraph))
        .layer(axum::middleware::from_fn_with_state(
            Arc::clone(&shared),
            guard::guard,
        ))
        .with_state(shared)
}

async fn readyz(State(shared): State<Arc<Shared>>) -> Response {
    match shared.admin.source.ready() {
        Ok(()) => "ready\n".into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

async fn metrics_text(State(shared): State<Arc<Shared>>) -> Response {
    match metrics::scrape(&shared.registry) {
        Ok(text) => (
            [(
                header::CONTENT_TYPE,
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            )],
            text,
        )
            .into_response(),
        Err(error) => failure(&error.to_string()),
    }
}

async fn config(State(shared): State<Arc<Shared>>) -> Response {
    json(StatusCode::OK, &shared.admin.live.current().effective)
}

/// What came of the last reload: `null` before the first.
async fn last_reload(State(shared): State<Arc<Shared>>) -> Response {
    let last = shared
        .admin
        .reloader
        .as_ref()
        .and_then(|reloader| reloader.last());
    json(StatusCode::OK, &last)
}

/// Reads the configuration again, as SIGHUP does. 422 when it has a mistake, which then changed nothing.
async fn reload(State(shared): State<Arc<Shared>>) -> Response {
    let Some(reloader) = shared.admin.reloader.clone() else {
        return (StatusCode::NOT_FOUND, "nothing to reload\n").into_response();
    };
    match tokio::task::spawn_blocking(move || reloader.reload("the admin address")).await {
        Ok(outcome) if outcome.result == Ending::Failed => json(StatusCode::UNPROCESSABLE_ENTITY, &outcome),
        Ok(outcome) => json(StatusCode::OK, &outcome),
        Err(error) => failure(&error.to_string()),
    }
}

async fn breakers(State(shared): State<Arc<Shared>>) -> Response {
    json(StatusCode::OK, &shared.admin.board.rows())
}

#[derive(Deserialize)]
struct BreakerQuery {
    #[serde(default)]
    state: String,
}

/// Holds a breaker open or closed, or lets it decide again.
async fn set_breaker(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    Query(query): Query<BreakerQuery>,
) -> Response {
    let Some(force) = Force::of(&query.state) else {
        return (
            StatusCode::BAD_REQUEST,
            "state is open (refuse everything), closed (admit everything) or auto\n",
        )
            .into_response();
    };
    match shared.admin.board.force(&name, force) {
        Ok(row) => {
            tracing::warn!(
                breaker = name,
                state = force.word(),
                "set by hand on the admin address"
            );
            json(StatusCode::OK, &row)
        }
        Err(error) => (StatusCode::NOT_FOUND, error + "\n").into_response(),
    }
}

pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let text = serde_json::to_string_pretty(value).unwrap_or_default() + "\n";
    (status, [(header::CONTENT_TYPE, "application/json")], text).into_response()
}

async fn drain(State(shared): State<Arc<Shared>>) -> Response {
    tracing::info!("drain asked for on the admin address");
    shared.admin.source.drain();
    (StatusCode::ACCEPTED, "draining\n").into_response()
}

#[derive(Deserialize)]
struct ProfileQuery {
    #[serde(default = "profile_seconds")]
    seconds: u64,
}

fn profile_seconds() -> u64 {
    10
}

async fn profile_protobuf(Query(query): Query<ProfileQuery>) -> Response {
    profiled(query.seconds, Form::Protobuf, "application/octet-stream").await
}

async fn profile_flamegraph(Query(query): Query<ProfileQuery>) -> Response {
    profiled(query.seconds, Form::Flamegraph, "image/svg+xml").await
}

/// Sleeping, symbolizing and drawing happen on a blocking thread: `/livez` is answered meanwhile.
async fn profiled(seconds: u64, form: Form, content_type: &'static str) -> Response {
    if !(1..=SECONDS_MAX).contains(&seconds) {
        return (
            StatusCode::BAD_REQUEST,
            format!("seconds is 1 to {SECONDS_MAX}\n"),
        )
            .into_response();
    }
    match tokio::task::spawn_blocking(move || profile::take(seconds, form)).await {
        Ok(Ok(bytes)) => ([(header::CONTENT_TYPE, content_type)], bytes).into_response(),
        Ok(Err(ProfileError::Busy)) => {
            (StatusCode::CONFLICT, "another profile is being taken\n").into_response()
        }
        Ok(Err(ProfileError::Empty)) => {
            (StatusCode::SERVICE_UNAVAILABLE, "nothing ran in that time\n").into_response()
        }
        Ok(Err(ProfileError::Failed(error))) => failure(&error),
        Err(error) => failure(&error.to_string()),
    }
}

pub(super) fn failure(error: &str) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response()
}

/// Looks at certificates, keys and the configuration for changes, for as long as the process lives.
async fn watch(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(shared.admin.reload.max(Duration::from_millis(100)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let shared = Arc::clone(&shared);
        let looked = tokio::task::spawn_blocking(move || {
            if let Some(certificates) = &shared.admin.certificates {
                report("certificates", certificates.reload_if_changed());
            }
            if let Some(keys) = &shared.admin.keys {
                report("token keys", keys.reload_if_changed());
            }
            if let Some(reloader) = &shared.admin.reloader {
                reloader.reload_if_changed();
            }
        });
        if let Err(error) = looked.await {
            tracing::error!(%error, "looking for changed files failed");
        }
    }
}

fn report(what: &str, result: Result<bool, String>) {
    match result {
        Ok(true) => tracing::info!("{what} reloaded"),
        Ok(false) => {}
        Err(error) => tracing::error!(error, "{what} changed and cannot be used; the old ones stay"),
    }
}
