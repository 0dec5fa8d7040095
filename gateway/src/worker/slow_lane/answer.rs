//! The head of a backoffice's answer, as the client gets it.

use http::{HeaderName, header};
use smallvec::SmallVec;
use tidegate_lane::AnswerHead;

/// Headers of a backoffice that are passed on. The request's id and the date are the edge's, as on every answer, and so
/// is all that frames the body.
static PASSED: [HeaderName; 15] = [
    header::CONTENT_TYPE,
    header::LOCATION,
    header::RETRY_AFTER,
    header::CACHE_CONTROL,
    header::ETAG,
    header::LINK,
    header::CONTENT_DISPOSITION,
    header::ALLOW,
    header::VARY,
    header::WWW_AUTHENTICATE,
    header::CONTENT_SECURITY_POLICY,
    header::REFERRER_POLICY,
    header::X_CONTENT_TYPE_OPTIONS,
    header::X_FRAME_OPTIONS,
    HeaderName::from_static("idempotency-replayed"),
];

/// Name and value.
pub type Headers<'a> = SmallVec<[(&'a str, &'a [u8]); 12]>;

/// What an answer carries.
pub fn headers<'a>(head: &'a AnswerHead, request_id: &'a [u8], date: &'a [u8]) -> Headers<'a> {
    let mut headers = Headers::new();
    for name in &PASSED {
        let values = head.headers.get_all(name).iter();
        headers.extend(values.map(|value| (name.as_str(), value.as_bytes())));
    }
    headers.push(("x-request-id", request_id));
    headers.push(("date", date));
    headers
}

/// Whether this status is one that ends a request: interim ones are the connection's own (RFC 9110 section 15.2).
pub fn is_final(head: &AnswerHead) -> bool {
    (200..600).contains(&head.status.as_u16())
}

/// Whether an answer with this status has no body, whatever it says (RFC 9110 sections 15.3.5 and 15.4.5).
pub fn is_bodiless(head: &AnswerHead) -> bool {
    matches!(head.status.as_u16(), 204 | 304)
}
