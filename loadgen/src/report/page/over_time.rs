//! The charts over time, each with the numbers behind it.

use std::fmt::Write as _;

use super::sections::{behind, per_second};
use super::{grouped, table};
use crate::report::chart::{LINES_MAX, LineChart, Scale, Series};
use crate::report::document::Report;
use crate::series::Point;
use crate::threshold::show_us;

/// Points of a line: more cannot be told apart on a screen.
const POINTS_MAX: usize = 240;

/// Rows of a table behind a chart.
const ROWS_MAX: usize = 60;

fn units(v: f64) -> String {
    grouped(v.round() as u64)
}

/// At most `max` points; those that lie together are one: rates are their mean, percentiles the worst of them.
fn thinned(points: &[Point], max: usize) -> Vec<Point> {
    let each = points.len().div_ceil(max).max(1);
    points.chunks(each).map(merged).collect()
}

fn merged(points: &[Point]) -> Point {
    let mut sum = Point::default();
    for p in points {
        sum.at_s = p.at_s;
        sum.length_s += p.length_s;
        sum.sent += p.sent;
        sum.answered += p.answered;
        sum.errors += p.errors;
        sum.lost += p.lost;
        sum.skipped += p.skipped;
        sum.p50_us = sum.p50_us.max(p.p50_us);
        sum.p99_us = sum.p99_us.max(p.p99_us);
        sum.p999_us = sum.p999_us.max(p.p999_us);
        sum.max_us = sum.max_us.max(p.max_us);
        for (reason, n) in &p.refusals {
            *sum.refusals.entry(reason.clone()).or_default() += n;
        }
    }
    sum.rate = sum.answered as f64 / sum.length_s.max(1e-9);
    sum
}

/// What happened over time.
pub fn over_time(r: &Report, html: &mut String) {
    html.push_str("<h2>What happened over time?</h2>");
    if r.series.is_empty() {
        html.push_str("<p>This report has no series.</p>");
        return;
    }
    let points = thinned(&r.series, POINTS_MAX);
    html.push_str(r#"<div class="charts">"#);
    for chart in [rate_chart(&points), latency_chart(&points)] {
        let _ = write!(html, "<div>{}</div>", chart.draw());
    }
    let _ = write!(
        html,
        "<div>{}</div><div>{}</div></div>",
        refusal_chart(r, &points),
        stock_chart(r)
    );
    let rows = thinned(&r.series, ROWS_MAX).into_iter().map(|p| {
        let us = |us: u64| show_us(us as f64);
        let mut row = vec![
            format!("{:.0}", p.at_s),
            per_second(p.sent as f64 / p.length_s.max(1e-9)),
            per_second(p.rate),
        ];
        row.extend([us(p.p50_us), us(p.p99_us), us(p.p999_us), us(p.max_us)]);
        row.extend([grouped(p.refused()), grouped(p.lost), grouped(p.skipped)]);
        row
    });
    let head = [
        "second", "sent", "answered", "p50", "p99", "p99.9", "slowest", "refused", "lost", "skipped",
    ];
    html.push_str(&behind(
        "The numbers of rate, latency and refusals",
        &table(&head, &[], rows),
    ));
}

fn over<'a>(name: &'a str, points: &[Point], of: impl Fn(&Point) -> f64) -> Series<'a> {
    Series {
        name,
        values: points.iter().map(of).collect(),
    }
}

fn rate_chart(points: &[Point]) -> LineChart<'static> {
    let rates = || points.iter().map(|p| p.rate);
    let (low, high) = (rates().fold(f64::INFINITY, f64::min), rates().fold(0.0, f64::max));
    LineChart {
        id: "rates",
        title: "Requests a second",
        summary: format!(
            "Between {} and {} were answered.",
            per_second(low),
            per_second(high)
        ),
        seconds: points.iter().map(|p| p.at_s).collect(),
        series: vec![
            over("answered", points, |p| p.rate),
            over("sent", points, |p| p.sent as f64 / p.length_s.max(1e-9)),
        ],
        scale: Scale::Linear,
        show: per_second,
    }
}

