//! Waits until the store has all that the log had, as the admin address says it (invariant 12).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How a wait goes.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// It takes no longer.
    pub most: Duration,
    /// A lag of 0 is believed from here on only. It is told in whole seconds and counted from the last moment without lag, so the 0 of the first
    /// second may speak of a moment before the wait began.
    pub settled: Duration,
    /// Between two looks.
    pub every: Duration,
    /// Between two words about it.
    pub word_every: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            most: Duration::from_secs(120),
            settled: Duration::from_millis(1200),
            every: Duration::from_millis(100),
            word_every: Duration::from_secs(2),
        }
    }
}

/// How a wait ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waited {
    /// The store has all that was durable when the wait began.
    CaughtUp,
    /// No store follows this gateway.
    NoFeed,
    /// It has not, and what was last said.
    Behind(String),
}

/// What the metrics say of the feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Figures {
    behind_s: u64,
    applied: u64,
    failures: u64,
    stopped_shards: u64,
}

/// The metrics of a gateway.
pub fn metrics(admin: SocketAddr) -> Result<String, String> {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&admin, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    };
    let text = ask().map_err(|error| format!("http://{admin}/metrics: {error}"))?;
    match text.starts_with("HTTP/1.1 200") {
        true => Ok(text),
        false => Err(format!(
            "http://{admin}/metrics: {}",
            text.lines().next().unwrap_or_default()
        )),
    }
}

/// Asks until the lag is 0, a shard was given up, or patience ends. `say` gets a line now and then.
pub fn wait(
    ask: &mut dyn FnMut() -> Result<String, String>,
    patience: Patience,
    say: &mut dyn FnMut(&str),
) -> Waited {
    let began = Instant::now();
    let mut said = began;
    loop {
        let last = match ask().map(|text| figures(&text)) {
            Ok(None) => return Waited::NoFeed,
            Ok(Some(figures)) => {
                let words = figures.words();
                if figures.stopped_shards > 0 {
                    return Waited::Behind(words);
                }
                if figures.behind_s == 0 && began.elapsed() >= patience.settled {
                    return Waited::CaughtUp;
                }
                words
            }
            Err(problem) => problem,
        };
        if began.elapsed() >= patience.most {
            return Waited::Behind(format!("after {:?}: {last}", patience.most));
        }
        if said.elapsed() >= patience.word_every {
            said = Instant::now();
            say(&last);
        }
        std::thread::sleep(patience.every);
    }
}

impl Figures {
    fn words(&self) -> String {
        format!(
            "the store is {} s behind, has taken {} records, has failed {} times, has given up {} shards",
            self.behind_s, self.applied, self.failures, self.stopped_shards
        )
    }
}

/// Shards that a backoffice in a process of its own has given up, by its own metrics: those of its feed and those of its store.
pub fn stopped(text: &str) -> Result<u64, String> {
    let names = [
        "tidegate_backoffice_feed_stopped_shards_total",
        "tidegate_backoffice_store_stopped_shards",
    ];
    let figures = names
        .map(|name| figure(text, name).ok_or_else(|| format!("the backoffice's metrics have no {name}")));
    figures.into_iter().sum()
}

/// A figure without labels.
fn figure(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

fn figures(text: &str) -> Option<Figures> {
    let of = |name: &str| figure(text, name);
    Some(Figures {
        behind_s: of("tidegate_feed_behind_seconds")?,
        applied: of("tidegate_feed_applied_total")?,
        failures: of("tidegate_feed_failures_total")?,
        stopped_shards: of("tidegate_feed_stopped_shards")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Patience = Patience {
        most: Duration::from_millis(60),
        settled: Duration::from_millis(10),
        every: Duration::from_millis(1),
        word_every: Duration::from_millis(2),
    };

    fn page(behind_s: u64, stopped: u64) -> String {
        format!(
            "# TYPE tidegate_feed_applied counter\ntidegate_feed_applied_total 7\ntidegate_feed_failures_total 0\n\
             tidegate_feed_stopped_shards {stopped}\ntidegate_feed_behind_seconds {behind_s}\n"
        )
    }

    #[test]
    fn a_lag_that_becomes_0_is_waited_for_with_a_word_now_and_then() {
        let (mut asked, mut words) = (0, Vec::new());
        let mut ask = || {
            asked += 1;
            match asked {
                1 => Err("it does not listen yet".to_owned()),
                n if n < 15 => Ok(page(3, 0)),
                _ => Ok(page(0, 0)),
            }
        };
        let waited = wait(&mut ask, QUICK, &mut |line| words.push(line.to_owned()));
        assert_eq!(waited, Waited::CaughtUp);
        assert!(
            asked >= 15 && words.iter().any(|line| line.contains("3 s behind")),
            "{words:?}"
        );
    }

    #[test]
    fn stopped_shards_of_feed_and_store_are_added_and_a_page_without_them_is_no_zero() {
        let page =
            "tidegate_backoffice_feed_stopped_shards_total 2\ntidegate_backoffice_store_stopped_shards 1\n";
        assert_eq!(stopped(page), Ok(3));
        assert!(stopped("tidegate_backoffice_store_stopped_shards 0\n").is_err());
    }

    #[test]
    fn a_0_of_the_first_moment_is_not_believed() {
        let mut asked = 0;
        let mut ask = || {
            asked += 1;
            Ok(page(u64::from(asked > 1), 0))
        };
        assert!(matches!(wait(&mut ask, QUICK, &mut |_| {}), Waited::Behind(_)));
    }

    #[test]
    fn a_lag_that_stays_a_shard_that_was_given_up_and_no_feed_are_told_apart() {
        let waited = |text: String| wait(&mut || Ok(text.clone()), QUICK, &mut |_| {});
        assert!(matches!(waited(page(1, 0)), Waited::Behind(words) if words.contains("1 s behind")));
        assert!(matches!(waited(page(0, 2)), Waited::Behind(words) if words.contains("2 shards")));
        assert_eq!(waited("tidegate_up 1\n".to_owned()), Waited::NoFeed);
        assert!(
            matches!(wait(&mut || Err("gone".into()), QUICK, &mut |_| {}), Waited::Behind(words) if words.contains("gone"))
        );
    }
}
