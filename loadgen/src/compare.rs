//! `tidegate-loadgen compare`: two runs side by side, and what of the difference the runs' own noise explains.

use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

use crate::Verdict;
use crate::cli::CompareArgs;
use crate::report::document::Report;
use crate::report::page;
use crate::series::Point;
use crate::threshold::{METRICS, Metric, Order, Unit};

/// Seconds a run needs before its spread says anything.
const SECONDS_MIN: usize = 5;

/// What is to be thought of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// No difference at all.
    Same,
    /// As large as the difference between two seconds of the runs themselves.
    Noise,
    /// Larger than that, for the better.
    Better,
    /// Larger than that, for the worse.
    Worse,
    /// There is no spread to compare with.
    Unknown,
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Judgement::Same => "same",
            Judgement::Noise => "within the noise",
            Judgement::Better => "better",
            Judgement::Worse => "worse",
            Judgement::Unknown => "no spread known",
        })
    }
}

/// One metric of both runs.
#[derive(Clone, Debug)]
pub struct Row {
    metric: Metric,
    before: f64,
    after: f64,
    /// Standard deviation of the difference of two seconds, one of each run.
    spread: Option<f64>,
}

impl Row {
    fn new(metric: Metric, before: &Report, after: &Report) -> Row {
        let spread = seconds(metric, before).zip(seconds(metric, after));
        Row {
            metric,
            before: (metric.of)(before),
            after: (metric.of)(after),
            spread: spread.map(|(a, b)| (variance(&a) + variance(&b)).sqrt()),
        }
    }

    /// What is to be thought of it.
    pub fn judgement(&self) -> Judgement {
        let change = self.after - self.before;
        match self.spread {
            _ if change == 0.0 => Judgement::Same,
            None => Judgement::Unknown,
            Some(spread) if change.abs() <= spread => Judgement::Noise,
            Some(_) if (change > 0.0) == self.metric.more_is_better => Judgement::Better,
            Some(_) => Judgement::Worse,
        }
    }

    /// The change relative to the run before; infinite when that had none.
    fn relative(&self) -> f64 {
        match (self.before, self.after) {
            (b, a) if a == b => 0.0,
            (0.0, _) => f64::INFINITY,
            (b, a) => (a - b) / b,
        }
    }

    fn cells(&self) -> Vec<String> {
        let change = match self.relative() {
            r if r.is_infinite() => "from nothing".to_string(),
            r => format!("{:+.1} %", r * 100.0),
        };
        vec![
            self.metric.name.to_string(),
            self.metric.show(self.before),
            self.metric.show(self.after),
            change,
            self.spread
                .map_or_else(String::new, |s| format!("± {}", self.metric.show(s))),
            self.judgement().to_string(),
        ]
    }
}

/// The metric's value in each whole second; none when a second says nothing about it (the slowest of a run is not the slowest of a
/// second), or there are too few.
fn seconds(metric: Metric, report: &Report) -> Option<Vec<f64>> {
    let of: fn(&Point) -> f64 = match metric.name {
        "rate" => |p| p.rate,
        "p50" => |p| p.p50_us as f64,
        "p99" => |p| p.p99_us as f64,
        "p99.9" => |p| p.p999_us as f64,
        "errors" => |p| (p.errors + p.lost) as f64 / (p.answered + p.lost).max(1) as f64,
        "refused" => |p| p.refused() as f64 / (p.answered + p.lost).max(1) as f64,
        "lost" => |p| p.lost as f64 / (p.answered + p.lost).max(1) as f64,
        "skipped" => |p| p.skipped as f64 / (p.skipped + p.answered + p.lost).max(1) as f64,
        _ => return None,
    };
    // The first second has the handshakes, and the last one is not whole.
    let whole = report.series.iter().skip(1).filter(|p| p.length_s >= 0.9);
    let values: Vec<f64> = whole.map(of).collect();
    (values.len() >= SECONDS_MIN).then_some(values)
}

fn variance(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)
}

/// All metrics of both runs.
pub fn rows(before: &Report, after: &Report) -> Vec<Row> {
    METRICS.into_iter().map(|m| Row::new(m, before, after)).collect()
}

/// How much of a change is too much.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Change {
    /// Relative to the run before.
    Relative(f64),
    /// In the metric's own unit.
    Absolute(f64),
}

