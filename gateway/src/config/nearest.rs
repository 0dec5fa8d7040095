//! The known name that is nearest to a mistyped one.

/// Reads serde's "unknown field `x`, expected one of `a`, `b`" (or "unknown variant") and returns the
/// expected name nearest to `x`, if one is near enough to be what was meant.
pub(super) fn suggestion(message: &str) -> Option<&str> {
    let rest = message
        .strip_prefix("unknown field ")
        .or_else(|| message.strip_prefix("unknown variant "))?;
    let mut names = quoted(rest);
    let unknown = names.next()?;
    let (distance, name) = names
        .map(|name| (strsim::levenshtein(unknown, name), name))
        .min()?;
    (distance <= name.len().max(unknown.len()).div_ceil(2)).then_some(name)
}

/// The names that serde lists as expected in an "unknown field" message.
#[cfg(test)]
pub(super) fn expected(message: &str) -> Vec<&str> {
    quoted(message).skip(1).collect()
}

/// The words between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_nothing_like_any_other_gets_no_suggestion() {
        assert_eq!(
            suggestion("unknown field `bursst`, expected `rate` or `burst`"),
            Some("burst")
        );
        assert_eq!(
            suggestion("unknown field `zzzzzzzz`, expected `rate` or `burst`"),
            None
        );
        assert_eq!(suggestion("something else"), None);
    }
}
