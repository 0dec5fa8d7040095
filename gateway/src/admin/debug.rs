//! `/debug/requests` and `/debug/hot`: what the flight recorder knows.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::sync::Arc;

use super::server::{Shared, failure, json};
use crate::codes::Code;
use crate::recorder::{Board, Filter, Record, Row};
use crate::worker::stack::route::ROUTE_NAMES;

/// Records and SKUs that are shown when nobody says how many, and at most.
const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1_000;

/// Query parameters as they came: what is wrong with one is said by name.
type Pairs = Query<Vec<(String, String)>>;

#[derive(Serialize)]
struct Requests {
    /// Requests that are remembered at most, over all net threads.
    remembers: usize,
    /// Newest first.
    requests: Vec<Record>,
}

/// The last requests, by `id`, `status`, `code`, `slower_than`, `route`; at most `limit`.
pub(super) async fn requests(State(shared): State<Arc<Shared>>, Query(pairs): Pairs) -> Response {
    let (filter, limit) = match asked(&pairs) {
        Ok(asked) => asked,
        Err(problem) => return (StatusCode::BAD_REQUEST, problem + "\n").into_response(),
    };
    // A look at a million records takes some ten milliseconds: not on the thread that answers /livez.
    let looked = tokio::task::spawn_blocking(move || {
        let rings = || shared.admin.tapes.iter().map(|tape| &*tape.ring);
        Requests {
            remembers: rings().map(|ring| ring.capacity()).sum(),
            requests: filter.newest(rings(), limit),
        }
    });
    match looked.await {
        Ok(found) => json(StatusCode::OK, &found),
        Err(error) => failure(&error.to_string()),
    }
}

#[derive(Serialize)]
struct Hot {
    /// How far back the counts go.
    seconds: f64,
    /// Most wanted first.
    skus: Vec<Row>,
}

/// The SKUs most asked for in the last half to whole minute; at most `limit`.
pub(super) async fn hot(State(shared): State<Arc<Shared>>, Query(pairs): Pairs) -> Response {
    let mut limit = LIMIT_DEFAULT;
    for (name, value) in &pairs {
        let read = match name.as_str() {
            "limit" => limit_of(value).map(|value| limit = value),
            other => Err(format!("`{other}` is no parameter here; there is limit")),
        };
        if let Err(problem) = read {
            return (StatusCode::BAD_REQUEST, problem + "\n").into_response();
        }
    }
    let mut skus = Board::merged(shared.admin.tapes.iter().map(|tape| &*tape.board));
    skus.truncate(limit);
    let seconds = skus.iter().map(|row| row.seconds).fold(0.0, f64::max);
    let seconds = (seconds * 10.0).round() / 10.0;
    json(StatusCode::OK, &Hot { seconds, skus })
}

/// Reads the parameters of `/debug/requests`.
fn asked(pairs: &[(String, String)]) -> Result<(Filter, usize), String> {
    let mut filter = Filter::default();
    let mut limit = LIMIT_DEFAULT;
    for (name, value) in pairs {
        match name.as_str() {
            "id" => filter.id = Some(value.clone()),
            "status" => filter.status = Some(status_of(value)?),
            "code" => filter.code = Some(code_of(value)?),
            "route" => filter.route = Some(route_of(value)?),
            "slower_than" => filter.slower_than_ns = Some(duration_ns(value)?),
            "limit" => limit = limit_of(value)?,
            other => {
                return Err(format!(
                    "`{other}` is no parameter here; there are id, status, code, slower_than, route and limit"
                ));
            }
        }
    }
    Ok((filter, limit))
}

fn status_of(text: &str) -> Result<u16, String> {
    let status = text.parse().ok().filter(|status| (100..600).contains(status));
    status.ok_or_else(|| format!("status is a number such as 201 or 503, not `{text}`"))
}

fn code_of(text: &str) -> Result<Code, String> {
    let found = Code::ALL.iter().find(|code| code.word() == text);
    found.copied().ok_or_else(|| {
        let all: Vec<_> = Code::ALL.iter().map(|code| code.word()).collect();
        format!("code is one of {}, not `{text}`", all.join(", "))
    })
}

fn route_of(text: &str) -> Result<usize, String> {
    let found = ROUTE_NAMES.iter().position(|name| *name == text);
    found.ok_or_else(|| format!("route is one of {}, not `{text}`", ROUTE_NAMES.join(", ")))
}

fn limit_of(text: &str) -> Result<usize, String> {
    let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
    limit.ok_or_else(|| format!("limit is a number from 1 to {LIMIT_MAX}, not `{text}`"))
}

/// `250us`, `5ms`, `1.5s`: as nanoseconds.
fn duration_ns(text: &str) -> Result<u64, String> {
    let wrong = || format!("slower_than is a time such as 250us, 5ms or 1.5s, not `{text}`");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "us" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        _ => return Err(wrong()),
    };
    let number: f64 = digits.parse().map_err(|_| wrong())?;
    let ns = number * unit;
    // A year is more than any request takes, and fits.
    if (0.0..3.2e16).contains(&ns) {
        Ok(ns as u64)
    } else {
        Err(wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &[(&str, &str)]) -> Result<(Filter, usize), String> {
        let pairs: Vec<_> = query
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        asked(&pairs)
    }

    #[test]
    fn every_parameter_is_read() {
        let (filter, limit) = of(&[
            ("id", "abc"),
            ("status", "409"),
            ("code", "sold_out"),
            ("route", "/v1/stock/{sku}"),
            ("slower_than", "1.5ms"),
            ("limit", "7"),
        ])
        .unwrap();
        let wanted = Filter {
            id: Some("abc".into()),
            status: Some(409),
            code: Some(Code::SoldOut),
            route: ROUTE_NAMES.iter().position(|name| *name == "/v1/stock/{sku}"),
            slower_than_ns: Some(1_500_000),
            since_ms: None,
        };
        assert_eq!((filter, limit), (wanted, 7));
        assert_eq!(of(&[]).unwrap(), (Filter::default(), LIMIT_DEFAULT));
    }

    #[test]
    fn a_wrong_parameter_is_answered_with_what_is_right() {
        for (name, value, says) in [
            ("status", "fast", "status is a number such as 201"),
            ("status", "99", "status is a number"),
            ("code", "soldout", "sold_out"),
            ("route", "/v1/order", "/v1/orders,"),
            ("slower_than", "5", "5ms"),
            ("slower_than", "ms", "5ms"),
            ("slower_than", "-1ms", "5ms"),
            ("slower_than", "1e99s", "5ms"),
            ("limit", "0", "1 to 1000"),
            ("limit", "1001", "1 to 1000"),
            ("state", "201", "id, status, code"),
        ] {
            let problem = of(&[(name, value)]).unwrap_err();
            assert!(problem.contains(says) && problem.contains(name), "{problem}");
        }
    }
}
