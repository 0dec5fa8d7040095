//! The last warnings and errors that were logged, for the console.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Lines that are kept: more than a page shows.
const LINES: usize = 64;
/// Bytes of a line that are kept; the log itself has the whole one.
const LINE_BYTES: usize = 600;

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// When, unix milliseconds.
    pub at_ms: u64,
    /// `WARN` or `ERROR`.
    pub level: &'static str,
    /// The message, then the fields as `name=value`.
    pub text: String,
}

/// The newest lines. Clones are the same list.
#[derive(Debug, Clone, Default)]
pub struct Recent(Arc<Mutex<VecDeque<Line>>>);

impl Recent {
    /// Newest first.
    pub fn lines(&self) -> Vec<Line> {
        self.list().iter().rev().cloned().collect()
    }

    fn push(&self, line: Line) {
        let mut list = self.list();
        if list.len() == LINES {
            list.pop_front();
        }
        list.push_back(line);
    }

    fn list(&self) -> MutexGuard<'_, VecDeque<Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for Recent {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = match *event.metadata().level() {
            Level::ERROR => "ERROR",
            Level::WARN => "WARN",
            _ => return,
        };
        let mut text = Text::default();
        event.record(&mut text);
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.push(Line {
            at_ms: at.as_millis() as u64,
            level,
            text: text.whole(),
        });
    }
}

/// Gathers an event's message and fields.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Text {
    fn whole(self) -> String {
        let mut text = self.message + &self.fields;
        if text.len() > LINE_BYTES {
            let end = (0..=LINE_BYTES).rev().find(|end| text.is_char_boundary(*end));
            text.truncate(end.unwrap_or(0));
            text.push('…');
        }
        text
    }
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn warnings_and_errors_are_kept_newest_first_within_bounds() {
        let recent = Recent::default();
        let subscriber = tracing_subscriber::registry().with(recent.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("not kept");
            for number in 0..LINES {
                tracing::warn!(number, file = "a.pem", "it changed");
            }
            tracing::error!(error = %"disk", "{}", "é".repeat(LINE_BYTES));
        });
        let lines = recent.lines();
        assert_eq!(lines.len(), LINES);
        assert_eq!(lines[0].level, "ERROR");
        assert!(lines[0].text.len() <= LINE_BYTES + '…'.len_utf8());
        assert_eq!(
            (lines[1].level, lines[1].text.as_str()),
            ("WARN", "it changed number=63 file=a.pem")
        );
        assert_eq!(lines[LINES - 1].text, "it changed number=1 file=a.pem");
    }
}
