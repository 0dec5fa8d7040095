//! What the page says, in the order in which it is asked.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::over_time::over_time;
use super::{escaped, grouped, table};
use crate::report::chart::{Bar, bars};
use crate::report::document::Report;
use crate::threshold::show_us;

type Section = fn(&Report, &mut String);

/// All of them.
pub const ALL: [Section; 6] = [verdict, how_fast, how_slow, refused, over_time, how_run];

/// A rate as people read it.
pub fn per_second(v: f64) -> String {
    format!("{}/s", grouped(v.round() as u64))
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
            let mut outcomes: Vec<_> = row.outcomes.iter().collect();
            outcomes.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
            let outcomes = outcomes
                .into_iter()
                .map(|(o, n)| format!("{} {}", outcome(o), grouped(*n)));
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

/// An outcome in words.
fn outcome(name: &str) -> String {
    match name {
        "shed" => "turned away (429, 503)".into(),
        "unknown" => "without a known end".into(),
        other => other.replace('_', " "),
    }
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

/// A table that is shown when it is asked for.
pub fn behind(title: &str, table: &str) -> String {
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
