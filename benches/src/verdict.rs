//! Bars held against medians.

use crate::cases::{Bar, Bound, Figure};
use crate::run::{Contestant, Outcome};
use crate::sample::{Sample, medians};

/// One ratio and what it was asked to be.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What was divided by what.
    pub what: String,
    /// The medians' ratio.
    pub ratio: f64,
    /// The lowest and highest ratio within one round.
    pub range: (f64, f64),
    /// What was asked.
    pub bound: Option<Bound>,
}

impl Verdict {
    /// Whether it holds; `None` when nothing was asked.
    pub fn holds(&self) -> Option<bool> {
        Some(match self.bound? {
            Bound::AtMost(bound, _) => self.ratio <= bound,
            Bound::AtLeast(bound) => self.ratio >= bound,
        })
    }
}

/// The verdicts of a case; bars about lanes that took no part are left out.
pub fn verdicts(outcome: &Outcome) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for bar in &outcome.case.bars {
        for contestant in outcome
            .contestants
            .iter()
            .filter(|c| c.lane == bar.lane && !c.samples.is_empty())
        {
            if let Some(other) = opponent(outcome, bar, contestant) {
                verdicts.push(verdict(bar, contestant, other));
            }
        }
    }
    verdicts
}

/// The same variant on the other lane, or nginx.
fn opponent<'a>(outcome: &'a Outcome, bar: &Bar, contestant: &Contestant) -> Option<&'a Contestant> {
    let mut of_lane = outcome
        .contestants
        .iter()
        .filter(|c| c.lane == bar.against && !c.samples.is_empty());
    if outcome.case.lanes[bar.against].server == crate::cases::Server::Nginx {
        return of_lane.next();
    }
    of_lane.find(|c| c.variant == contestant.variant)
}

fn verdict(bar: &Bar, contestant: &Contestant, other: &Contestant) -> Verdict {
    let figure = |sample: &Sample| match bar.figure {
        Figure::Process => sample.process_us,
        Figure::Core => sample.core_us,
        Figure::GoodRate => sample.good_rate,
    };
    let word = match bar.figure {
        Figure::Process => "process CPU",
        Figure::Core => "whole core",
        Figure::GoodRate => "rate",
    };
    let ratio = |of: &Sample, to: &Sample| figure(of) / figure(to).max(1e-9);
    let rounds = contestant
        .samples
        .iter()
        .zip(&other.samples)
        .map(|(of, to)| ratio(of, to));
    Verdict {
        what: format!("{word}: {} / {}", contestant.name, other.name),
        ratio: ratio(&medians(&contestant.samples), &medians(&other.samples)),
        range: rounds.fold((f64::INFINITY, 0.0), |(low, high): (f64, f64), ratio| {
            (low.min(ratio), high.max(ratio))
        }),
        bound: bar.bound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::select;

    #[test]
    fn a_ratio_is_of_medians_and_is_held_against_its_bar() {
        let samples = |figures: [f64; 3]| -> Vec<Sample> {
            figures
                .map(|process_us| Sample {
                    process_us,
                    core_us: 1.0,
                    good_rate: 1.0,
                    ..Sample::default()
                })
                .to_vec()
        };
        let lane = |lane, figures| Contestant {
            lane,
            variant: 0,
            name: format!("lane {lane}"),
            samples: samples(figures),
        };
        let case = select("h1-64").unwrap().remove(0);
        let outcome = Outcome {
            case,
            contestants: vec![lane(0, [28.0, 30.0, 20.0]), lane(1, [21.0, 10.0, 22.0])],
        };
        let verdicts = verdicts(&outcome);
        assert_eq!(verdicts.len(), 3);
        assert_eq!(verdicts[0].ratio, 0.75);
        assert_eq!(verdicts[0].range, (10.0 / 30.0, 1.1));
        assert_eq!((verdicts[0].holds(), verdicts[1].holds()), (Some(true), None));
    }
}
