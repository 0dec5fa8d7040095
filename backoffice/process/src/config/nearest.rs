//! The known name that is nearest to a mistyped one.

/// Reads serde's "unknown field `x`, expected one of `a`, `b`" and returns the expected name nearest to `x`, if one is near enough to be
/// what was meant.
pub(super) fn suggestion(message: &str) -> Option<&str> {
    let mut names = quoted(message.strip_prefix("unknown field ")?);
    let unknown = names.next()?;
    nearest(unknown, names)
}

/// The name that is nearest to an unknown one, if one is near enough.
pub(super) fn nearest<'a>(unknown: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let (distance, name) = names
        .into_iter()
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
