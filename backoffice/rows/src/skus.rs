//! SKUs as they followed the log.

use std::collections::HashSet;

use tidegate_shard_core::SkuName;
use tidegate_shard_core::entry::SkuPut;

use crate::Answer;

/// What stands before a sign of a search that a pattern of LIKE would read as its own. Not the backslash, which means something else to each
/// database, and to MySQL in each of its modes.
pub const SEARCH_ESCAPE: char = '|';

/// A text as a part of a pattern that finds it as it is.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for sign in text.chars() {
        if matches!(sign, '%' | '_' | SEARCH_ESCAPE) {
            pattern.push(SEARCH_ESCAPE);
        }
        pattern.push(sign);
    }
    pattern
}

/// SKUs and their settings. Units that can be ordered are the shards' to say.
pub trait Skus: Send + Sync + 'static {
    /// A page of SKUs after one, by the bytes of their names for programs, `rows` at most. `search` is found at the beginning of that name, or
    /// anywhere in the one for people, whatever the case of its letters; beyond ASCII a database may tell cases apart.
    fn skus(&self, search: Option<String>, after: String, rows: usize) -> Answer<'_, Vec<SkuPut>>;

    /// Those of `skus` that the store has. It follows the shards by moments: a SKU of this very second may be missed.
    fn known_skus(&self, skus: Vec<SkuName>) -> Answer<'_, HashSet<SkuName>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_of_patterns_are_taken_as_they_are() {
        assert_eq!(escaped("50%_|\\ü"), "50|%|_||\\ü");
    }
}
