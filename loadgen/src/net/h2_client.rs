//! HTTP/2 by the h2 crate over memory: bytes in, bytes out, no socket and no task.
//!
//! Each stream slot has a waker that sets its bit in a shared dirty set, so that a pump polls the streams that have
//! news and not all of them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use h2::RecvStream;
use h2::client::{Connection, ResponseFuture, SendRequest};
use http::header::{HeaderName, HeaderValue};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::limits::{BODY_BYTES_MAX, H2_OUT_BYTES_MAX, H2_STREAMS_MAX};
use crate::request::{Answer, Flight, Method, Request};
use crate::users::Identity;

/// The memory that h2 reads from and writes to. Both ends are pumped by [`H2`], so `Pending` needs no waker.
#[derive(Default)]
struct Pipe {
    input: VecDeque<u8>,
    output: Vec<u8>,
}

#[derive(Clone, Default)]
struct PipeEnd(Rc<RefCell<Pipe>>);

impl AsyncRead for PipeEnd {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let input = &mut self.0.borrow_mut().input;
        if input.is_empty() {
            return Poll::Pending;
        }
        let (front, _) = input.as_slices();
        let n = front.len().min(buf.remaining());
        buf.put_slice(&front[..n]);
        input.drain(..n);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for PipeEnd {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let output = &mut self.0.borrow_mut().output;
        let room = H2_OUT_BYTES_MAX.saturating_sub(output.len()).min(data.len());
        if room == 0 && !data.is_empty() {
            return Poll::Pending;
        }
        output.extend_from_slice(&data[..room]);
        Poll::Ready(Ok(room))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[derive(Default)]
struct Dirty([AtomicU64; H2_STREAMS_MAX / 64]);

struct SlotWaker {
    dirty: Arc<Dirty>,
    slot: usize,
}

impl Wake for SlotWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }
    fn wake_by_ref(self: &Arc<Self>) {
        self.dirty.0[self.slot / 64].fetch_or(1 << (self.slot % 64), Ordering::Relaxed);
    }
}

struct Exchange {
    flight: Flight,
    head: Option<ResponseFuture>,
    body: Option<RecvStream>,
    status: u16,
    bytes: Vec<u8>,
}

/// One HTTP/2 connection.
pub struct H2 {
    pipe: PipeEnd,
    connection: Connection<PipeEnd>,
    send: SendRequest<Bytes>,
    slots: Vec<Option<Exchange>>,
    wakers: Vec<Waker>,
    free: Vec<usize>,
    dirty: Arc<Dirty>,
    closed: bool,
}

impl H2 {
    /// A new connection with at most `streams` streams at a time; its preface waits in the output.
    pub fn new(streams: usize) -> Result<H2, String> {
        let streams = streams.clamp(1, H2_STREAMS_MAX);
        let pipe = PipeEnd::default();
        let mut builder = h2::client::Builder::new();
        builder
            .enable_push(false)
            .initial_connection_window_size(1 << 20)
            .max_send_buffer_size(64 * 1024);
        let mut handshake = Box::pin(builder.handshake::<_, Bytes>(pipe.clone()));
        let mut cx = Context::from_waker(Waker::noop());
        // The client's handshake only writes its preface, so over memory it is done at the first poll.
        let (send, connection) = match handshake.as_mut().poll(&mut cx) {
            Poll::Ready(made) => made.map_err(|e| format!("h2: {e}"))?,
            Poll::Pending => return Err("h2: the preface was not written".into()),
        };
        drop(handshake);
        let dirty = Arc::new(Dirty::default());
        let wakers = (0..streams).map(|slot| {
            Waker::from(Arc::new(SlotWaker {
                dirty: dirty.clone(),
                slot,
            }))
        });
        Ok(H2 {
            pipe,
            connection,
            send,
            slots: (0..streams).map(|_| None).collect(),
            wakers: wakers.collect(),
            free: (0..streams).rev().collect(),
            dirty,
            closed: false,
        })
    }

