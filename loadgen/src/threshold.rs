//! What must hold at a run's end, as `p99<10ms`.

use std::fmt;
use std::str::FromStr;

use crate::report::document::Report;

/// What a number counts, and so which units it may be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Microseconds; written with us, ms or s.
    Time,
    /// A part of the requests that were sent; written with %.
    Share,
    /// Per second; written bare or with /s.
    Rate,
}

/// A figure of a run.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name in thresholds and tables.
    pub name: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// Whether more of it is better.
    pub more_is_better: bool,
    /// Its value: microseconds, a share from 0 to 1, or per second.
    pub of: fn(&Report) -> f64,
}

impl PartialEq for Metric {
    fn eq(&self, other: &Metric) -> bool {
        self.name == other.name
    }
}

const fn time(name: &'static str, of: fn(&Report) -> f64) -> Metric {
    Metric {
        name,
        unit: Unit::Time,
        more_is_better: false,
        of,
    }
}

const fn share(name: &'static str, of: fn(&Report) -> f64) -> Metric {
    Metric {
        name,
        unit: Unit::Share,
        more_is_better: false,
        of,
    }
}

const fn rate(name: &'static str, of: fn(&Report) -> f64) -> Metric {
    Metric {
        name,
        unit: Unit::Rate,
        more_is_better: true,
        of,
    }
}

/// Every figure that can be asked for.
pub const METRICS: [Metric; 12] = [
    rate("rate", |r| r.rate),
    rate("orders", |r| r.orders_made as f64 / r.seconds.max(1e-9)),
    time("p50", |r| r.latency_us.p50 as f64),
    time("p90", |r| r.latency_us.p90 as f64),
    time("p99", |r| r.latency_us.p99 as f64),
    time("p99.9", |r| r.latency_us.p999 as f64),
    time("max", |r| r.latency_us.max as f64),
    time("mean", |r| r.latency_us.mean),
    share("errors", |r| r.share(r.errors + r.lost)),
    share("refused", |r| r.share(r.refused())),
    share("lost", |r| r.share(r.lost)),
    share("skipped", |r| {
        r.skipped as f64 / (r.skipped + r.requests()).max(1) as f64
    }),
];

/// What may be written, for people who wrote something else.
const METRICS_HELP: &str = "rate, orders (a second); p50, p90, p99, p99.9, max, mean (us, ms or s); errors, refused, lost, skipped (%)";

impl Metric {
    /// The metric named `name`.
    ///
    /// # Errors
    /// Names every metric with its units.
    pub fn named(name: &str) -> Result<Metric, String> {
        let name = if name == "p999" { "p99.9" } else { name };
        METRICS
            .iter()
            .find(|m| m.name == name)
            .copied()
            .ok_or_else(|| format!("no metric is named {name:?}; there are {METRICS_HELP}"))
    }

    /// Reads a value with its unit.
    ///
    /// # Errors
    /// Says which units this metric has.
    pub fn value(&self, text: &str) -> Result<f64, String> {
        let units: &[(&str, f64)] = match self.unit {
            Unit::Time => &[("us", 1.0), ("ms", 1e3), ("s", 1e6)],
            Unit::Share => &[("%", 0.01)],
            Unit::Rate => &[("/s", 1.0), ("", 1.0)],
        };
        let want = || {
            let example = match self.unit {
                Unit::Time => "a time with its unit, as 500us, 10ms or 2s",
                Unit::Share => "a percentage of the requests, as 0.1%",
                Unit::Rate => "a number a second, as 11900",
            };
            format!("{text:?}: {} wants {example}", self.name)
        };
        let at = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(at);
        let (_, factor) = units.iter().find(|(u, _)| *u == unit).ok_or_else(want)?;
        number.parse::<f64>().map(|n| n * factor).map_err(|_| want())
    }

