//! The way to the edge.

use tidegate_api::pb::{self, to_edge};
use tidegate_follow::Mark;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::ToEdge;

/// Sends while the edge listens. One that listens too slowly holds its own stream back, but not its end.
#[derive(Debug)]
pub(super) struct Outlet {
    out: mpsc::Sender<ToEdge>,
    ending: CancellationToken,
}

impl Outlet {
    pub(super) fn new(out: mpsc::Sender<ToEdge>, ending: CancellationToken) -> Outlet {
        Outlet { out, ending }
    }

    /// Sends a message. What does not fit while the stream ends is left out: the next welcome says it.
    pub(super) async fn send(&mut self, message: to_edge::Message) {
        let message = Ok(pb::ToEdge {
            message: Some(message),
        });
        if self.ending.is_cancelled() {
            _ = self.out.try_send(message);
            return;
        }
        let gone = tokio::select! {
            sent = self.out.send(message) => sent.is_err(),
            () = self.ending.cancelled() => false,
        };
        if gone {
            self.ending.cancel();
        }
    }

    /// Sends marks, if there are any.
    pub(super) async fn marks(&mut self, published: Vec<Mark>, applied: Vec<Mark>) {
        if published.is_empty() && applied.is_empty() {
            return;
        }
        let marks = pb::Marks {
            published: published.into_iter().map(Into::into).collect(),
            applied: applied.into_iter().map(Into::into).collect(),
        };
        self.send(to_edge::Message::Marks(marks)).await;
    }
}
