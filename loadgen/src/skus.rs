//! Which SKU the next buyer wants.

use crate::rng::Rng;

/// How demand is spread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spread {
    /// All the same.
    Uniform,
    /// The n-th SKU is wanted 1/n times as often as the first.
    Zipf,
    /// Everyone wants the first.
    Hot,
    /// These, all the same.
    List(Vec<String>),
}

impl std::str::FromStr for Spread {
    type Err = String;

    fn from_str(text: &str) -> Result<Spread, String> {
        match text {
            "uniform" => Ok(Spread::Uniform),
            "zipf" => Ok(Spread::Zipf),
            "hot" => Ok(Spread::Hot),
            list => {
                let names: Vec<String> = list.split(',').map(|n| n.trim().to_string()).collect();
                let is_name = |n: &String| {
                    (1..=47).contains(&n.len())
                        && n.bytes()
                            .all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b))
                };
                if names.iter().all(is_name) && names.len() <= usize::from(u16::MAX) {
                    Ok(Spread::List(names))
                } else {
                    Err(format!(
                        "{text}: want uniform, zipf, hot or SKU names with commas between"
                    ))
                }
            }
        }
    }
}

/// Index of a SKU within a run.
pub type SkuId = u16;

/// Chooses SKUs by a [`Spread`].
#[derive(Clone, Debug)]
pub struct Chooser {
    names: Vec<String>,
    /// Cumulative weights; empty when all weigh the same.
    cumulative: Vec<f64>,
    rng: Rng,
}

impl Chooser {
    /// `count` SKUs named `SKU-1`… (one when all demand is for one), or the list's own names.
    pub fn new(spread: &Spread, count: u16, seed: u64) -> Chooser {
        let count = count.max(1);
        let names = match spread {
            Spread::List(names) => names.clone(),
            Spread::Hot => vec!["SKU-1".to_string()],
            Spread::Uniform | Spread::Zipf => (1..=count).map(|n| format!("SKU-{n}")).collect(),
        };
        let mut cumulative = Vec::new();
        if *spread == Spread::Zipf {
            let mut sum = 0.0;
            cumulative.extend((1..=names.len()).map(|n| {
                sum += 1.0 / n as f64;
                sum
            }));
        }
        Chooser {
            names,
            cumulative,
            rng: Rng::seeded(seed),
        }
    }

    /// The next SKU.
    pub fn choose(&mut self) -> SkuId {
        match self.cumulative.last() {
            None => self.rng.below(self.names.len() as u64) as SkuId,
            Some(&sum) => {
                let at = self.rng.unit() * sum;
                let found = self.cumulative.partition_point(|&c| c <= at);
                found.min(self.names.len() - 1) as SkuId
            }
        }
    }

    /// A SKU's name.
    pub fn name(&self, sku: SkuId) -> &str {
        &self.names[usize::from(sku)]
    }

    /// All names, by [`SkuId`].
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zipf_wants_the_first_twice_as_often_as_the_second() {
        let mut chooser = Chooser::new(&Spread::Zipf, 100, 1);
        let mut counts = [0_u32; 100];
        for _ in 0..100_000 {
            counts[usize::from(chooser.choose())] += 1;
        }
        let ratio = f64::from(counts[0]) / f64::from(counts[1]);
        assert!((1.8..2.2).contains(&ratio), "{ratio}");
        assert!(counts[99] > 0);
    }

    #[test]
    fn a_list_is_taken_as_it_is_and_bad_names_are_refused() {
        let spread: Spread = "A:1, B".parse().unwrap();
        assert_eq!(Chooser::new(&spread, 5, 1).names(), ["A:1", "B"]);
        assert!("a b".parse::<Spread>().is_err());
        assert_eq!(Chooser::new(&Spread::Hot, 5, 1).names(), ["SKU-1"]);
    }
}
