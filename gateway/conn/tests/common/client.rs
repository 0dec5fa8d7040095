//! An HTTP/2 client in memory: the h2 crate's, or frames by hand.

use bytes::Bytes;
use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[derive(Default)]
pub struct Wires {
    pub to_client: Vec<u8>,
    pub to_server: Vec<u8>,
}

#[derive(Clone, Default)]
pub struct End(pub Rc<RefCell<Wires>>);

impl AsyncRead for End {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let input = &mut self.0.borrow_mut().to_client;
        if input.is_empty() {
            return Poll::Pending;
        }
        let count = input.len().min(buf.remaining());
        buf.put_slice(&input[..count]);
        input.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for End {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().to_server.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

pub struct Client {
    pub end: End,
    pub send: h2::client::SendRequest<Bytes>,
    pub connection: h2::client::Connection<End, Bytes>,
    pub ended: Option<Result<(), h2::Error>>,
}

pub fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

impl Client {
    pub fn new() -> Client {
        Client::with(h2::client::Builder::new().initial_window_size(1 << 20))
    }

    pub fn with(builder: &h2::client::Builder) -> Client {
        let end = End::default();
        let handshake = builder.handshake::<_, Bytes>(end.clone());
        let mut handshake = Box::pin(handshake);
        let Poll::Ready(Ok((send, connection))) = poll(handshake.as_mut()) else {
            panic!("no handshake")
        };
        Client {
            end,
            send,
            connection,
            ended: None,
        }
    }

    pub fn pump(&mut self) {
        if self.ended.is_none()
            && let Poll::Ready(end) = poll(Pin::new(&mut self.connection))
        {
            self.ended = Some(end);
        }
    }

    pub fn request(&mut self, method: &str, path: &str, body: &[u8]) -> h2::client::ResponseFuture {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("https://a{path}"))
            .body(())
            .unwrap();
        let (response, mut stream) = self.send.send_request(request, body.is_empty()).unwrap();
        if !body.is_empty() {
            stream.send_data(Bytes::copy_from_slice(body), true).unwrap();
        }
        response
    }

    pub fn take_output(&mut self) -> Vec<u8> {
        self.pump();
        std::mem::take(&mut self.end.0.borrow_mut().to_server)
    }

    pub fn give(&mut self, bytes: &[u8]) {
        self.end.0.borrow_mut().to_client.extend_from_slice(bytes);
        self.pump();
    }
}

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame by hand.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A header block without compression: literal fields, never indexed.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0x10);
        for text in [name, value] {
            if text.len() < 127 {
                bytes.push(text.len() as u8);
            } else {
                bytes.push(127);
                let mut rest = text.len() - 127;
                while rest >= 128 {
                    bytes.push((rest % 128) as u8 | 0x80);
                    rest /= 128;
                }
                bytes.push(rest as u8);
            }
            bytes.extend(text.as_bytes());
        }
    }
    bytes
}

pub const GET: [(&str, &str); 4] = [
    (":method", "GET"),
    (":scheme", "https"),
    (":authority", "a"),
    (":path", "/"),
];
pub const POST: [(&str, &str); 4] = [
    (":method", "POST"),
    (":scheme", "https"),
    (":authority", "a"),
    (":path", "/v1/orders"),
];

/// Preface and empty SETTINGS.
pub fn hello() -> Vec<u8> {
    let mut bytes = PREFACE.to_vec();
    bytes.extend(frame(4, 0, 0, &[]));
    bytes
}

/// Cuts frames: kind, flags, stream, payload.
pub fn frames(mut bytes: &[u8]) -> Vec<(u8, u8, u32, Vec<u8>)> {
    let mut all = Vec::new();
    while bytes.len() >= 9 {
        let length = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]) as usize;
        let stream = u32::from_be_bytes([bytes[5], bytes[6], bytes[7], bytes[8]]);
        all.push((bytes[3], bytes[4], stream, bytes[9..9 + length].to_vec()));
        bytes = &bytes[9 + length..];
    }
    assert!(bytes.is_empty(), "whole frames");
    all
}
