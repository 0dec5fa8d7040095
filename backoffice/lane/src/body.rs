//! The body of a request, as the service reads it.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::{mpsc, watch};

use crate::exchange::OpeningBody;

/// A piece of a body on its way, or its end.
#[derive(Debug)]
pub(crate) enum Part {
    Data(Bytes),
    End,
}

/// A request's body. Reading it is what lets the client send more.
#[derive(Debug)]
pub struct Body {
    source: Source,
    /// How much was read, for the task that tells the edge.
    read: watch::Sender<u64>,
}

#[derive(Debug)]
enum Source {
    Whole(Bytes),
    Parts {
        parts: mpsc::Receiver<Part>,
        /// What is left of the length that was said.
        left: Option<u64>,
    },
    Over,
}

/// The client gave up, or its connection broke, in the middle of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyBroke;

impl fmt::Display for BodyBroke {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the client's connection broke before the body had arrived whole")
    }
}

impl std::error::Error for BodyBroke {}

impl Body {
    pub(crate) fn new(body: OpeningBody, read: watch::Sender<u64>) -> Body {
        let source = match body {
            OpeningBody::Whole(data) if data.is_empty() => Source::Over,
            OpeningBody::Whole(data) => Source::Whole(data),
            OpeningBody::Parts { length, parts } => Source::Parts { parts, left: length },
        };
        Body { source, read }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyBroke;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyBroke>>> {
        let this = self.get_mut();
        let Source::Parts { parts, left } = &mut this.source else {
            let Source::Whole(data) = std::mem::replace(&mut this.source, Source::Over) else {
                return Poll::Ready(None);
            };
            return Poll::Ready(Some(Ok(Frame::data(data))));
        };
        match ready!(parts.poll_recv(context)) {
            Some(Part::Data(data)) => {
                if let Some(left) = left {
                    *left = left.saturating_sub(data.len() as u64);
                }
                this.read.send_modify(|read| *read += data.len() as u64);
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Some(Part::End) => {
                this.source = Source::Over;
                Poll::Ready(None)
            }
            // The other end is gone and has not said that this was all.
            None => {
                this.source = Source::Over;
                Poll::Ready(Some(Err(BodyBroke)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.source, Source::Over)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Whole(data) => SizeHint::with_exact(data.len() as u64),
            Source::Parts { left: Some(left), .. } => SizeHint::with_exact(*left),
            Source::Parts { left: None, .. } => SizeHint::default(),
            Source::Over => SizeHint::with_exact(0),
        }
    }
}
