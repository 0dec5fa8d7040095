//! What the live view shows.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Gauge, Paragraph, Sparkline};

use crate::limits::VIEW_HISTORY_MAX;
use crate::request::Connections;
use crate::series::Point;
use crate::threshold::show_us;

/// The figures of the last seconds.
pub struct View {
    target: String,
    duration: Duration,
    last: Point,
    rates: VecDeque<u64>,
    p99s: VecDeque<u64>,
    refusals: BTreeMap<String, u64>,
    skipped: u64,
    lost: u64,
    answered: u64,
}

impl View {
    /// Before the first second.
    pub fn new(target: &str, duration: Duration) -> View {
        View {
            target: target.to_string(),
            duration,
            last: Point::default(),
            rates: VecDeque::new(),
            p99s: VecDeque::new(),
            refusals: BTreeMap::new(),
            skipped: 0,
            lost: 0,
            answered: 0,
        }
    }

    /// Takes a second that is over.
    pub fn second(&mut self, point: Point) {
        for (history, value) in [
            (&mut self.rates, point.rate as u64),
            (&mut self.p99s, point.p99_us),
        ] {
            if history.len() == VIEW_HISTORY_MAX {
                history.pop_front();
            }
            history.push_back(value);
        }
        for (reason, n) in &point.refusals {
            *self.refusals.entry(reason.clone()).or_default() += n;
        }
        self.skipped += point.skipped;
        self.lost += point.lost;
        self.answered += point.answered;
        self.last = point;
    }

    /// Draws everything.
    pub fn draw(&self, frame: &mut Frame<'_>, elapsed: Duration, connections: Connections, stopping: bool) {
        let rows = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(1),
            Constraint::Length(4),
            Constraint::Fill(1),
            Constraint::Fill(1),
            Constraint::Length(1),
        ])
        .split(frame.area());
        let title = Line::from(vec!["tidegate-loadgen ".bold(), self.target.as_str().into()]);
        frame.render_widget(Paragraph::new(title), rows[0]);
        self.progress(frame, rows[1], elapsed, stopping);
        self.figures(frame, rows[2], connections);
        let halves = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).split(rows[3]);
        let best = self.rates.iter().max().copied().unwrap_or(0);
        spark(
            frame,
            halves[0],
            format!("answers/s, at most {best}"),
            &self.rates,
            Color::Cyan,
        );
        let worst = self.p99s.iter().max().copied().unwrap_or(0) as f64;
        let title = format!("p99, at most {}", show_us(worst));
        spark(frame, halves[1], title, &self.p99s, Color::Yellow);
        self.refused(frame, rows[4]);
        let keys = if stopping {
            "ending: what is under way is answered, then everything is verified"
        } else {
            "q or Ctrl-C ends the load early; it is verified and reported all the same"
        };
        frame.render_widget(Paragraph::new(keys).add_modifier(Modifier::DIM), rows[5]);
    }

    fn progress(&self, frame: &mut Frame<'_>, area: Rect, elapsed: Duration, stopping: bool) {
        let left = self.duration.saturating_sub(elapsed);
        let label = if stopping || left.is_zero() {
            "ending".to_string()
        } else {
            format!(
                "{} s of {} s left",
                left.as_secs() + 1,
                self.duration.as_secs_f64()
            )
        };
        let ratio = (elapsed.as_secs_f64() / self.duration.as_secs_f64().max(1e-9)).clamp(0.0, 1.0);
        let gauge = Gauge::default()
            .ratio(ratio)
            .label(label)
            .gauge_style(Color::Blue);
        frame.render_widget(gauge, area);
    }

    fn figures(&self, frame: &mut Frame<'_>, area: Rect, c: Connections) {
        let p = &self.last;
        let alarm = |n: u64| {
            if n > 0 {
                Style::new().fg(Color::Red).bold()
            } else {
                Style::new()
            }
        };
        let ms = |us: u64| Span::from(show_us(us as f64)).bold();
        let lines = vec![
            Line::from(vec![
                "rate ".into(),
                format!("{:.0}/s", p.rate).bold(),
                format!("   sent {}/s", (p.sent as f64 / p.length_s.max(1e-9)).round()).into(),
                format!("   answered {}", self.answered).into(),
            ]),
            Line::from(vec![
                "p50 ".into(),
                ms(p.p50_us),
                "   p99 ".into(),
                ms(p.p99_us),
                "   p99.9 ".into(),
                ms(p.p999_us),
                "   max ".into(),
                ms(p.max_us),
            ]),
            Line::from(vec![
                format!("connections {} of {}", c.ready, c.wanted).into(),
                format!("   in flight {}   made {}", c.in_flight, c.made).into(),
                Span::styled(format!("   failed {}", c.failed), alarm(c.failed)),
            ]),
            Line::from(vec![
                Span::styled(format!("skipped sends {}", self.skipped), alarm(self.skipped)),
                Span::styled(format!("   lost {}", self.lost), alarm(self.lost)),
            ]),
        ];
        frame.render_widget(Paragraph::new(lines), area);
    }

    fn refused(&self, frame: &mut Frame<'_>, area: Rect) {
        let block = Block::bordered().title("refused so far, by status and reason");
        let mut rows: Vec<(&String, &u64)> = self.refusals.iter().collect();
        rows.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
        let lines: Vec<Line<'_>> = if rows.is_empty() {
            vec!["nothing".into()]
        } else {
            let this_second = |reason: &str| self.last.refusals.get(reason).copied().unwrap_or(0);
            let row = |(reason, n): (&String, &u64)| {
                // A reason is a server's text: what would move the cursor is not shown.
                let shown: String = reason.chars().filter(|c| !c.is_control()).collect();
                Line::from(format!("{n:>10}  {:>8}/s  {shown}", this_second(reason)))
            };
            rows.into_iter().map(row).collect()
        };
        frame.render_widget(Paragraph::new(lines).block(block), area);
    }
}

/// The newest values at the right edge.
fn spark(frame: &mut Frame<'_>, area: Rect, title: String, values: &VecDeque<u64>, color: Color) {
    let width = usize::from(area.width.saturating_sub(2));
    let shown: Vec<u64> = values
        .iter()
        .skip(values.len().saturating_sub(width))
        .copied()
        .collect();
    let spark = Sparkline::default()
        .block(Block::bordered().title(title))
        .data(shown)
        .style(color);
    frame.render_widget(spark, area);
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;

    fn drawn(width: u16, height: u16) -> String {
        let mut view = View::new("https://127.0.0.1:8443", Duration::from_secs(30));
        view.second(Point {
            length_s: 1.0,
            rate: 11_999.0,
            p99_us: 2500,
            skipped: 7,
            refusals: BTreeMap::from([("503 overloaded\u{1b}[2J".to_string(), 12)]),
            ..Point::default()
        });
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal
            .draw(|f| view.draw(f, Duration::from_secs(10), Connections::default(), false))
            .unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn the_view_shows_rate_percentiles_refusals_and_the_time_left() {
        let text = drawn(100, 24);
        for wanted in [
            "11999/s",
            "p99 2.50 ms",
            "503 overloaded",
            "skipped sends 7",
            "21 s of 30 s left",
        ] {
            assert!(text.contains(wanted), "{wanted} is not in\n{text}");
        }
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn a_low_terminal_loses_charts_before_figures() {
        let text = drawn(80, 12);
        assert!(
            text.contains("skipped sends 7") && text.contains("99.9"),
            "{text}"
        );
    }

    #[test]
    fn a_terminal_of_any_size_is_drawn_on() {
        for (width, height) in [(1, 1), (20, 5), (300, 80)] {
            drawn(width, height);
        }
    }
}
