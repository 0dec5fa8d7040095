//! Log lines on standard error.

use tracing_subscriber::EnvFilter;

use crate::config::checked::Logging;

/// Installs the process's one subscriber.
///
/// # Errors
/// A sentence: the filter does not parse, or there is a subscriber already.
pub fn install(logging: &Logging) -> Result<(), String> {
    let filter = EnvFilter::try_new(&logging.filter).map_err(|error| format!("logging.filter: {error}"))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let installed = match logging.json {
        true => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .try_init(),
        false => builder.with_target(false).try_init(),
    };
    installed.map_err(|error| format!("logging: {error}"))
}
