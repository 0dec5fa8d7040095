//! The page is well-formed, asks nothing of the network, and takes no text for markup.

use std::collections::BTreeMap;

use super::draw;
use crate::followed::{StockPoint, StockSeries};
use crate::report::document::{Check, FaultSeen, KindRow, Report, ThresholdSeen, Verification};
use crate::series::{Bucket, Point};

const HOSTILE: &str = "\"><script>alert(1)</script><img src=http://evil.example/x onerror='x'>\u{1b}[2J";

/// Every text a server or a person could choose is hostile.
fn hostile() -> Report {
    let refusals = BTreeMap::from([(format!("503 {HOSTILE}"), 7), ("409 sold_out".to_string(), 3)]);
    let point = |n: u32| Point {
        at_s: f64::from(n),
        length_s: 1.0,
        sent: 100,
        answered: 100,
        rate: 100.0,
        p50_us: 900,
        p99_us: 2500,
        p999_us: 30_000,
        refusals: refusals.clone(),
        ..Point::default()
    };
    let stock = |n: u32| StockPoint {
        at_s: f64::from(n),
        stocked: 1000,
        available: 1000 - u64::from(n),
    };
    let mut report = Report {
        answers: 1000,
        statuses: BTreeMap::from([(201, 990), (409, 3), (503, 7)]),
        refusals: refusals.clone(),
        kinds: BTreeMap::from([(HOSTILE.to_string(), KindRow::default())]),
        orders_made: 990,
        verification: Some(Verification {
            checks: vec![Check {
                invariant: 3,
                name: HOSTILE.into(),
                checked: 10,
                faults: 1,
            }],
            first_faults: vec![FaultSeen {
                invariant: 3,
                what: HOSTILE.into(),
            }],
            notes: vec![HOSTILE.into()],
            ..Verification::default()
        }),
        thresholds: vec![ThresholdSeen {
            threshold: HOSTILE.into(),
            value: HOSTILE.into(),
            held: false,
        }],
        ended_early: Some(HOSTILE.into()),
        series: (1..=500).map(point).collect(),
        stock: vec![StockSeries {
            sku: HOSTILE.into(),
            points: (0..10).map(stock).collect(),
        }],
        distribution: vec![
            Bucket {
                upto_us: 950,
                count: 990,
            },
            Bucket {
                upto_us: 2_500_000,
                count: 10,
            },
        ],
        ..Report::default()
    };
    for text in [
        &mut report.run.command,
        &mut report.run.machine,
        &mut report.run.target,
        &mut report.run.began,
        &mut report.run.offered,
    ] {
        *text = HOSTILE.into();
    }
    (report.run.git, report.run.gateway) = (Some(HOSTILE.into()), Some(HOSTILE.into()));
    report
}

/// The elements of a page with the text of their attributes; panics where one is closed that is not the last opened.
fn elements(html: &str) -> Vec<(String, String)> {
    const VOID: [&str; 4] = ["meta", "link", "input", "!doctype"];
    let (mut found, mut open, mut rest) = (Vec::new(), Vec::<String>::new(), html);
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let end = rest.find('>').expect("a tag ends");
        let tag = &rest[..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(
                open.pop().as_deref(),
                Some(name),
                "closed out of order before {}",
                &rest[..rest.len().min(80)]
            );
            continue;
        }
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        assert_eq!(attributes.matches('"').count() % 2, 0, "{tag}");
        found.push((name.to_string(), attributes.to_string()));
        if !tag.ends_with('/') && !VOID.contains(&name) {
            open.push(name.to_string());
        }
        if let "style" | "script" = name {
            let close = format!("</{name}>");
            rest = &rest[rest.find(&close).expect("it is closed")..];
        }
    }
    assert!(open.is_empty(), "never closed: {open:?}");
    found
}

#[test]
fn the_page_is_well_formed_and_refers_to_nothing_outside() {
    for report in [hostile(), Report::default()] {
        let html = draw(&report);
        for (name, attributes) in elements(&html) {
            for reference in ["src=", "href=\"http", "srcset=", "action=", "url("] {
                assert!(!attributes.contains(reference), "<{name} {attributes}>");
            }
            assert!(
                !["img", "iframe", "object", "embed", "form", "base"].contains(&name.as_str()),
                "<{name}>"
            );
            assert!(name != "link" || attributes.contains("href=\"data:,\""));
        }
        let style = &html[html.find("<style>").unwrap()..html.find("</style>").unwrap()];
        assert!(!style.contains("url(") && !style.contains("@import"));
        assert!(!html.contains("NaN"), "a chart has no place for it");
    }
}

#[test]
fn hostile_text_stays_text() {
    let html = draw(&hostile());
    assert_eq!(html.matches("<script").count(), 1, "the page's own");
    assert!(!html.contains("<img") && !html.contains('\u{1b}'));
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
}

#[test]
fn each_chart_has_a_title_a_description_and_a_table_of_its_numbers() {
    let html = draw(&hostile());
    let charts = html.matches("<svg").count();
    assert_eq!(charts, 5, "latencies, rates, percentiles, refusals, stock");
    assert_eq!(html.matches("<desc").count(), charts);
    assert_eq!(
        html.matches("<details>").count(),
        4,
        "rates and percentiles share one"
    );
}

#[test]
fn a_run_that_did_not_hold_says_so_first() {
    let bad = draw(&hostile());
    assert!(bad.find("It did not hold.").unwrap() < bad.find("How fast?").unwrap());
    let mut slow = hostile();
    slow.verified = true;
    assert!(draw(&slow).contains("1 of 1 thresholds broke."));
    slow.thresholds.clear();
    assert!(draw(&slow).contains("It held."));
    slow.verification = None;
    assert!(draw(&slow).contains("Measured, not verified."));
}

#[test]
fn a_long_run_is_drawn_with_a_bounded_number_of_points() {
    let mut day = hostile();
    let second = day.series[0].clone();
    day.series = vec![second; 86_400];
    let html = draw(&day);
    assert!(html.len() < 600_000, "{}", html.len());
}
