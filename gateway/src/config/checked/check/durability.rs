//! `shards.durability`, which hangs on what stands behind the edge.

use super::{Checked, ConfigError, word};
use crate::config::checked::Durability;

/// What an answer waits for; `mode` is the word of `backoffice.mode`.
pub(super) fn durability(text: &str, mode: &str) -> Checked<Durability> {
    let key = "shards.durability";
    let words = [
        ("local", Durability::Local),
        ("replicated", Durability::Replicated),
    ];
    match word(key, text, &words)? {
        Durability::Replicated if mode != "remote" => Err(ConfigError::new(
            key,
            format!(
                "\"replicated\" needs backoffice.mode=remote, which publishes what the log has on a bus; with backoffice.mode={mode} no answer would \
                 ever come: choose \"local\""
            ),
        )),
        durability => Ok(durability),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicated_is_for_a_backoffice_with_a_bus() {
        assert_eq!(
            durability("replicated", "remote").unwrap(),
            Durability::Replicated
        );
        assert_eq!(durability("local", "remote").unwrap(), Durability::Local);
        for mode in ["embedded", "none"] {
            assert_eq!(durability("local", mode).unwrap(), Durability::Local);
            let refused = durability("replicated", mode).unwrap_err().to_string();
            assert!(refused.contains("shards.durability") && refused.contains("backoffice.mode=remote"));
        }
    }

    #[test]
    fn another_word_is_refused_with_those_that_are_right() {
        let refused = durability("global", "remote").unwrap_err().to_string();
        assert!(
            refused.contains("local") && refused.contains("replicated"),
            "{refused}"
        );
    }
}
