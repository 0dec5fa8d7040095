//! One connection from the network as a pure state machine: bytes in, bytes out, time as an argument.
//!
//! ```text
//! receive(now, bytes) ─► TLS ─► HTTP/1.1 or HTTP/2 ─► next_event() ─► Event::Request
//! transmit(out, cap)  ◄─ TLS ◄─ answers in order   ◄─ respond(exchange, answer)
//! ```
//!
//! The shell that owns the socket does, each turn:
//! 1. `receive` what was read (only while `wants_read`), or `receive_eof`;
//! 2. `next_event` until it returns `None`, handing requests on;
//! 3. `respond` for the answers that arrived, in any order, then `next_event` again (an answer may unblock input);
//! 4. `transmit` while nothing of this connection is being written and `has_output`, then `next_event` once more
//!    (output that left may unblock input as well);
//! 5. arm a timer at `timeout`, and call `handle_timeout` when it passes;
//! 6. when `wants_shutdown`: shut the write side down once; when `is_closed`: close the socket and drop the `Conn`.
//!    A write that is under way is finished first, within a time-out of the shell's own: the connection counts bytes
//!    as sent when it has handed them out.
//!
//! Nothing here reads a clock, opens a socket or spawns a task.

mod answer;
mod config;
mod conn;
mod context;
mod counters;
mod event;
mod exchange;
mod h1;
mod h2;
mod head;
mod host;
mod hpack;
mod limits;
mod output;
mod picks;
mod proxy;
mod refusal;
mod time;
mod tls;

pub use answer::Answer;
pub use config::{AdmitsAgain, ConnConfig, Covers, Deadlines, MakesTls};
pub use conn::{Conn, ConnState, Protocol};
pub use counters::Counters;
pub use event::{Event, Request};
pub use exchange::ExchangeId;
pub use head::{Fields, Head, Picked};
pub use limits::Limits;
pub use proxy::{BadProxyHeader, ProxyHeader, ProxyReader, V1_BYTES_MAX, V2_BYTES_MAX, parse_proxy_header};
pub use refusal::Refusal;
pub use time::Nanos;
pub use tls::{ClientChain, TlsConfig, set_tls_defaults};
