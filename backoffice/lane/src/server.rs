//! The half of the slow lane that the backoffice's runtime runs.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use tidegate_link::{Bell, Producer};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tower::Service;

use crate::exchange::Opening;
use crate::limits::EVENTS;
use crate::{Body, Event};

mod task;

/// How long a full ring is left alone: its net thread is behind, and looks at it once a turn.
const RING_PAUSE: Duration = Duration::from_millis(1);

/// The way to one net thread.
pub(crate) struct NetEnd {
    pub events: Producer<Event>,
    pub bell: Arc<Bell>,
}

/// Serves the exchanges of all net threads.
pub struct LaneServer {
    openings: mpsc::Receiver<Opening>,
    nets: Vec<NetEnd>,
    running: usize,
}

impl LaneServer {
    pub(crate) fn new(openings: mpsc::Receiver<Opening>, nets: Vec<NetEnd>, running: usize) -> LaneServer {
        LaneServer {
            openings,
            nets,
            running: running.max(1),
        }
    }

    /// Calls `service` with each request, `running` of them at a time, until every net thread has ended. Dropped
    /// before, it cancels what is under way, and the net threads answer for it.
    ///
    /// A request has the [`Caller`](crate::Caller) (as `Option<Caller>`) and the [`RequestId`](crate::RequestId) in its extensions.
    pub async fn serve<S, B>(self, service: S)
    where
        S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send,
        B: http_body::Body<Data = Bytes> + Send + 'static,
    {
        let LaneServer {
            mut openings,
            nets,
            running,
        } = self;
        let running = Arc::new(Semaphore::new(running));
        let mut tasks = JoinSet::new();
        let nets: Vec<mpsc::Sender<Event>> = nets
            .into_iter()
            .map(|net| {
                let (sender, events) = mpsc::channel(EVENTS);
                tasks.spawn(forward(events, net));
                sender
            })
            .collect();
        // An exchange waits for its turn in the queue, where one that is cancelled meanwhile costs nothing.
        while let Some(opening) = openings.recv().await {
            // Only now, so that no turn is kept by who waits for a request.
            let Ok(turn) = Arc::clone(&running).acquire_owned().await else {
                break;
            };
            while tasks.try_join_next().is_some() {}
            if opening.grants.is_closed() {
                continue;
            }
            let events = nets[opening.net].clone();
            tasks.spawn(task::run(
                opening,
                service.clone(),
                events,
                Arc::clone(&running),
                turn,
            ));
        }
        drop(nets);
        while tasks.join_next().await.is_some() {}
    }
}

/// Hands events to a net thread and wakes it, once for all that are there.
async fn forward(mut events: mpsc::Receiver<Event>, mut net: NetEnd) {
    let mut batch = Vec::with_capacity(EVENTS);
    while events.recv_many(&mut batch, EVENTS).await > 0 {
        for event in batch.drain(..) {
            let mut left = net.events.push(event).err();
            while let Some(event) = left {
                if net.events.publish() {
                    net.bell.ring();
                }
                tokio::time::sleep(RING_PAUSE).await;
                left = net.events.push(event).err();
            }
        }
        if net.events.publish() {
            net.bell.ring();
        }
    }
}
