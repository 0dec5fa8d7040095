//! One exchange at the service: the request is called, its answer sent as far as the client has room.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, Response};
use http_body::Frame;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tower::{Service, ServiceExt as _};

use crate::exchange::{Head, Opening};
use crate::limits::WINDOW_BYTES;
use crate::{AnswerHead, Body, Event, Key};

/// Serves one exchange until it is answered or nobody waits for it any more. A service that panics takes down nothing
/// but its exchange.
pub(super) async fn run<S, B>(
    opening: Opening,
    service: S,
    events: mpsc::Sender<Event>,
    running: Arc<Semaphore>,
    turn: OwnedSemaphorePermit,
) where
    S: Service<Request<Body>, Response = Response<B>>,
    B: http_body::Body<Data = Bytes>,
{
    let Opening {
        key,
        head,
        body,
        mut grants,
        place: _place,
        ..
    } = opening;
    let (read, mut was_read) = watch::channel(0);
    let (granted, window) = watch::channel(WINDOW_BYTES as u64);
    let request = request(head, Body::new(body, read));
    let answer = Answer {
        key,
        events: &events,
        window,
        sent: 0,
        running,
    };
    let mut answered = pin!(AssertUnwindSafe(answer.give(request, service, turn)).catch_unwind());
    let mut told = 0;
    loop {
        tokio::select! {
            biased;
            grant = grants.recv() => match grant {
                Some(bytes) => granted.send_modify(|granted| *granted += bytes as u64),
                None => return,
            },
            Ok(()) = was_read.changed() => {
                let read = *was_read.borrow_and_update();
                let bytes = (read - std::mem::replace(&mut told, read)) as usize;
                let _ = events.send(Event::Taken { key, bytes }).await;
            }
            result = &mut answered => {
                if !matches!(result, Ok(Ok(()))) {
                    let _ = events.send(Event::Broke { key }).await;
                }
                return;
            }
        }
    }
}

fn request(head: Head, body: Body) -> Request<Body> {
    let mut request = Request::new(body);
    *request.method_mut() = head.method;
    *request.uri_mut() = head.target;
    *request.headers_mut() = head.headers;
    request.extensions_mut().insert(head.caller);
    request.extensions_mut().insert(head.request_id);
    request
}

/// The answer's side of an exchange.
struct Answer<'a> {
    key: Key,
    events: &'a mpsc::Sender<Event>,
    /// How many bytes may be sent, over the exchange's life.
    window: watch::Receiver<u64>,
    sent: u64,
    running: Arc<Semaphore>,
}

/// The service or its answer's body failed, or the runtime ends.
struct Failed;

impl Answer<'_> {
    async fn give<S, B>(
        mut self,
        request: Request<Body>,
        service: S,
        turn: OwnedSemaphorePermit,
    ) -> Result<(), Failed>
    where
        S: Service<Request<Body>, Response = Response<B>>,
        B: http_body::Body<Data = Bytes>,
    {
        let response = service.oneshot(request).await.map_err(|_| Failed)?;
        let (parts, body) = response.into_parts();
        let mut body = pin!(body);
        let head = Box::new(AnswerHead {
            status: parts.status,
            headers: parts.headers,
            length: body.size_hint().exact(),
        });
        let (mut data, ends) = at_hand(body.as_mut()).await?;
        // A client that takes its time with the answer holds no turn.
        drop(turn);
        let first = data.split_to(data.len().min(WINDOW_BYTES));
        self.sent += first.len() as u64;
        self.send(Event::Answer {
            key: self.key,
            head,
            data: first,
            ends: ends && data.is_empty(),
        })
        .await?;
        if !data.is_empty() {
            self.chunks(data, ends).await?;
        }
        if ends { Ok(()) } else { self.rest(body).await }
    }

    /// Reads and sends what the body still has, a frame at a time and none without room for it.
    async fn rest<B: http_body::Body<Data = Bytes>>(&mut self, mut body: Pin<&mut B>) -> Result<(), Failed> {
        loop {
            self.room().await?;
            let turn = self.running.acquire().await.map_err(|_| Failed)?;
            let frame = poll_fn(|context| body.as_mut().poll_frame(context).map_err(|_| Failed)).await;
            drop(turn);
            let Some(data) = frame.transpose()?.map(data_of) else {
                return self.chunks(Bytes::new(), true).await;
            };
            let ends = body.is_end_stream();
            if ends || !data.is_empty() {
                self.chunks(data, ends).await?;
            }
            if ends {
                return Ok(());
            }
        }
    }

    /// Sends a frame in as many pieces as the window asks for.
    async fn chunks(&mut self, mut data: Bytes, ends: bool) -> Result<(), Failed> {
        loop {
            let room = if data.is_empty() { 0 } else { self.room().await? };
            let piece = data.split_to(data.len().min(room));
            self.sent += piece.len() as u64;
            let last = data.is_empty();
            let key = self.key;
            self.send(Event::Chunk {
                key,
                data: piece,
                ends: ends && last,
            })
            .await?;
            if last {
                return Ok(());
            }
        }
    }

    /// Waits until something may be sent; how much.
    async fn room(&mut self) -> Result<usize, Failed> {
        let sent = self.sent;
        let granted = self.window.wait_for(|granted| *granted > sent).await;
        granted
            .map(|granted| (*granted - sent) as usize)
            .map_err(|_| Failed)
    }

    async fn send(&mut self, event: Event) -> Result<(), Failed> {
        self.events.send(event).await.map_err(|_| Failed)
    }
}

/// The first frame if it is there without waiting, and whether it is all.
async fn at_hand<B: http_body::Body<Data = Bytes>>(mut body: Pin<&mut B>) -> Result<(Bytes, bool), Failed> {
    if body.is_end_stream() {
        return Ok((Bytes::new(), true));
    }
    let polled = poll_fn(|context| Poll::Ready(body.as_mut().poll_frame(context))).await;
    match polled {
        Poll::Pending => Ok((Bytes::new(), false)),
        Poll::Ready(None) => Ok((Bytes::new(), true)),
        Poll::Ready(Some(Err(_))) => Err(Failed),
        Poll::Ready(Some(Ok(frame))) => Ok((data_of(frame), body.is_end_stream())),
    }
}

/// Trailers are nothing that the edge passes on.
fn data_of(frame: Frame<Bytes>) -> Bytes {
    frame.into_data().unwrap_or_default()
}
