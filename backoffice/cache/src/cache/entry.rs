//! What is remembered of a key.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use crate::Settings;

/// A value as JSON or an absence, and how long this process may answer by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub value: Option<Bytes>,
    pub near_life: Duration,
}

impl Entry {
    pub fn new(value: Option<Bytes>, settings: &Settings) -> Entry {
        let life = match value {
            Some(_) => settings.near_life,
            None => settings.near_life.min(settings.absence_life),
        };
        Entry {
            value,
            near_life: jittered(life),
        }
    }

    /// With its key, so that an answer that the driver gave to the wrong question is seen for one: an earlier version mixed them up after
    /// time-outs.
    pub fn encode(&self, key: &str) -> Bytes {
        let value = self.value.as_deref();
        let mut bytes = BytesMut::with_capacity(key.len() + 2 + value.map_or(0, <[u8]>::len));
        bytes.put_slice(key.as_bytes());
        bytes.put_slice(if value.is_some() { b"\nv" } else { b"\nn" });
        bytes.put_slice(value.unwrap_or_default());
        bytes.freeze()
    }

    /// None: of another key, or nothing that this program wrote.
    pub fn decode(key: &str, bytes: &Bytes, settings: &Settings) -> Option<Entry> {
        let rest = bytes.strip_prefix(key.as_bytes())?.strip_prefix(b"\n")?;
        let value = match rest.split_first()? {
            (b'v', value) => Some(bytes.slice_ref(value)),
            (b'n', []) => None,
            _ => return None,
        };
        Some(Entry::new(value, settings))
    }
}

/// Between three quarters of it and all of it.
pub(crate) fn jittered(life: Duration) -> Duration {
    // Without random bytes there is no jitter, and nothing else is lost.
    let part = f64::from(getrandom::u32().unwrap_or_default()) / f64::from(u32::MAX);
    life - life.mul_f64(part / 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_back_and_one_of_another_key_or_of_another_program_is_not() {
        let settings = Settings::new("redis://h");
        for value in [None, Some(Bytes::from_static(b"{}")), Some(Bytes::new())] {
            let bytes = Entry::new(value.clone(), &settings).encode("sku:1");
            assert_eq!(Entry::decode("sku:1", &bytes, &settings).unwrap().value, value);
            assert_eq!(Entry::decode("sku:", &bytes, &settings), None);
            assert_eq!(Entry::decode("sku:11", &bytes, &settings), None);
        }
        for other in ["", "sku:1", "sku:1\n", "sku:1\nx", "sku:1\nn."] {
            let other = Bytes::from_static(other.as_bytes());
            assert_eq!(Entry::decode("sku:1", &other, &settings), None);
        }
    }

    #[test]
    fn lives_are_spread_over_the_last_quarter() {
        let lives: Vec<u128> = (0..1000)
            .map(|_| jittered(Duration::from_secs(4)).as_millis())
            .collect();
        assert!(lives.iter().all(|life| (3000..=4000).contains(life)));
        for quarter in 0..4 {
            let from = 3000 + 250 * quarter;
            let within = lives
                .iter()
                .filter(|life| (from..from + 250).contains(*life))
                .count();
            assert!((150..350).contains(&within), "{within} of 1000 from {from} ms");
        }
    }
}
