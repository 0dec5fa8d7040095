//! Log lines: JSON on standard error. Nothing on the hot path logs.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::reload::Handle;

use crate::config::checked::Logging;

/// What is logged; may change while the process runs.
pub struct Filter(Box<dyn Fn(EnvFilter) + Send + Sync>);

impl Filter {
    /// Puts another filter in force; one that [`check`] refuses changes nothing.
    pub fn set(&self, filter: &str) {
        if let Ok(filter) = EnvFilter::try_new(filter) {
            (self.0)(filter);
        }
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
    let (installed, filter) = if logging.json {
        let builder = builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_filter_reloading();
        let filter = handle(builder.reload_handle());
        (builder.try_init(), filter)
    } else {
        let builder = builder.with_target(false).with_filter_reloading();
        let filter = handle(builder.reload_handle());
        (builder.try_init(), filter)
    };
    installed.map_err(|error| format!("logging: {error}"))?;
    Ok(filter)
}

fn handle<S: 'static>(handle: Handle<EnvFilter, S>) -> Filter {
    Filter(Box::new(move |filter| {
        // It fails only when the subscriber is gone, and with it every reader of its lines.
        _ = handle.reload(filter);
    }))
}