fn latency_chart(points: &[Point]) -> LineChart<'static> {
    let worst = points.iter().map(|p| p.p99_us).max().unwrap_or(0);
    LineChart {
        id: "percentiles",
        title: "Latency (each line up is tenfold)",
        summary: format!(
            "The 99th percentile of a second was at most {}.",
            show_us(worst as f64)
        ),
        seconds: points.iter().map(|p| p.at_s).collect(),
        series: vec![
            over("p50", points, |p| p.p50_us as f64),
            over("p99", points, |p| p.p99_us as f64),
            over("p99.9", points, |p| p.p999_us as f64),
        ],
        scale: Scale::Log,
        show: |us| match us {
            n if n >= 1e6 => format!("{:.3} s", n / 1e6).replace(".000", ""),
            n if n >= 1e3 => format!("{:.2} ms", n / 1e3).replace(".00", ""),
            n => format!("{n:.0} us"),
        },
    }
}

fn refusal_chart(r: &Report, points: &[Point]) -> String {
    let mut reasons: Vec<(&String, &u64)> = r.refusals.iter().collect();
    reasons.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
    reasons.truncate(LINES_MAX);
    if reasons.is_empty() {
        return "<figure><figcaption>Refusals a second</figcaption><p class=\"soft\">Nothing was refused.</p></figure>".into();
    }
    let of =
        |reason: &str, p: &Point| p.refusals.get(reason).copied().unwrap_or(0) as f64 / p.length_s.max(1e-9);
    let chart = LineChart {
        id: "refusals",
        title: "Refusals a second",
        summary: format!("Most were {}: {}.", reasons[0].0, grouped(*reasons[0].1)),
        seconds: points.iter().map(|p| p.at_s).collect(),
        series: reasons
            .iter()
            .map(|(reason, _)| over(reason, points, |p| of(reason, p)))
            .collect(),
        scale: Scale::Linear,
        show: per_second,
    };
    let mut head = vec!["second"];
    head.extend(reasons.iter().map(|(reason, _)| reason.as_str()));
    let rows = thinned(&r.series, ROWS_MAX).into_iter().map(|p| {
        let counts = reasons
            .iter()
            .map(|(reason, _)| grouped(p.refusals.get(*reason).copied().unwrap_or(0)));
        std::iter::once(format!("{:.0}", p.at_s)).chain(counts).collect()
    });
    chart.draw() + &behind("The numbers of this chart", &table(&head, &[], rows))
}

fn stock_chart(r: &Report) -> String {
    let stock = &r.stock[..r.stock.len().min(LINES_MAX)];
    // Each round reads every SKU once: the shortest series has all rounds that are whole.
    let rounds = stock.iter().map(|s| s.points.len()).min().unwrap_or(0);
    if rounds == 0 {
        return "<figure><figcaption>Stock</figcaption><p class=\"soft\">No stock was followed.</p></figure>"
            .into();
    }
    let chosen = |most: usize| {
        (0..rounds)
            .step_by(rounds.div_ceil(most).max(1))
            .collect::<Vec<_>>()
    };
    let shown = chosen(POINTS_MAX);
    let first = &stock[0].points;
    let chart = LineChart {
        id: "stock",
        title: "Units taken since the start, of the SKUs wanted most",
        summary: stock.iter().fold(String::new(), |mut said, s| {
            let _ = write!(
                said,
                "{}: {} units could be ordered at the start, {} at the end. ",
                s.sku,
                grouped(s.points[0].available),
                grouped(s.points[rounds - 1].available)
            );
            said
        }),
        seconds: shown.iter().map(|&n| first[n].at_s).collect(),
        series: stock
            .iter()
            .map(|s| Series {
                name: &s.sku,
                values: shown
                    .iter()
                    .map(|&n| s.points[0].available.saturating_sub(s.points[n].available) as f64)
                    .collect(),
            })
            .collect(),
        scale: Scale::Linear,
        show: units,
    };
    let mut head = vec!["second"];
    head.extend(stock.iter().map(|s| s.sku.as_str()));
    let rows = chosen(ROWS_MAX).into_iter().map(|n| {
        let units = stock.iter().map(|s| grouped(s.points[n].available));
        std::iter::once(format!("{:.0}", first[n].at_s))
            .chain(units)
            .collect()
    });
    chart.draw()
        + &behind(
            "Units that could be ordered, in numbers",
            &table(&head, &[], rows),
        )
}
