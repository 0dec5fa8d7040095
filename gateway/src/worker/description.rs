//! The description of the API (OpenAPI 3.1) at `GET /v1/openapi.json`: the file `docs/openapi.json` of the build that serves it.

use crate::worker::answer::Draft;

#[cfg(test)]
mod tests;

/// The document.
const TEXT: &str = include_str!("../../../docs/openapi.json");

/// Writes the answer.
pub fn write(draft: &mut Draft) {
    draft.begin(200);
    draft.header("content-type", b"application/json");
    // It changes with the build; a cache may be as late as a rolling restart is long.
    draft.header("cache-control", b"max-age=300");
    draft.body.extend_from_slice(TEXT.as_bytes());
}
