//! The slow lane: requests that are not for the hot path, from a net thread to a backoffice and back.
//!
//! ```text
//! net thread                                              backoffice's runtime
//! LanePort::open ── head, body ──► bounded channel ─────► LaneServer: one task an exchange ─► tower::Service
//! LanePort::send ── credited parts ─────────────────────► Body
//! LanePort::try_recv ◄── ring, bell ◄── one task a net ◄── head, credited pieces of the answer
//! ```
//!
//! A net thread never waits here: what it gives goes by channels it only tries, what it gets comes by a ring of
//! [`tidegate_link`], which costs one load a turn while nothing comes. Credits run both ways: of a body no more than
//! [`WINDOW_BYTES`] are between the two sides, so a client that stops reading stops the backoffice's stream, and a
//! backoffice that does not read stops the client.
//!
//! Neither side knows what is asked: the net thread hands over a verified request, and the other half calls any
//! `tower::Service` with it.

mod body;
mod caller;
mod event;
mod exchange;
mod limits;
mod place;
mod port;
mod request_id;
mod server;

pub use body::{Body, BodyBroke};
pub use caller::Caller;
pub use event::{AnswerHead, Event};
pub use exchange::{Head, Key, RequestBody};
pub use limits::{Limits, WINDOW_BYTES};
pub use place::Place;
pub use port::{Gone, LanePort};
pub use request_id::RequestId;
pub use server::LaneServer;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use tidegate_link::{Bell, ring};
use tokio::sync::mpsc;

/// The slow lane of `nets` net threads: a port for each, and the half that the backoffice's runtime runs.
///
/// `bells` wake the net threads, in their order.
///
/// # Panics
/// When there is not one bell a net thread.
pub fn lane(nets: usize, bells: Vec<Arc<Bell>>, limits: Limits) -> (Vec<LanePort>, LaneServer) {
    assert_eq!(nets, bells.len(), "one bell a net thread");
    let under_way = Arc::new(AtomicUsize::new(0));
    // As many as may be under way: a place is what an exchange needs, and then the queue has room for it.
    let (opens, openings) = mpsc::channel(limits.exchanges.max(1));
    let (ports, ends) = bells
        .into_iter()
        .enumerate()
        .map(|(net, bell)| {
            let (events, arrivals) = ring(limits::RING_EVENTS);
            let (under_way, opens) = (Arc::clone(&under_way), opens.clone());
            let port = LanePort::new(net, opens, arrivals, under_way, limits.exchanges);
            (port, server::NetEnd { events, bell })
        })
        .unzip();
    (ports, LaneServer::new(openings, ends, limits.running))
}
