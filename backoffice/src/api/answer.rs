//! Answers as JSON.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::api::code::Code;
use crate::api::problem::Problem;

/// A body as JSON; what is private to its caller is not kept by caches.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => {
            let headers = [
                (header::CONTENT_TYPE, "application/json"),
                (header::CACHE_CONTROL, "no-store"),
            ];
            (status, headers, bytes).into_response()
        }
        Err(error) => Problem::new(Code::Internal, error.to_string()).into_response(),
    }
}

/// One page of a list, with the way to the next.
pub(super) fn page(body: &impl Serialize, link: Option<String>) -> Response {
    linked(json(StatusCode::OK, body), link)
}

/// An answer with a `Link` header.
pub(super) fn linked(mut response: Response, link: Option<String>) -> Response {
    if let Some(link) = link.and_then(|link| HeaderValue::from_str(&link).ok()) {
        response.headers_mut().insert(header::LINK, link);
    }
    response
}
