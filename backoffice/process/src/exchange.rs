//! Requests of the slow lane: a head and a body come as parts, and so does the answer.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use tidegate_api::convert::exchange::{answer_to_message, head_from_message};
use tidegate_api::pb::{AnswerPart, RequestPart, answer_part, request_part};
use tidegate_backoffice::api::{Code, Problem};
use tonic::{Status, Streaming};
use tower::ServiceExt as _;

use crate::metrics::ApiMetrics;

/// Bytes of a part of an answer, at most.
const PART_BYTES: usize = 64 << 10;

/// Parts of an answer. Dropping it, as a call that is cancelled does, drops what makes the answer.
pub type AnswerStream = Pin<Box<dyn Stream<Item = Result<AnswerPart, Status>> + Send>>;

/// Answers requests by a router, once there is one: what it answers from may have to be reached first.
#[derive(Clone, Debug)]
pub struct Exchanges {
    router: Arc<OnceLock<Router>>,
    metrics: Arc<ApiMetrics>,
}

/// Counts an exchange while it is under way.
struct UnderWay(Arc<ApiMetrics>);

impl UnderWay {
    fn new(metrics: &Arc<ApiMetrics>) -> UnderWay {
        metrics.exchanges.inc();
        metrics.under_way.inc();
        UnderWay(Arc::clone(metrics))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.dec();
    }
}

impl Exchanges {
    /// Without a router: requests are answered 503 and nothing is done.
    #[must_use]
    pub fn new(metrics: Arc<ApiMetrics>) -> Exchanges {
        Exchanges {
            router: Arc::default(),
            metrics,
        }
    }

    /// From now on by this router, if there is none yet. Requests have the lane's `Option<Caller>` and `RequestId` in their extensions.
    pub fn open(&self, router: Router) {
        _ = self.router.set(router);
    }

    /// Answers one. The body is read as the router asks for it, so HTTP/2's window holds back who sends.
    ///
    /// # Errors
    /// The request does not begin with a head, or with one that is none.
    pub async fn answer(&self, mut parts: Streaming<RequestPart>) -> Result<AnswerStream, Status> {
        let under_way = UnderWay::new(&self.metrics);
        let Some(request_part::Part::Head(head)) = parts.message().await?.and_then(|part| part.part) else {
            return Err(Status::invalid_argument("an exchange begins with a head"));
        };
        let request = head_from_message(head, Body::from_stream(data(parts)))
            .map_err(|malformed| Status::invalid_argument(malformed.to_string()))?;
        let answer = match self.router.get() {
            Some(router) => match router.clone().oneshot(request).await {
                Ok(answer) => answer,
                Err(never) => match never {},
            },
            None => not_yet(),
        };
        let (head, body) = answer.into_parts();
        let exact = body.size_hint().exact();
        let head = AnswerPart {
            part: Some(answer_part::Part::Head(answer_to_message(
                head.status,
                &head.headers,
                exact,
            ))),
        };
        let data = body.into_data_stream().flat_map(pieces);
        let stream = futures_util::stream::once(async { Ok(head) }).chain(data);
        Ok(Box::pin(stream.inspect(move |_| {
            let _ = &under_way;
        })))
    }
}

fn not_yet() -> Response {
    let line = "the shop's database has not been reached since this backoffice began: nothing was done";
    Problem::new(Code::StoreUnavailable, line).into_response()
}

/// The body's data. A part that is no data breaks it.
fn data(parts: Streaming<RequestPart>) -> impl Stream<Item = Result<Bytes, Status>> + Send {
    parts.map(|part| match part?.part {
        Some(request_part::Part::Data(data)) => Ok(data),
        _ => Err(Status::invalid_argument(
            "after the head of an exchange comes data",
        )),
    })
}

/// A piece of the answer's body as parts of a bounded size.
fn pieces(piece: Result<Bytes, axum::Error>) -> impl Stream<Item = Result<AnswerPart, Status>> {
    let parts: Vec<Result<AnswerPart, Status>> = match piece {
        Err(error) => vec![Err(Status::internal(format!("the answer broke: {error}")))],
        Ok(data) => (0..data.len())
            .step_by(PART_BYTES)
            .map(|from| {
                let part = data.slice(from..data.len().min(from + PART_BYTES));
                Ok(AnswerPart {
                    part: Some(answer_part::Part::Data(part)),
                })
            })
            .collect(),
    };
    futures_util::stream::iter(parts)
}