/// A change that is a failure, as `p99>+10%`.
#[derive(Clone, Debug, PartialEq)]
pub struct FailIf {
    text: String,
    metric: Metric,
    order: Order,
    change: Change,
}

impl FailIf {
    fn is_met(&self, row: &Row) -> bool {
        match self.change {
            Change::Relative(bound) => self.order.holds(row.relative(), bound),
            Change::Absolute(bound) => self.order.holds(row.after - row.before, bound),
        }
    }
}

impl FromStr for FailIf {
    type Err = String;

    fn from_str(text: &str) -> Result<FailIf, String> {
        let want = || {
            format!(
                "{text:?}: want a change with its sign, as 'p99>+10%', 'rate<-5%', 'p99>+2ms' or 'errors>+0.1pp' (points of a percentage)"
            )
        };
        let (name, order, value) = Order::split(text).ok_or_else(want)?;
        let metric = Metric::named(name)?;
        let (sign, size) = match (value.strip_prefix('+'), value.strip_prefix('-')) {
            (Some(size), _) => (1.0, size),
            (_, Some(size)) => (-1.0, size),
            _ => return Err(want()),
        };
        let number = |n: &str| n.parse::<f64>().ok().filter(|v| v.is_finite() && *v >= 0.0);
        let change = match (size.strip_suffix("pp"), size.strip_suffix('%')) {
            (Some(n), _) if metric.unit == Unit::Share => {
                Change::Absolute(number(n).ok_or_else(want)? * sign / 100.0)
            }
            (Some(_), _) => return Err(want()),
            (_, Some(n)) => Change::Relative(number(n).ok_or_else(want)? * sign / 100.0),
            _ => Change::Absolute(metric.value(size).map_err(|_| want())? * sign),
        };
        Ok(FailIf {
            text: text.trim().to_string(),
            metric,
            order,
            change,
        })
    }
}

