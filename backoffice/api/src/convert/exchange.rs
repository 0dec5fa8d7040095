//! Requests and answers of the slow lane.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use tidegate_lane::{Caller, RequestId};

use super::Malformed;
use super::command::buyer;
use crate::pb;

/// The head of a request as a message. `length` is its body's, where that is known.
#[must_use]
pub fn head_to_message<B>(request: &Request<B>, length: Option<u64>) -> pb::RequestHead {
    let caller = request.extensions().get::<Option<Caller>>().cloned().flatten();
    let id = request.extensions().get::<RequestId>();
    pb::RequestHead {
        method: request.method().to_string(),
        target: request.uri().to_string(),
        headers: headers_to_message(request.headers()),
        caller: caller.map(|caller| pb::Caller {
            buyer: caller.buyer.to_vec().into(),
            subject: caller.subject.to_string(),
            operator: caller.operator,
        }),
        request_id: id.map_or_else(String::new, |id| id.0.to_string()),
        length,
    }
}

/// A request with this head; who asks and which request it is are in its extensions, as the lane in one process has them.
///
/// # Errors
/// [`Malformed`].
pub fn head_from_message<B>(head: pb::RequestHead, body: B) -> Result<Request<B>, Malformed> {
    let mut request = Request::new(body);
    *request.method_mut() = Method::from_bytes(head.method.as_bytes()).map_err(|_| Malformed("method"))?;
    *request.uri_mut() = head.target.parse::<Uri>().map_err(|_| Malformed("target"))?;
    *request.headers_mut() = headers_from_message(head.headers)?;
    let caller = head.caller.map(caller_from_message).transpose()?;
    request.extensions_mut().insert(caller);
    request
        .extensions_mut()
        .insert(RequestId(head.request_id.as_str().into()));
    Ok(request)
}

fn caller_from_message(caller: pb::Caller) -> Result<Caller, Malformed> {
    Ok(Caller {
        buyer: buyer(&caller.buyer)?.0,
        subject: caller.subject.into(),
        operator: caller.operator,
    })
}

/// The head of an answer as a message.
#[must_use]
pub fn answer_to_message(status: StatusCode, headers: &HeaderMap, length: Option<u64>) -> pb::AnswerHead {
    pb::AnswerHead {
        status: status.as_u16().into(),
        headers: headers_to_message(headers),
        length,
    }
}

/// Status and headers of an answer.
///
/// # Errors
/// [`Malformed`].
pub fn answer_from_message(head: pb::AnswerHead) -> Result<(StatusCode, HeaderMap), Malformed> {
    let status = u16::try_from(head.status)
        .ok()
        .and_then(|status| StatusCode::from_u16(status).ok())
        .ok_or(Malformed("status"))?;
    Ok((status, headers_from_message(head.headers)?))
}

fn headers_to_message(headers: &HeaderMap) -> Vec<pb::Header> {
    let header = |(name, value): (&HeaderName, &HeaderValue)| pb::Header {
        name: name.as_str().to_owned(),
        value: value.as_bytes().to_vec().into(),
    };
    headers.iter().map(header).collect()
}

fn headers_from_message(headers: Vec<pb::Header>) -> Result<HeaderMap, Malformed> {
    let mut map = HeaderMap::with_capacity(headers.len());
    for header in headers {
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| Malformed("header's name"))?;
        let value = HeaderValue::from_maybe_shared(header.value).map_err(|_| Malformed("header's value"))?;
        map.append(name, value);
    }
    Ok(map)
}
