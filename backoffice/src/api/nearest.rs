//! The known name that is nearest to a mistyped one.

/// The name of `known` that was probably meant, if one is near enough.
pub(crate) fn nearest<'a>(unknown: &str, known: &[&'a str]) -> Option<&'a str> {
    let (distance, name) = known.iter().map(|name| (edits(unknown, name), *name)).min()?;
    (distance <= name.len().max(unknown.len()).div_ceil(2)).then_some(name)
}

/// Levenshtein's distance: insertions, removals and replacements from `a` to `b`.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().take(NAME_CHARS_MAX).enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = corner + usize::from(from != *to);
            corner = row[j + 1];
            row[j + 1] = replaced.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// More of a name than this is not looked at: no known one is nearly as long.
const NAME_CHARS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_name_finds_the_one_that_was_meant_and_nonsense_finds_none() {
        let known = ["limit", "after", "status"];
        assert_eq!(nearest("limt", &known), Some("limit"));
        assert_eq!(nearest("statsu", &known), Some("status"));
        assert_eq!(nearest("zzzzzzzzzzzz", &known), None);
    }
}
