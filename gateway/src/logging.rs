//! Log lines: JSON on standard error. Nothing on the hot path logs.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload::Handle;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::checked::Logging;

mod recent;

pub use recent::{Line, Recent};

/// What is logged; may change while the process runs.
pub struct Filter {
    set: Box<dyn Fn(EnvFilter) + Send + Sync>,
    recent: Recent,
}

impl Filter {
    /// Puts another filter in force; one that [`check`] refuses changes nothing.
    pub fn set(&self, filter: &str) {
        if let Ok(filter) = EnvFilter::try_new(filter) {
            (self.set)(filter);
        }
    }

    /// The last warnings and errors that it let through.
    pub fn recent(&self) -> Recent {
        self.recent.clone()
    }
}

/// Whether a filter parses.
///
/// # Errors
/// What is wrong with it.
pub fn check(filter: &str) -> Result<(), String> {
    EnvFilter::try_new(filter)
        .map(|_| ())
        .map_err(|error| format!("`{filter}` is no filter such as info,tidegate=debug: {error}"))
}

/// Installs the process's one subscriber.
///
/// # Errors
/// A sentence: the filter does not parse, or there is a subscriber already.
pub fn install(logging: &Logging) -> Result<Filter, String> {
    let filter = EnvFilter::try_new(&logging.filter).map_err(|error| format!("logging.filter: {error}"))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let recent = Recent::default();
    let (installed, set) = if logging.json {
        let builder = builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_filter_reloading();
        let set = handle(builder.reload_handle());
        (builder.finish().with(recent.clone()).try_init(), set)
    } else {
        let builder = builder.with_target(false).with_filter_reloading();
        let set = handle(builder.reload_handle());
        (builder.finish().with(recent.clone()).try_init(), set)
    };
    installed.map_err(|error| format!("logging: {error}"))?;
    Ok(Filter { set, recent })
}

fn handle<S: 'static>(handle: Handle<EnvFilter, S>) -> Box<dyn Fn(EnvFilter) + Send + Sync> {
    Box::new(move |filter| {
        // It fails only when the subscriber is gone, and with it every reader of its lines.
        _ = handle.reload(filter);
    })
}
