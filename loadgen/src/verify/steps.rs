//! A quantity that changes in steps, with range queries.

/// Steps per block: a query looks at two partial blocks and the extremes of those between.
const BLOCK: usize = 256;

/// A step function of time; 0 before its first step.
#[derive(Debug, Default)]
pub struct Steps {
    times: Vec<u64>,
    values: Vec<i64>,
    blocks: Vec<(i64, i64)>,
}

impl Steps {
    /// From (time, change) pairs in any order. Of changes at one time, the larger ones come first when `up_first`.
    pub fn new(mut changes: Vec<(u64, i64)>, up_first: bool) -> Steps {
        changes.sort_unstable_by_key(|&(at, by)| (at, if up_first { -by } else { by }));
        let mut sum = 0;
        let mut steps = Steps::default();
        for (at, by) in changes {
            sum += by;
            steps.times.push(at);
            steps.values.push(sum);
        }
        let extremes = |block: &[i64]| {
            block
                .iter()
                .fold((i64::MAX, i64::MIN), |(low, high), &v| (low.min(v), high.max(v)))
        };
        steps.blocks = steps.values.chunks(BLOCK).map(extremes).collect();
        steps
    }

    /// Lowest and highest value within `from..=to`, the value just before `from` included.
    pub fn range(&self, from: u64, to: u64) -> (i64, i64) {
        let mut at = self.times.partition_point(|&t| t < from);
        let end = self.times.partition_point(|&t| t <= to);
        let before = if at == 0 { 0 } else { self.values[at - 1] };
        let (mut low, mut high) = (before, before);
        while at < end {
            let (l, h) = if at.is_multiple_of(BLOCK) && at + BLOCK <= end {
                at += BLOCK;
                self.blocks[at / BLOCK - 1]
            } else {
                at += 1;
                (self.values[at - 1], self.values[at - 1])
            };
            low = low.min(l);
            high = high.max(h);
        }
        (low, high)
    }

    /// The highest value at any time, at least 0.
    pub fn highest(&self) -> i64 {
        self.blocks.iter().map(|b| b.1).max().unwrap_or(0).max(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn a_range_gives_what_going_over_every_step_gives() {
        let mut rng = Rng::seeded(3);
        let changes: Vec<(u64, i64)> = (0..2000)
            .map(|_| (rng.below(10_000), rng.below(11) as i64 - 5))
            .collect();
        let steps = Steps::new(changes.clone(), true);
        let mut sorted = changes;
        sorted.sort_unstable_by_key(|&(at, by)| (at, -by));
        for _ in 0..200 {
            let from = rng.below(10_000);
            let to = from + rng.below(5000);
            let (mut sum, mut low, mut high) = (0, i64::MAX, i64::MIN);
            let mut before = 0;
            for &(at, by) in &sorted {
                sum += by;
                if at < from {
                    before = sum;
                } else if at <= to {
                    low = low.min(sum);
                    high = high.max(sum);
                }
            }
            assert_eq!(steps.range(from, to), (low.min(before), high.max(before)));
        }
    }
}
