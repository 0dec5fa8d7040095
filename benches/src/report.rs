//! The tables of a run, as Markdown.

use std::fmt::Write as _;

use crate::cases::Bound;
use crate::run::Outcome;
use crate::sample::medians;
use crate::verdict::{Verdict, verdicts};

/// When and on what a run was made.
#[derive(Clone, Debug)]
pub struct Preface {
    /// Date and time.
    pub date: String,
    /// CPU, cores, kernel, disk.
    pub machine: String,
    /// Command line.
    pub command: String,
    /// What the versions compared were: nginx's own words, our commit.
    pub versions: String,
    /// Rounds, requests, cores.
    pub method: String,
    /// What else the machine was doing, when it began.
    pub load_average: f64,
}

/// What the file begins with.
pub const TITLE: &str = "# Tidegate beside nginx\n\n\
    Written by `cargo run --release -p tidegate-benches --bin compare`. Figures are medians over the rounds; absolute ones are \
    the machine's, ratios should hold elsewhere.\n\n\
    - *process*: CPU of the server's processes an answer, all threads (`schedstat`).\n\
    - *core*: time an answer that the server's core was neither idle nor waiting nor stolen: interrupts, disk and kernel threads included.\n\
    - *busy*: that core's busy share. Well below 100 % the generator was the bottleneck, and rates say little.\n\
    - *client*: CPU of the load generator an answer.\n\
    - *other*: answers that were not of the status the row is about, and requests without one, over all rounds.\n\n";

/// A run as one section.
pub fn section(preface: &Preface, outcomes: &[Outcome]) -> String {
    let mut text = format!("## {}\n\n{}\n\n", preface.date, preface.machine);
    let _ = writeln!(text, "{}\n\n    {}\n", preface.versions, preface.command);
    let _ = writeln!(text, "{}", preface.method);
    if preface.load_average > 0.5 {
        let _ = writeln!(
            text,
            "\n**Beware**: the load average was {:.1} when it began; other work took part of the cores.",
            preface.load_average
        );
    }
    for outcome in outcomes {
        let _ = writeln!(text, "\n### {}: {}\n", outcome.case.name, outcome.case.title);
        text.push_str(&table(outcome));
        let verdicts = verdicts(outcome);
        if !verdicts.is_empty() {
            text.push('\n');
            text.push_str(&ratios(&verdicts));
        }
    }
    text
}

fn table(outcome: &Outcome) -> String {
    let mut text = String::from(
        "| | rate /s | process us | core us | busy | client us | p50 ms | p99 ms | other |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for contestant in &outcome.contestants {
        let middle = medians(&contestant.samples);
        let _ = writeln!(
            text,
            "| {} | {:.0} | {:.2} | {:.2} | {:.0} % | {:.1} | {:.2} | {:.2} | {} |",
            contestant.name,
            middle.good_rate,
            middle.process_us,
            middle.core_us,
            middle.core_busy * 100.0,
            middle.client_us,
            middle.p50_ms,
            middle.p99_ms,
            middle.unexpected,
        );
    }
    text
}

fn ratios(verdicts: &[Verdict]) -> String {
    let mut text = String::from("| ratio | of medians | in one round | bar | |\n|---|--:|--:|--:|---|\n");
    for verdict in verdicts {
        let bar = match verdict.bound {
            None => String::new(),
            Some(Bound::AtMost(bound, None)) => format!("<= {bound}"),
            Some(Bound::AtMost(bound, Some(aim))) => format!("<= {bound}, aim {aim}"),
            Some(Bound::AtLeast(bound)) => format!(">= {bound}"),
        };
        let word = match verdict.holds() {
            None => "",
            Some(true) => "holds",
            Some(false) => "**missed**",
        };
        let (low, high) = verdict.range;
        let _ = writeln!(
            text,
            "| {} | **{:.3}** | {low:.3} to {high:.3} | {bar} | {word} |",
            verdict.what, verdict.ratio
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::select;
    use crate::run::Contestant;
    use crate::sample::Sample;

    #[test]
    fn a_missed_bar_is_said_so() {
        let lane = |lane, process_us| Contestant {
            lane,
            variant: 0,
            name: format!("lane {lane}"),
            samples: vec![Sample {
                process_us,
                core_us: 2.0,
                good_rate: 3.0,
                ..Sample::default()
            }],
        };
        let outcome = Outcome {
            case: select("h1-64").unwrap().remove(0),
            contestants: vec![lane(0, 10.0), lane(1, 11.0)],
        };
        let preface = Preface {
            date: "2026-01-01 00:00 UTC".into(),
            machine: "m".into(),
            command: "c".into(),
            versions: "v".into(),
            method: "h".into(),
            load_average: 0.0,
        };
        let text = section(&preface, &[outcome]);
        assert!(
            text.contains(
                "| process CPU: lane 1 / lane 0 | **1.100** | 1.100 to 1.100 | <= 1, aim 0.8 | **missed** |"
            ),
            "{text}"
        );
        assert!(!text.contains("Beware"));
    }
}
