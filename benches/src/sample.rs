//! One measurement, and the medians of several.

/// What one lane did in one round.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Answers, whatever they said.
    pub answers: u64,
    /// Answers per second.
    pub rate: f64,
    /// Answers per second that had the status the lane is about.
    pub good_rate: f64,
    /// Answers with another status, and requests without any.
    pub unexpected: u64,
    /// CPU of the server's processes, microseconds an answer.
    pub process_us: f64,
    /// The whole server core's time, interrupts and kernel threads included, microseconds an answer.
    pub core_us: f64,
    /// Share of the time that the server core was busy: below about 0.95 it was not the bottleneck.
    pub core_busy: f64,
    /// CPU of the load generator, microseconds an answer.
    pub client_us: f64,
    /// Median latency, milliseconds, from the intended send time.
    pub p50_ms: f64,
    /// 99th percentile of it.
    pub p99_ms: f64,
}

/// The medians of each figure, and the sum of what was unexpected.
pub fn medians(samples: &[Sample]) -> Sample {
    let of = |figure: fn(&Sample) -> f64| median(samples.iter().map(figure).collect());
    Sample {
        answers: of(|s| s.answers as f64) as u64,
        rate: of(|s| s.rate),
        good_rate: of(|s| s.good_rate),
        unexpected: samples.iter().map(|s| s.unexpected).sum(),
        process_us: of(|s| s.process_us),
        core_us: of(|s| s.core_us),
        core_busy: of(|s| s.core_busy),
        client_us: of(|s| s.client_us),
        p50_ms: of(|s| s.p50_ms),
        p99_ms: of(|s| s.p99_ms),
    }
}

/// The middle value; of an even number of them the mean of the two in the middle. 0 of none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![]), 0.0);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        let of = |rate, unexpected| Sample {
            rate,
            unexpected,
            ..Sample::default()
        };
        let middle = medians(&[of(1.0, 1), of(9.0, 0), of(2.0, 2)]);
        assert_eq!((middle.rate, middle.unexpected), (2.0, 3));
    }
}
