//! The known name that is nearest to a mistyped one.

/// The name of `known` that was probably meant, if one is near enough.
pub(crate) fn nearest<'a>(unknown: &str, known: &[&'a str]) -> Option<&'a str> {
    let unknown: String = unknown.chars().take(NAME_CHARS_MAX).collect();
    let (distance, name) = known
        .iter()
        .map(|name| (strsim::levenshtein(&unknown, name), *name))
        .min()?;
    (distance <= name.len().max(unknown.len()).div_ceil(2)).then_some(name)
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
