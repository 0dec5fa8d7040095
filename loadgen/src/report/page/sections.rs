//! What the page says, in the order in which it is asked.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{escaped, grouped, table};
use crate::report::chart::{Bar, LINES_MAX, LineChart, Scale, Series, bars};
use crate::report::document::Report;
use crate::series::Point;
use crate::threshold::show_us;

/// Points of a line: more cannot be told apart on a screen.
const POINTS_MAX: usize = 240;

/// Rows of a table behind a chart.
const ROWS_MAX: usize = 60;

type Section = fn(&Report, &mut String);

/// All of them.
pub const ALL: [Section; 6] = [verdict, how_fast, how_slow, refused, over_time, how_run];

fn per_second(v: f64) -> String {
    format!("{}/s", grouped(v.round() as u64))
}

fn units(v: f64) -> String {
    grouped(v.round() as u64)
}

fn percent(share: f64) -> String {
    match share * 100.0 {
        0.0 => "0 %".into(),
        p if p < 0.01 => "under 0.01 %".into(),
        p => format!("{p:.2} %"),
    }
}

fn tiles(html: &mut String, tiles: &[(String, &str)]) {
    html.push_str(r#"<div class="tiles">"#);
    for (value, what) in tiles {
        let _ = write!(
            html,
            r#"<div class="tile"><b>{}</b><span>{}</span></div>"#,
            escaped(value),
            escaped(what)
        );
    }
    html.push_str("</div>");
}

fn verdict(r: &Report, html: &mut String) {
    let _ = write!(
        html,
        r#"<h1>Tidegate load test</h1><p class="soft">{}</p>"#,
        escaped(&format!(
            "{} · {} · {:.0} s",
            r.run.target, r.run.began, r.seconds
        ))
    );
    let faults: u64 = r.verification.iter().flat_map(|v| v.faults.values()).sum();
    let broken = r.thresholds.iter().filter(|t| !t.held).count();
    let (class, said, more) = match (&r.verification, r.verified) {
        (Some(v), true) => {
            let facts = grouped(v.checked.values().sum());
            let more = format!(
                "No order was lost, none was doubled, and nothing was sold past its stock: {facts} facts were checked after the load."
            );
            match broken {
                0 => ("", "It held.".to_string(), more),
                n => (
                    "bad",
                    format!(
                        "It was right, but {n} of {} thresholds broke.",
                        r.thresholds.len()
                    ),
                    more,
                ),
            }
        }
        (Some(_), false) => (
            "bad",
            "It did not hold.".to_string(),
            format!("The verifier found {} contradictions.", grouped(faults)),
        ),
        (None, _) if broken > 0 => (
            "bad",
            format!("{broken} of {} thresholds broke.", r.thresholds.len()),
            unverified(),
        ),
        (None, _) => ("open", "Measured, not verified.".to_string(), unverified()),
    };
    let _ = write!(
        html,
        r#"<div class="verdict {class}"><strong>{}</strong>{}</div>"#,
        escaped(&said),
        escaped(&more)
    );
    if let Some(why) = &r.ended_early {
        let _ = write!(
            html,
            r#"<p class="fault">The load ended before its time: {}</p>"#,
            escaped(why)
        );
    }
    if !r.thresholds.is_empty() {
        let row = |t: &crate::report::document::ThresholdSeen| {
            vec![
                t.threshold.clone(),
                t.value.clone(),
                if t.held { "held" } else { "broken" }.into(),
            ]
        };
        html.push_str(&table(
            &["threshold", "this run", "verdict"],
            &[],
            r.thresholds.iter().map(row),
        ));
    }
    if let Some(v) = &r.verification {
        let row = |c: &crate::report::document::Check| {
            vec![
                format!("{} ({})", c.name, c.invariant),
                grouped(c.checked),
                grouped(c.faults),
            ]
        };
        html.push_str(&table(
            &["what was checked", "facts", "faults"],
            &[],
            v.checks.iter().map(row),
        ));
        for fault in &v.first_faults {
            let _ = write!(
                html,
                r#"<p class="fault">Fault ({}): {}</p>"#,
                fault.invariant,
                escaped(&fault.what)
            );
        }
        for note in &v.notes {
            let _ = write!(html, r#"<p class="soft">Note: {}</p>"#, escaped(note));
        }
    }
}

fn unverified() -> String {
    "Any 2xx answer counted as right; orders and stock were not read back.".into()
}

fn how_fast(r: &Report, html: &mut String) {
    html.push_str("<h2>How fast?</h2>");
    let mut all = vec![(per_second(r.rate), "requests answered")];
    if r.orders_made > 0 {
        all.push((
            per_second(r.orders_made as f64 / r.seconds.max(1e-9)),
            "orders made",
        ));
    }
    all.push((show_us(r.latency_us.p50 as f64), "half were answered within"));
    all.push((show_us(r.latency_us.p99 as f64), "99 of 100 within"));
    tiles(html, &all);
    let _ = write!(
        html,
        r#"<p class="soft">{}</p>"#,
        escaped(&format!(
            "{} answers. Every time is counted from the moment the request should have been sent, so waiting for a slow answer before it counts too.",
            grouped(r.answers)
        ))
    );
    if r.orders_made > 0 {
        let _ = write!(
            html,
            "<p>{}</p>",
            escaped(&format!(
                "{} of {} orders were made within {} ms.",
                grouped(r.orders_made_in_time),
                grouped(r.orders_made),
                r.in_time_ms
            ))
        );
    }
    if !r.kinds.is_empty() {
        let rows = r.kinds.iter().map(|(kind, row)| {
            let outcomes = row
                .outcomes
                .iter()
                .map(|(o, n)| format!("{} {}", o.replace('_', " "), grouped(*n)));
            let l = &row.latency_us;
            vec![
                kind.replace('_', " "),
                grouped(l.count),
                show_us(l.p50 as f64),
                show_us(l.p99 as f64),
                outcomes.collect::<Vec<_>>().join(", "),
            ]
        });
        html.push_str(&table(
            &["request", "answers", "p50", "p99", "what came of them"],
            &[4],
            rows,
        ));
    }
}

fn how_slow(r: &Report, html: &mut String) {
    let l = &r.latency_us;
    html.push_str("<h2>How slow was the slowest?</h2>");
    tiles(
        html,
        &[
            (show_us(l.p999 as f64), "999 of 1,000 within"),
            (show_us(l.max as f64), "the slowest of all"),
        ],
    );
    html.push_str(r#"<div class="charts"><div>"#);
    html.push_str(&distribution(r));
    html.push_str("</div><div>");
    let rows = [
        ("fastest", l.min),
        ("p50", l.p50),
        ("p90", l.p90),
        ("p99", l.p99),
        ("p99.9", l.p999),
        ("slowest", l.max),
    ];
    html.push_str(&table(
        &["of all answers", "within"],
        &[],
        rows.map(|(n, us)| vec![n.into(), show_us(us as f64)]),
    ));
    html.push_str("</div></div>");
}

/// Bars a tenth of a tenfold wide.
fn distribution(r: &Report) -> String {
    let total: u64 = r.distribution.iter().map(|b| b.count).sum();
    let bin = |us: u64| ((us.max(1) as f64).log10() * 10.0).floor() as i32;
    let mut bins: BTreeMap<i32, u64> = BTreeMap::new();
    for bucket in &r.distribution {
        *bins.entry(bin(bucket.upto_us)).or_default() += bucket.count;
    }
    let (Some((&low, _)), Some((&high, _))) = (bins.first_key_value(), bins.last_key_value()) else {
        return String::new();
    };
    let (low, high) = (low - 1, high + 2);
    let edge = |n: i32| 10_f64.powf(f64::from(n) / 10.0);
    let all: Vec<Bar> = (low..high)
        .map(|n| {
            let count = bins.get(&n).copied().unwrap_or(0);
            let share = count as f64 / total.max(1) as f64;
            let said = format!(
                "{} to {}: {} answers, {}",
                show_us(edge(n)),
                show_us(edge(n + 1)),
                grouped(count),
                percent(share)
            );
            Bar { value: share, said }
        })
        .collect();
    let width = f64::from(high - low);
    let place = |us: f64| ((us.max(1.0).log10() * 10.0 - f64::from(low)) / width).clamp(0.0, 1.0);
    let names = |us: f64| match us {
        n if n >= 1e6 => format!("{} s", n / 1e6),
        n if n >= 1e3 => format!("{} ms", n / 1e3),
        n => format!("{n} us"),
    };
    let decades = (0..8)
        .map(|n| 10_f64.powi(n))
        .map(|us| (us, (us.log10() * 10.0 - f64::from(low)) / width));
    let labels: Vec<_> = decades
        .filter(|(_, at)| (0.0..=1.0).contains(at))
        .map(|(us, at)| (at, names(us)))
        .collect();
    let l = &r.latency_us;
    let marks = [("p50", l.p50), ("p99", l.p99), ("p99.9", l.p999)]
        .map(|(n, us)| (place(us as f64), format!("{n} {}", show_us(us as f64))));
    let summary = format!(
        "Half of the answers came within {}, 99 of 100 within {}, the slowest took {}.",
        show_us(l.p50 as f64),
        show_us(l.p99 as f64),
        show_us(l.max as f64)
    );
    let head = ("latencies", "Share of the answers by latency", summary.as_str());
    let chart = bars(head, &all, &labels, &marks, |v| format!("{:.0} %", v * 100.0));
    let rows = bins.iter().map(|(n, count)| {
        let share = percent(*count as f64 / total.max(1) as f64);
        vec![
            format!("{} to {}", show_us(edge(*n)), show_us(edge(n + 1))),
            grouped(*count),
            share,
        ]
    });
    chart
        + &behind(
            "The numbers of this chart",
            &table(&["latency", "answers", "share"], &[], rows),
        )
}

fn behind(title: &str, table: &str) -> String {
    format!("<details><summary>{}</summary>{table}</details>", escaped(title))
}

fn refused(r: &Report, html: &mut String) {
    html.push_str("<h2>What was refused, and why?</h2>");
    let shares = [
        (percent(r.share(r.refused())), "refused"),
        (percent(r.share(r.errors)), "answered 5xx"),
        (grouped(r.lost), "lost with their connection"),
        (grouped(r.skipped), "sends skipped"),
    ];
    tiles(html, &shares);
    if r.refusals.is_empty() && r.refused() == 0 {
        html.push_str("<p>Nothing was refused.</p>");
    } else {
        let mut rows: Vec<(String, u64)> = if r.refusals.is_empty() {
            let bad = r.statuses.iter().filter(|(s, _)| !(200..300).contains(*s));
            bad.map(|(s, n)| (s.to_string(), *n)).collect()
        } else {
            r.refusals.clone().into_iter().collect()
        };
        rows.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        let rows = rows.into_iter().map(|(reason, n)| {
            let means = meaning(&reason);
            vec![reason, grouped(n), percent(r.share(n)), means.into()]
        });
        html.push_str(&table(
            &["status and reason", "answers", "of all", "in words"],
            &[3],
            rows,
        ));
    }
    if r.skipped > 0 {
        html.push_str("<p>A skipped send was due and found no free connection in time: the load was lower than asked for.</p>");
    }
}

/// What a refusal means to somebody who does not know the codes.
fn meaning(reason: &str) -> &'static str {
    match reason
        .split_once(' ')
        .map_or((reason, ""), |(status, code)| (status, code))
    {
        (_, "sold_out") => "the stock was sold: a right answer",
        (_, "limit_reached") => "the buyer had as many as one may have: a right answer",
        ("429", _) => "too many requests of one user or address",
        ("503", _) => "overloaded or not ready: nothing was reserved, the client may try again",
        ("504", _) => "no answer in time: the client must ask again with the same key",
        ("401" | "403", _) => "who asked was not known, or not allowed to",
        (status, _) if status.starts_with('5') => "a fault of the server",
        (status, _) if status.starts_with('4') => "the request was not accepted",
        _ => "",
    }
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

fn over_time(r: &Report, html: &mut String) {
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
        title: "Units that can be ordered, of the SKUs wanted most",
        summary: stock.iter().fold(String::new(), |mut said, s| {
            let _ = write!(
                said,
                "{}: {} to {}. ",
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
                values: shown.iter().map(|&n| s.points[n].available as f64).collect(),
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
    chart.draw() + &behind("The numbers of this chart", &table(&head, &[], rows))
}

fn how_run(r: &Report, html: &mut String) {
    html.push_str("<h2>How was it run?</h2>");
    let _ = write!(html, "<pre>{}</pre><dl>", escaped(&r.run.command));
    let facts = [
        ("began", r.run.began.clone()),
        ("target", format!("{}, HTTP/{}", r.run.target, r.run.http)),
        ("offered", r.run.offered.clone()),
        (
            "connections",
            format!(
                "{} with {} requests outstanding each; {} made, {} failed",
                r.run.connections, r.run.outstanding, r.connects, r.connect_failures
            ),
        ),
        ("people", grouped(r.run.users)),
        ("machine of the generator", r.run.machine.clone()),
        (
            "generator's CPU",
            format!("{:.1} us a request", r.generator_cpu_us_per_request),
        ),
        ("generator", r.run.version.clone()),
        ("gateway", r.run.gateway.clone().unwrap_or_default()),
        ("source", r.run.git.clone().unwrap_or_default()),
        ("seed", r.seed.to_string()),
    ];
    for (name, value) in facts.iter().filter(|(_, v)| !v.is_empty()) {
        let _ = write!(html, "<dt>{}</dt><dd>{}</dd>", escaped(name), escaped(value));
    }
    html.push_str("</dl>");
}
