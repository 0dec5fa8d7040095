//! The memory that h2 takes for a socket: bounded, tapped, never blocking a thread.

use super::tap::{TapIn, TapOut};
use crate::Nanos;
use crate::output::Output;
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Both directions between the connection and h2.
#[derive(Debug)]
pub(crate) struct Pipe {
    /// Received and not yet read by h2, from `read` on.
    pub input: Vec<u8>,
    read: usize,
    pub eof: bool,
    pub output: Output,
    /// At this many bytes of output h2 is told to wait.
    output_bytes_max: usize,
    /// h2 was told to wait, and does not know that there is room again.
    pub is_blocked: bool,
    pub now: Nanos,
    pub tap_in: TapIn,
    pub tap_out: TapOut,
}

impl Pipe {
    pub fn new(input: Vec<u8>, output_bytes_max: usize, preface_bytes: usize, now: Nanos) -> Pipe {
        Pipe {
            input,
            read: 0,
            eof: false,
            output: Output::default(),
            output_bytes_max,
            is_blocked: false,
            now,
            tap_in: TapIn::new(preface_bytes),
            tap_out: TapOut::new(),
        }
    }

    /// Whether h2 has bytes to read.
    pub fn has_input(&self) -> bool {
        self.read < self.input.len()
    }

    pub fn is_output_full(&self) -> bool {
        self.output.len() >= self.output_bytes_max
    }
}

/// h2's end of the pipe.
#[derive(Debug)]
pub(crate) struct PipeEnd(pub Rc<RefCell<Pipe>>);

impl AsyncRead for PipeEnd {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let pipe = &mut *self.0.borrow_mut();
        let unread = &pipe.input[pipe.read..];
        if unread.is_empty() {
            // A read of nothing is h2's sign for the end.
            return if pipe.eof {
                Poll::Ready(Ok(()))
            } else {
                Poll::Pending
            };
        }
        let count = unread.len().min(buf.remaining());
        pipe.tap_in.pass(pipe.now, &unread[..count]);
        buf.put_slice(&unread[..count]);
        pipe.read += count;
        if pipe.read == pipe.input.len() {
            pipe.input.clear();
            pipe.read = 0;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for PipeEnd {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let pipe = &mut *self.0.borrow_mut();
        let room = pipe.output_bytes_max.saturating_sub(pipe.output.len());
        let count = bytes.len().min(room);
        if count < bytes.len() {
            pipe.is_blocked = true;
        }
        if count == 0 {
            return Poll::Pending;
        }
        pipe.tap_out.pass(&bytes[..count]);
        pipe.output.buffer().extend_from_slice(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
