//! Answers as h2 takes them.

use crate::Answer;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

/// Field names of answers, made once: a name that is not registered would be allocated for each answer.
#[derive(Debug, Default)]
pub(crate) struct Names(Vec<(Box<str>, HeaderName)>);

/// Our answers use about a dozen names; more are made anew.
const NAMES_MAX: usize = 24;

impl Names {
    fn get(&mut self, name: &str) -> Option<HeaderName> {
        if let Some((_, found)) = self.0.iter().find(|(known, _)| &**known == name) {
            return Some(found.clone());
        }
        let made = HeaderName::from_bytes(name.as_bytes()).ok()?;
        if self.0.len() < NAMES_MAX {
            self.0.push((name.into(), made.clone()));
        }
        Some(made)
    }
}

/// The head of an answer, and its body. All values and the body share one allocation.
pub(crate) fn build(names: &mut Names, answer: &Answer<'_>, is_head: bool) -> (Response<()>, Bytes) {
    assert!(
        (200..=599).contains(&answer.status),
        "an answer's status is final"
    );
    let bodyless = matches!(answer.status, 204 | 304);
    let mut number = itoa::Buffer::new();
    let length = number.format(answer.body.len());
    let values: usize = answer.headers.iter().map(|(_, value)| value.len()).sum();
    let mut shared = BytesMut::with_capacity(values + length.len() + answer.body.len());
    for (_, value) in answer.headers {
        shared.extend_from_slice(value);
    }
    shared.extend_from_slice(length.as_bytes());
    if !is_head && !bodyless {
        shared.extend_from_slice(answer.body);
    }
    let mut shared = shared.freeze();
    let mut map = HeaderMap::with_capacity(answer.headers.len() + 1);
    for (name, value) in answer.headers {
        let value = HeaderValue::from_maybe_shared(shared.split_to(value.len()));
        if let (Some(name), Ok(value)) = (names.get(name), value) {
            map.append(name, value);
        } else {
            debug_assert!(false, "our own fields are valid");
        }
    }
    let length = HeaderValue::from_maybe_shared(shared.split_to(length.len()));
    if let (Ok(length), false) = (length, bodyless) {
        map.insert(http::header::CONTENT_LENGTH, length);
    }
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = map;
    (response, shared)
}