/// Prints the table, writes the page, and says whether a change is a failure.
pub fn run(args: &CompareArgs) -> Result<Verdict, String> {
    let (before, after) = (Report::read(&args.before)?, Report::read(&args.after)?);
    let rows = rows(&before, &after);
    println!(
        "{:<8} {:>12} {:>12} {:>12} {:>14}  ",
        "", "before", "after", "change", "spread"
    );
    for row in &rows {
        let c = row.cells();
        println!(
            "{:<8} {:>12} {:>12} {:>12} {:>14}  {}",
            c[0], c[1], c[2], c[3], c[4], c[5]
        );
    }
    println!("{SPREAD}");
    for difference in differences(&before, &after) {
        println!("note: {difference}");
    }
    let mut verdict = Verdict::Held;
    for fail in &args.fail_if {
        let is_met = rows
            .iter()
            .any(|row| row.metric == fail.metric && fail.is_met(row));
        println!(
            "fail if {}: {}",
            fail.text,
            if is_met { "it is: FAILED" } else { "it is not" }
        );
        if is_met {
            verdict = Verdict::ThresholdBroken;
        }
    }
    if let Some(path) = &args.html {
        std::fs::write(path, draw(&before, &after, &rows)).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(verdict)
}

const SPREAD: &str = "spread: by how much one second of one run differs from one second of the other (standard deviation); a smaller change may be chance.";

/// Why the two runs may not be comparable.
fn differences(before: &Report, after: &Report) -> Vec<String> {
    let (a, b) = (&before.run, &after.run);
    let pairs = [
        ("machine", a.machine.clone(), b.machine.clone()),
        ("offered", a.offered.clone(), b.offered.clone()),
        ("HTTP", a.http.to_string(), b.http.to_string()),
        (
            "connections",
            a.connections.to_string(),
            b.connections.to_string(),
        ),
        (
            "outstanding",
            a.outstanding.to_string(),
            b.outstanding.to_string(),
        ),
        ("people", a.users.to_string(), b.users.to_string()),
        (
            "verified",
            before.verified.to_string(),
            after.verified.to_string(),
        ),
    ];
    let differ = pairs.into_iter().filter(|(_, a, b)| a != b);
    differ
        .map(|(name, a, b)| format!("{name} differs: {a} before, {b} after"))
        .collect()
}

fn draw(before: &Report, after: &Report, rows: &[Row]) -> String {
    let mut body = String::from("<h1>Two load tests compared</h1>");
    let head = ["", "before", "after", "change", "spread", "verdict"];
    body.push_str(&page::table(&head, &[5], rows.iter().map(Row::cells)));
    let _ = write!(body, r#"<p class="soft">{}</p>"#, page::escaped(SPREAD));
    for difference in differences(before, after) {
        let _ = write!(
            body,
            r#"<p class="fault">Note: {}</p>"#,
            page::escaped(&difference)
        );
    }
    for (title, report) in [("Before", before), ("After", after)] {
        let command = page::escaped(&report.run.command);
        let facts = page::escaped(&format!("{} · {}", report.run.began, report.run.machine));
        let _ = write!(
            body,
            r#"<h2>{title}</h2><p class="soft">{facts}</p><pre>{command}</pre>"#
        );
    }
    page::shell("Tidegate load tests compared", &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run whose 99th percentile swings by `swing` around `p99_us`.
    fn run_of(p99_us: u64, swing: u64, rate: f64) -> Report {
        let mut report = Report::default();
        (report.answers, report.seconds, report.rate) = (1000, 10.0, rate);
        report.latency_us.p99 = p99_us;
        report.series = (0..12)
            .map(|n| Point {
                length_s: 1.0,
                rate,
                p99_us: if n % 2 == 0 {
                    p99_us + swing
                } else {
                    p99_us - swing
                },
                ..Point::default()
            })
            .collect();
        report
    }

    fn judged(name: &str, before: &Report, after: &Report) -> Judgement {
        let rows = rows(before, after);
        rows.iter().find(|r| r.metric.name == name).unwrap().judgement()
    }

    #[test]
    fn a_difference_within_the_runs_own_spread_is_noise_and_a_larger_one_is_not() {
        let before = run_of(2000, 500, 100.0);
        assert_eq!(
            judged("p99", &before, &run_of(2400, 500, 100.0)),
            Judgement::Noise
        );
        assert_eq!(
            judged("p99", &before, &run_of(4000, 500, 100.0)),
            Judgement::Worse
        );
        assert_eq!(
            judged("p99", &before, &run_of(700, 500, 100.0)),
            Judgement::Better
        );
        assert_eq!(judged("p99", &before, &before), Judgement::Same);
        assert_eq!(
            judged("rate", &before, &run_of(2000, 500, 90.0)),
            Judgement::Worse
        );
    }

    #[test]
    fn a_run_of_three_seconds_has_no_spread() {
        let mut short = run_of(2000, 0, 100.0);
        short.series.truncate(3);
        assert_eq!(judged("p99", &short, &run_of(4000, 0, 100.0)), Judgement::Unknown);
    }

    #[test]
    fn a_change_is_a_failure_relative_or_in_the_metrics_unit() {
        let (before, after) = (run_of(2000, 0, 100.0), run_of(2300, 0, 94.0));
        let met = |text: &str| {
            let fail: FailIf = text.parse().unwrap();
            rows(&before, &after)
                .iter()
                .any(|r| r.metric == fail.metric && fail.is_met(r))
        };
        assert!(met("p99>+10%") && !met("p99>+20%"));
        assert!(met("rate<-5%") && !met("rate<-10%"));
        assert!(met("p99>+200us") && !met("p99>+1ms"));
        assert!(!met("errors>+0.1pp") && !met("errors>+0%"));
    }

    #[test]
    fn a_first_error_is_more_than_any_percentage_of_none() {
        let (before, mut after) = (run_of(2000, 0, 100.0), run_of(2000, 0, 100.0));
        after.errors = 1;
        let row = rows(&before, &after)
            .into_iter()
            .find(|r| r.metric.name == "errors")
            .unwrap();
        let fail: FailIf = "errors>+500%".parse().unwrap();
        assert!(fail.is_met(&row) && row.cells()[3] == "from nothing");
    }

    #[test]
    fn a_change_without_a_sign_or_in_a_wrong_unit_is_refused_with_what_would_be_right() {
        for bad in [
            "p99>10%",
            "p99>+10",
            "p99>+1pp",
            "rate<-x%",
            "rate<--5%",
            "p99>+NaN%",
            "p95>+1%",
            "",
        ] {
            let error = bad.parse::<FailIf>().unwrap_err();
            assert!(
                error.contains("+10%") || error.contains("p99.9"),
                "{bad}: {error}"
            );
        }
    }
}
