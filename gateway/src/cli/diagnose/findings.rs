//! What in a bundle is worth looking at first.

use std::collections::BTreeMap;

use serde_json::Value;

use super::bundle::Bundle;

/// So many are named.
const NAMED: usize = 3;

/// The most notable things, worst first, a sentence each.
pub(super) fn of(bundle: &Bundle) -> Vec<String> {
    let mut found = Vec::new();
    running(bundle, &mut found);
    log(bundle, &mut found);
    breakers(bundle, &mut found);
    doctor(bundle, &mut found);
    reload(bundle, &mut found);
    if let (Some(before), Some(after)) = (bundle.text_of("metrics-1.txt"), bundle.text_of("metrics-2.txt")) {
        found.extend(risen(before, after).map(|text| (40, text)));
    }
    found.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    found.into_iter().map(|(_, text)| text).take(NAMED).collect()
}

type Found = Vec<(u32, String)>;

fn running(bundle: &Bundle, found: &mut Found) {
    match bundle.text_of("readyz.txt") {
        None => found.push((
            90,
            "no gateway answers on the admin address (is --admin right?)".to_owned(),
        )),
        Some(text) if text.trim() != "ready" => {
            found.push((95, format!("the gateway is not ready: {}", text.trim())))
        }
        Some(_) => {}
    }
}

fn log(bundle: &Bundle, found: &mut Found) {
    let text = bundle.text_of("log.txt").unwrap_or_default();
    let faults = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("FAULT: "));
    found.extend(faults.map(|fault| (100, format!("the log has a fault: {fault}"))));
}

fn breakers(bundle: &Bundle, found: &mut Found) {
    let rows: Value = bundle
        .text_of("breakers.json")
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    for row in rows.as_array().into_iter().flatten() {
        if row["state"] != "closed" {
            let forced = if row["forced"] == "auto" {
                ""
            } else {
                ", by an operator's hand"
            };
            let (name, state) = (
                row["name"].as_str().unwrap_or("?"),
                row["state"].as_str().unwrap_or("?"),
            );
            found.push((80, format!("breaker {name} is {state}{forced}")));
        }
    }
}

fn doctor(bundle: &Bundle, found: &mut Found) {
    for line in bundle.text_of("doctor.txt").unwrap_or_default().lines() {
        let weight = match line.split_whitespace().next() {
            Some("FAIL") => 70,
            Some("warn") => 20,
            _ => continue,
        };
        let words: Vec<&str> = line.split_whitespace().skip(1).collect();
        found.push((weight, format!("doctor: {}", words.join(" "))));
    }
}

fn reload(bundle: &Bundle, found: &mut Found) {
    let last: Value = bundle
        .text_of("reload.json")
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    if last["result"] == "failed" {
        let error = last["error"].as_str().unwrap_or("no reason given");
        found.push((
            60,
            format!("the last reload failed, the old configuration is in force: {error}"),
        ));
    }
}

/// Words in a counter's name or labels that say that something went wrong.
const TROUBLE: [&str; 7] = ["fault", "fail", "error", "shed", "refus", "unknown", "panic"];

/// Counters of trouble that rose between the two looks, the most risen first.
pub(super) fn risen(before: &str, after: &str) -> impl Iterator<Item = String> {
    let (before, after) = (counters(before), counters(after));
    let mut risen: Vec<(u64, &str)> = after
        .into_iter()
        .filter(|(series, _)| TROUBLE.iter().any(|word| series.contains(word)))
        .filter_map(|(series, value)| {
            Some((
                value.checked_sub(before.get(series).copied().unwrap_or(0))?,
                series,
            ))
        })
        .filter(|(more, _)| *more > 0)
        .collect();
    risen.sort_by_key(|(more, series)| (std::cmp::Reverse(*more), *series));
    let texts: Vec<String> = risen
        .iter()
        .map(|(more, series)| format!("{series} rose by {more} while it was watched"))
        .collect();
    texts.into_iter()
}

/// Series of counters, `name_total{labels}`, with their whole values.
fn counters(text: &str) -> BTreeMap<&str, u64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let series = lines.filter_map(|line| line.rsplit_once(' '));
    series
        .filter(|(series, _)| {
            series
                .split('{')
                .next()
                .is_some_and(|name| name.ends_with("_total"))
        })
        .filter_map(|(series, value)| Some((series, value.parse().ok()?)))
        .collect()
}