    /// Streams without an answer.
    pub fn in_flight(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether one more request can be sent now.
    pub fn has_room(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        !self.closed && !self.free.is_empty() && matches!(self.send.poll_ready(&mut cx), Poll::Ready(Ok(())))
    }

    /// The server is leaving: no more requests here.
    pub fn is_closing(&self) -> bool {
        self.closed
    }

    /// Everything outstanding; none is left.
    pub fn take_in_flight(&mut self) -> impl Iterator<Item = Flight> + use<> {
        let all: Vec<_> = self
            .slots
            .iter_mut()
            .filter_map(|s| s.take().map(|e| e.flight))
            .collect();
        self.free = (0..self.slots.len()).rev().collect();
        all.into_iter()
    }

    /// Sends a request; `false` when the connection takes no more (the request was not sent).
    pub fn send(&mut self, request: &Request, identity: &Identity, origin: &str) -> bool {
        let Some(built) = build(request, identity, origin) else {
            return false;
        };
        let Some(&slot) = self.free.last() else {
            return false;
        };
        let end = request.body.is_empty();
        let Ok((head, mut stream)) = self.send.send_request(built, end) else {
            self.closed = true;
            return false;
        };
        if !end
            && stream
                .send_data(Bytes::copy_from_slice(&request.body), true)
                .is_err()
        {
            self.closed = true;
        }
        self.free.pop();
        self.slots[slot] = Some(Exchange {
            flight: request.flight,
            head: Some(head),
            body: None,
            status: 0,
            bytes: Vec::new(),
        });
        self.dirty.0[slot / 64].fetch_or(1 << (slot % 64), Ordering::Relaxed);
        true
    }

    /// Gives it bytes that came.
    pub fn receive(&mut self, plain: &[u8]) {
        self.pipe.0.borrow_mut().input.extend(plain);
    }

    /// Moves everything that can move; complete answers go to `sink`, bytes for the wire to `out`.
    pub fn pump(
        &mut self,
        connection_id: u32,
        out: &mut Vec<u8>,
        sink: &mut dyn FnMut(Flight, Answer<'_>),
    ) -> Result<(), String> {
        loop {
            let mut cx = Context::from_waker(Waker::noop());
            match Pin::new(&mut self.connection).poll(&mut cx) {
                Poll::Ready(Err(e)) => return Err(format!("h2: {e}")),
                Poll::Ready(Ok(())) => self.closed = true,
                Poll::Pending => {}
            }
            let mut moved = false;
            for word in 0..self.dirty.0.len() {
                let mut bits = self.dirty.0[word].swap(0, Ordering::Relaxed);
                while bits != 0 {
                    let slot = word * 64 + bits.trailing_zeros() as usize;
                    bits &= bits - 1;
                    moved |= self.poll_slot(slot, connection_id, sink)?;
                }
            }
            let output = &mut self.pipe.0.borrow_mut().output;
            moved |= !output.is_empty();
            out.append(output);
            if !moved {
                return Ok(());
            }
        }
    }

    fn poll_slot(
        &mut self,
        slot: usize,
        connection: u32,
        sink: &mut dyn FnMut(Flight, Answer<'_>),
    ) -> Result<bool, String> {
        let Some(exchange) = self.slots[slot].as_mut() else {
            return Ok(false);
        };
        let mut cx = Context::from_waker(&self.wakers[slot]);
        match exchange.poll(&mut cx) {
            Poll::Pending => Ok(false),
            Poll::Ready(Err(e)) if e.is_go_away() || e.is_io() => Err(format!("h2: {e}")),
            Poll::Ready(result) => {
                let done = self.slots[slot].take().expect("polled above");
                self.free.push(slot);
                // A reset stream is an answer that says nothing: status 0 counts as unknown.
                let status = if result.is_ok() { done.status } else { 0 };
                sink(
                    done.flight,
                    Answer {
                        status,
                        body: &done.bytes,
                        connection,
                    },
                );
                Ok(true)
            }
        }
    }
}

impl Exchange {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        if let Some(head) = self.head.as_mut() {
            match Pin::new(head).poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                Poll::Ready(Ok(response)) => {
                    self.status = response.status().as_u16();
                    self.body = Some(response.into_body());
                    self.head = None;
                }
            }
        }
        let Some(body) = self.body.as_mut() else {
            return Poll::Ready(Ok(()));
        };
        loop {
            match body.poll_data(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Ready(Some(Err(e))) => return Poll::Ready(Err(e)),
                Poll::Ready(Some(Ok(data))) => {
                    if self.bytes.len() + data.len() > BODY_BYTES_MAX {
                        return Poll::Ready(Err(h2::Reason::CANCEL.into()));
                    }
                    self.bytes.extend_from_slice(&data);
                    // Giving back the window cannot fail for bytes that were received.
                    let _ = body.flow_control().release_capacity(data.len());
                }
            }
        }
    }
}

fn build(request: &Request, identity: &Identity, origin: &str) -> Option<http::Request<()>> {
    let mut url = Vec::with_capacity(origin.len() + request.path.len());
    url.extend_from_slice(origin.as_bytes());
    url.extend_from_slice(&request.path);
    let uri = http::Uri::from_maybe_shared(Bytes::from(url)).ok()?;
    let mut built = http::Request::new(());
    *built.uri_mut() = uri;
    *built.version_mut() = http::Version::HTTP_2;
    *built.method_mut() = match request.method {
        Method::Get => http::Method::GET,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
    };
    let headers = built.headers_mut();
    if !identity.bearer.is_empty() {
        let bearer = HeaderValue::from_maybe_shared(identity.bearer.clone()).ok()?;
        headers.insert(http::header::AUTHORIZATION, bearer);
    }
    let address = HeaderValue::from_maybe_shared(identity.address.clone()).ok()?;
    headers.insert(HeaderName::from_static("x-forwarded-for"), address);
    if !request.key.is_empty() {
        // A key is used once: it would only push useful entries out of the compression table.
        let mut key = HeaderValue::from_bytes(&request.key).ok()?;
        key.set_sensitive(true);
        headers.insert(HeaderName::from_static("idempotency-key"), key);
    }
    if !request.body.is_empty() {
        headers.insert(
            http::header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        headers.insert(
            http::header::CONTENT_LENGTH,
            HeaderValue::from(request.body.len()),
        );
    }
    Some(built)
}
