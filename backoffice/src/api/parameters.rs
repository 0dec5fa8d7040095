//! Query parameters: strict, so that a mistyped filter is an error and not a longer list.

use axum::extract::Query;
use http::Uri;

use crate::api::code::Code;
use crate::api::problem::Problem;
use crate::nearest::nearest;
use crate::time::parse_rfc3339;
use tidegate_shard_core::Millis;

/// Rows on a page, at most and without being asked.
const LIMIT_MAX: usize = 100;
const LIMIT_DEFAULT: usize = 20;

/// The parameters of a request, each at most once and all of them known.
#[derive(Debug)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads a request's query.
    pub(super) fn read(uri: &Uri, known: &[&str]) -> Result<Parameters, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|error| invalid(format!("the query cannot be read: {error}")))?;
        for (index, (name, _)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let meant = match nearest(name, known) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("this route knows {}", known.join(", ")),
                };
                return Err(invalid(format!("there is no parameter `{name}`; {meant}")));
            }
            if pairs[..index].iter().any(|(before, _)| before == name) {
                return Err(invalid(format!("`{name}` is given twice; give it once")));
            }
        }
        Ok(Parameters(pairs))
    }

    /// The text of a parameter.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(given, _)| given == name)
            .map(|(_, value)| value.as_str())
    }

    /// A parameter read by `parse`; `wanted` says what would be right.
    pub(super) fn parsed<T>(
        &self,
        name: &str,
        wanted: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        parse(text)
            .map(Some)
            .ok_or_else(|| invalid(format!("`{name}` is {wanted}, not {text:?}")))
    }

    /// `limit`: rows on this page.
    pub(super) fn limit(&self) -> Result<usize, Problem> {
        let parse = |text: &str| text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
        Ok(self
            .parsed("limit", "a number from 1 to 100", parse)?
            .unwrap_or(LIMIT_DEFAULT))
    }

    /// A moment.
    pub(super) fn time(&self, name: &str) -> Result<Option<Millis>, Problem> {
        self.parsed(
            name,
            "a time as in 2026-11-27T10:00:00Z (RFC 3339)",
            parse_rfc3339,
        )
    }

    /// The `Link` header (RFC 8288) of the next page of `path`: the same question, after `next`.
    pub(super) fn link(&self, path: &str, next: &str) -> String {
        let mut link = format!("<{path}?");
        for (name, value) in self.0.iter().filter(|(name, _)| name != "after") {
            link.extend([name, "=", &encoded(value), "&"]);
        }
        link.extend(["after=", &encoded(next), ">; rel=\"next\""]);
        link
    }
}

pub(super) fn invalid(detail: String) -> Problem {
    Problem::new(Code::InvalidParameter, detail)
}

/// Percent-encodes all but the unreserved characters (RFC 3986 section 2.3).
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Parameters, Problem> {
        Parameters::read(
            &format!("/v1/orders?{query}").parse().unwrap(),
            &["limit", "after", "status"],
        )
    }

    #[test]
    fn an_unknown_parameter_is_told_the_nearest_known_one() {
        let problem = format!("{:?}", read("limt=3").unwrap_err());
        assert!(problem.contains("did you mean `limit`?"), "{problem}");
        let problem = format!("{:?}", read("limit=3&limit=4").unwrap_err());
        assert!(problem.contains("given twice"), "{problem}");
    }

    #[test]
    fn a_limit_is_from_1_to_100_and_20_without_being_asked() {
        assert_eq!(read("").unwrap().limit().unwrap(), 20);
        assert_eq!(read("limit=100").unwrap().limit().unwrap(), 100);
        for wrong in ["limit=0", "limit=101", "limit=x", "limit="] {
            assert!(read(wrong).unwrap().limit().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_next_page_is_the_same_question_after_the_last_row() {
        let parameters = read("status=a%26b&after=9&limit=2").unwrap();
        assert_eq!(
            parameters.link("/v1/orders", "7"),
            "</v1/orders?status=a%26b&limit=2&after=7>; rel=\"next\""
        );
    }
}