    /// A value as people read it.
    pub fn show(&self, value: f64) -> String {
        match self.unit {
            Unit::Time => show_us(value),
            Unit::Share => format!("{:.3} %", value * 100.0),
            Unit::Rate => format!("{value:.0}/s"),
        }
    }
}

/// Microseconds as people read them, three digits.
pub fn show_us(us: f64) -> String {
    match us.abs() {
        n if n >= 1e7 => format!("{:.1} s", us / 1e6),
        n if n >= 1e6 => format!("{:.2} s", us / 1e6),
        n if n >= 1e5 => format!("{:.0} ms", us / 1e3),
        n if n >= 1e4 => format!("{:.1} ms", us / 1e3),
        n if n >= 1e3 => format!("{:.2} ms", us / 1e3),
        _ => format!("{us:.0} us"),
    }
}

/// How a figure is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
}

impl Order {
    /// Splits `text` at its comparison.
    pub fn split(text: &str) -> Option<(&str, Order, &str)> {
        let at = text.find(['<', '>'])?;
        let (name, rest) = text.split_at(at);
        [
            ("<=", Order::AtMost),
            (">=", Order::AtLeast),
            ("<", Order::Less),
            (">", Order::More),
        ]
        .into_iter()
        .find_map(|(sign, order)| rest.strip_prefix(sign).map(|v| (name.trim(), order, v.trim())))
    }

    /// Whether `a` stands so to `b`.
    pub fn holds(self, a: f64, b: f64) -> bool {
        match self {
            Order::Less => a < b,
            Order::AtMost => a <= b,
            Order::More => a > b,
            Order::AtLeast => a >= b,
        }
    }
}

/// A condition on a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    text: String,
    metric: Metric,
    order: Order,
    bound: f64,
}

impl Threshold {
    /// The run's figure, as people read it, and whether the condition holds.
    pub fn check(&self, report: &Report) -> (String, bool) {
        let value = (self.metric.of)(report);
        (self.metric.show(value), self.order.holds(value, self.bound))
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Threshold, String> {
        let (name, order, value) = Order::split(text).ok_or_else(|| {
            format!("{text:?}: want METRIC<VALUE or METRIC>VALUE; metrics are {METRICS_HELP}")
        })?;
        let metric = Metric::named(name)?;
        Ok(Threshold {
            text: text.trim().to_string(),
            metric,
            order,
            bound: metric.value(value)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut report = Report::default();
        (report.answers, report.errors, report.rate, report.seconds) = (10_000, 5, 11_950.0, 1.0);
        (report.latency_us.p99, report.latency_us.p999) = (9_999, 20_000);
        report
    }

    #[test]
    fn a_threshold_is_checked_in_its_unit_and_half_open() {
        let holds = |text: &str| text.parse::<Threshold>().unwrap().check(&report()).1;
        assert!(holds("p99<10ms") && holds("p99 <= 9999us") && !holds("p99<9999us"));
        assert!(!holds("p99.9<20ms") && holds("p999<=0.02s"));
        assert!(holds("errors<0.1%") && !holds("errors<0.05%") && holds("errors<=0.05%"));
        assert!(holds("rate>11900") && holds("rate>=11950/s") && !holds("rate>12000"));
    }

    #[test]
    fn a_threshold_that_makes_no_sense_says_what_would() {
        let error = |text: &str| text.parse::<Threshold>().unwrap_err();
        assert!(error("p95<10ms").contains("p99.9, max"), "{}", error("p95<10ms"));
        assert!(error("p99=10ms").contains("METRIC<VALUE"));
        assert!(error("p99<10").contains("500us, 10ms or 2s"));
        assert!(error("errors<1").contains("0.1%") && error("rate>10ms").contains("11900"));
        for bad in [
            "p99<",
            "<10ms",
            "p99<-1ms",
            "p99<1.2.3ms",
            "p99<10msx",
            "p99<<10ms",
            "",
            "rate>NaN",
            "rate>inf",
        ] {
            assert!(bad.parse::<Threshold>().is_err(), "{bad}");
        }
    }
}
