//! What people do, and how often.

use crate::rng::Rng;

/// One thing a person does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Orders one SKU.
    Order,
    /// Orders two to four SKUs at once.
    Multi,
    /// Reads an order of theirs.
    Read,
    /// Reads a SKU's stock.
    Stock,
    /// Cancels an order.
    Cancel,
    /// The payments side confirms an order.
    Confirm,
    /// Sends an answered order's key again.
    Repeat,
}

const ACTIONS: [(&str, Action); 7] = [
    ("order", Action::Order),
    ("multi", Action::Multi),
    ("read", Action::Read),
    ("stock", Action::Stock),
    ("cancel", Action::Cancel),
    ("confirm", Action::Confirm),
    ("repeat", Action::Repeat),
];

/// Weights of the actions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mix {
    weights: [u32; 7],
    sum: u64,
}

impl Mix {
    /// The next action.
    pub fn choose(&self, rng: &mut Rng) -> Action {
        let mut at = rng.below(self.sum);
        for (n, weight) in self.weights.iter().enumerate() {
            if at < u64::from(*weight) {
                return ACTIONS[n].1;
            }
            at -= u64::from(*weight);
        }
        Action::Order
    }
}

impl std::str::FromStr for Mix {
    type Err = String;

    /// `orders` (nothing else), `shop`, or weights as `order=80,stock=10,…`.
    fn from_str(text: &str) -> Result<Mix, String> {
        let text = match text {
            "orders" => "order=1",
            "shop" => "order=80,multi=4,read=4,stock=6,cancel=2,confirm=2,repeat=2",
            other => other,
        };
        let mut weights = [0; 7];
        for part in text.split(',') {
            let bad = || {
                format!(
                    "{part}: want orders, shop, or weights of order, multi, read, stock, cancel, confirm, repeat"
                )
            };
            let (name, weight) = part.split_once('=').ok_or_else(bad)?;
            let n = ACTIONS
                .iter()
                .position(|(a, _)| *a == name.trim())
                .ok_or_else(bad)?;
            weights[n] = weight.trim().parse().map_err(|_| bad())?;
        }
        match weights.iter().map(|w| u64::from(*w)).sum() {
            0 => Err(format!("{text}: the weights are all 0")),
            sum => Ok(Mix { weights, sum }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_follows_its_weights() {
        let mix: Mix = "order=9,stock=1".parse().unwrap();
        let mut rng = Rng::seeded(1);
        let orders = (0..10_000)
            .filter(|_| mix.choose(&mut rng) == Action::Order)
            .count();
        assert!((8800..9200).contains(&orders), "{orders}");
        assert!("orders".parse::<Mix>().is_ok() && "shop".parse::<Mix>().is_ok());
        assert!("order=0".parse::<Mix>().is_err() && "beer=1".parse::<Mix>().is_err());
    }
}
