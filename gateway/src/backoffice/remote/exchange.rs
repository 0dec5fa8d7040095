//! Requests of the slow lane, sent on to a backoffice in another process.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use http::{Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use tidegate_api::convert::exchange::{answer_from_message, head_to_message};
use tidegate_api::pb::{self, answer_part, request_part};
use tidegate_lane::Body;
use tonic::{Code, Status, Streaming};
use tower::Service;

use super::link::{Client, Link, malformed};
use crate::codes;
use crate::worker::answer::Draft;

/// Sends each request on. HTTP/2's windows are the credits: a body is read from the lane as far as the backoffice has room, and an answer
/// from the backoffice as far as the lane has.
#[derive(Clone)]
pub struct Forward {
    client: Client,
}

impl Forward {
    /// By this link.
    pub fn new(link: &Link) -> Forward {
        Forward { client: link.lane() }
    }
}

type AnswerBody = UnsyncBoxBody<Bytes, Status>;

impl Service<Request<Body>> for Forward {
    type Response = Response<AnswerBody>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response<AnswerBody>, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let client = self.client.clone();
        Box::pin(async move {
            match exchange(client, request).await {
                // Nothing was sent: that is a better answer than that nobody knows.
                Err(status) if is_away(&status) => Ok(away()),
                answered => answered,
            }
        })
    }
}

async fn exchange(mut client: Client, request: Request<Body>) -> Result<Response<AnswerBody>, Status> {
    let length = http_body::Body::size_hint(request.body()).exact();
    let head = head_to_message(&request, length);
    let parts = Parts {
        head: Some(head),
        body: request.into_body(),
    };
    let mut answer = client.exchange(parts).await?.into_inner();
    let Some(answer_part::Part::Head(head)) = answer.message().await?.and_then(|part| part.part) else {
        return Err(Status::internal("an answer without a head"));
    };
    let length = head.length;
    let (status, headers) = answer_from_message(head).map_err(malformed)?;
    let mut response = Response::new(Pieces { answer, left: length }.boxed_unsync());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// Whether a call was not made, because there is no connection.
fn is_away(status: &Status) -> bool {
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        // A connection that was made and broke has other errors.
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return error.kind() == std::io::ErrorKind::ConnectionRefused;
        }
        source = error.source();
    }
    status.code() == Code::Unavailable && status.message().contains("tcp connect error")
}

/// The answer for a backoffice that is not there.
fn away() -> Response<AnswerBody> {
    let mut draft = Draft::default();
    draft.problem(
        codes::Code::BackofficeUnavailable,
        "the backoffice cannot be reached: nothing was asked of it",
    );
    let body = Bytes::copy_from_slice(&draft.body);
    let mut response = Response::new(Full::new(body).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/problem+json"),
    );
    headers.insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    response
}

/// A request as the messages of a call.
struct Parts {
    head: Option<pb::RequestHead>,
    body: Body,
}

impl Stream for Parts {
    type Item = pb::RequestPart;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<pb::RequestPart>> {
        let this = self.get_mut();
        let part = |part| Poll::Ready(Some(pb::RequestPart { part: Some(part) }));
        if let Some(head) = this.head.take() {
            return part(request_part::Part::Head(head));
        }
        loop {
            return match ready!(http_body::Body::poll_frame(Pin::new(&mut this.body), context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => part(request_part::Part::Data(data)),
                    Err(_) => continue,
                },
                None => Poll::Ready(None),
                // A call that ends here would look whole. The lane drops it, since nobody waits for its answer.
                Some(Err(_)) => Poll::Pending,
            };
        }
    }
}

/// The body of an answer.
struct Pieces {
    answer: Streaming<pb::AnswerPart>,
    /// What is left of the length that was said.
    left: Option<u64>,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let Some(part) = ready!(Pin::new(&mut this.answer).poll_next(context)).transpose()? else {
            return match this.left {
                Some(left) if left > 0 => {
                    Poll::Ready(Some(Err(Status::internal("an answer that ends too early"))))
                }
                _ => Poll::Ready(None),
            };
        };
        let Some(answer_part::Part::Data(data)) = part.part else {
            return Poll::Ready(Some(Err(Status::internal("a second head"))));
        };
        if let Some(left) = &mut this.left {
            *left = left.saturating_sub(data.len() as u64);
        }
        Poll::Ready(Some(Ok(http_body::Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.left
            .map_or_else(http_body::SizeHint::default, http_body::SizeHint::with_exact)
    }
}
