//! The view of a run in a terminal, on a thread of its own.
//!
//! The generator's loop stores a few relaxed counters ten times a second and hands over one second's figures when it is over; it never
//! waits for the view.

mod view;

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};

use self::view::View;
use crate::limits::VIEW_SECONDS_MAX;
use crate::request::Connections;
use crate::series::Point;

/// How often the view is drawn, and how long a key waits at most.
const FRAME: Duration = Duration::from_millis(200);

/// What the loop tells the view.
pub struct Pulse {
    seconds: SyncSender<Point>,
    wanted: AtomicUsize,
    ready: AtomicUsize,
    in_flight: AtomicUsize,
    made: AtomicU64,
    failed: AtomicU64,
}

impl Pulse {
    fn new() -> (Arc<Pulse>, Receiver<Point>) {
        let (seconds, heard) = sync_channel(VIEW_SECONDS_MAX);
        let pulse = Pulse {
            seconds,
            wanted: AtomicUsize::new(0),
            ready: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            made: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        };
        (Arc::new(pulse), heard)
    }

    /// Stores how the connections are.
    pub fn connections(&self, c: Connections) {
        self.wanted.store(c.wanted, Ordering::Relaxed);
        self.ready.store(c.ready, Ordering::Relaxed);
        self.in_flight.store(c.in_flight, Ordering::Relaxed);
        self.made.store(c.made, Ordering::Relaxed);
        self.failed.store(c.failed, Ordering::Relaxed);
    }

    /// Hands over a second that is over; a view that fell behind misses it.
    pub fn second(&self, point: Point) {
        let _ = self.seconds.try_send(point);
    }

    fn read(&self) -> Connections {
        Connections {
            wanted: self.wanted.load(Ordering::Relaxed),
            ready: self.ready.load(Ordering::Relaxed),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            made: self.made.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }
}

/// Whether there is a terminal to draw on and to read keys from.
pub fn has_terminal() -> bool {
    std::io::stdout().is_terminal() && std::io::stderr().is_terminal() && std::io::stdin().is_terminal()
}

/// A view that is being shown.
pub struct Live {
    pulse: Arc<Pulse>,
    /// Asked by a key: the load ends.
    stop: Arc<AtomicBool>,
    /// The load is over: the view ends.
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Live {
    /// Takes the terminal.
    pub fn start(target: &str, duration: Duration) -> Result<Live, String> {
        let (pulse, seconds) = Pulse::new();
        let (stop, over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let terminal = ratatui::try_init().map_err(|e| format!("--live: {e}"))?;
        let view = View::new(target, duration);
        let show = {
            let (pulse, stop, over) = (pulse.clone(), stop.clone(), over.clone());
            move || {
                // A terminal that went away ends the view, not the run.
                let _ = show(terminal, view, &pulse, &seconds, &stop, &over);
                ratatui::restore();
            }
        };
        let thread = std::thread::Builder::new()
            .name("live".into())
            .spawn(show)
            .map_err(|e| {
                ratatui::restore();
                format!("--live: {e}")
            })?;
        Ok(Live {
            pulse,
            stop,
            over,
            thread: Some(thread),
        })
    }

    /// What the loop tells it through.
    pub fn pulse(&self) -> Arc<Pulse> {
        self.pulse.clone()
    }

    /// Set when somebody asked for the load's end.
    pub fn stop(&self) -> Arc<AtomicBool> {
        self.stop.clone()
    }

    /// Gives the terminal back; whether somebody asked for the load's end.
    pub fn end(self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// A run that fails gives the terminal back, too, before its error is printed.
impl Drop for Live {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn show(
    mut terminal: DefaultTerminal,
    mut view: View,
    pulse: &Pulse,
    seconds: &Receiver<Point>,
    stop: &AtomicBool,
    over: &AtomicBool,
) -> std::io::Result<()> {
    let began = Instant::now();
    while !over.load(Ordering::Relaxed) {
        for point in seconds.try_iter() {
            view.second(point);
        }
        let (connections, stopping) = (pulse.read(), stop.load(Ordering::Relaxed));
        terminal.draw(|frame| view.draw(frame, began.elapsed(), connections, stopping))?;
        if event::poll(FRAME)? && is_end(&event::read()?) {
            stop.store(true, Ordering::Relaxed);
        }
    }
    Ok(())
}

/// q, Esc, or Ctrl-C: in raw mode that is a key like any other.
fn is_end(event: &Event) -> bool {
    let Event::Key(key) = event else { return false };
    key.kind == KeyEventKind::Press
        && match key.code {
            KeyCode::Char('q') | KeyCode::Esc => true,
            KeyCode::Char('c') => key.modifiers.contains(KeyModifiers::CONTROL),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_that_does_not_listen_never_stops_the_loop() {
        let (pulse, seconds) = Pulse::new();
        for n in 0..1000 {
            pulse.second(Point {
                sent: n,
                ..Point::default()
            });
        }
        assert_eq!(seconds.try_iter().count(), VIEW_SECONDS_MAX);
        drop(seconds);
        pulse.second(Point::default());
    }

    #[test]
    fn q_and_ctrl_c_end_the_run_and_c_alone_does_not() {
        let key = |code, modifiers| Event::Key(event::KeyEvent::new(code, modifiers));
        assert!(is_end(&key(KeyCode::Char('q'), KeyModifiers::NONE)));
        assert!(is_end(&key(KeyCode::Char('c'), KeyModifiers::CONTROL)));
        assert!(!is_end(&key(KeyCode::Char('c'), KeyModifiers::NONE)));
    }
}
