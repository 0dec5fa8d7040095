//! The service `tidegate.v1.Backoffice`: its calls, by role.

use std::sync::{Arc, OnceLock};

use tidegate_api::pb::backoffice_server::Backoffice;
use tidegate_api::pb::{DeskAnswer, DeskCommand, FromEdge, RequestPart};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};

use crate::desk::Desk;
use crate::exchange::{AnswerStream, Exchanges};
use crate::follow::{FeedRole, OUT, ToEdge};

/// What serves edges; a role that this process has not is none.
#[derive(Clone, Debug, Default)]
pub struct Service {
    /// Role `feed`.
    pub feed: Option<Arc<FeedRole>>,
    /// Roles `api` and `jobs`.
    pub desk: Option<Arc<Desk>>,
    /// Role `api`.
    pub exchanges: Option<Exchanges>,
    /// Streams of entries under way.
    pub tasks: TaskTracker,
    /// The name of the store behind desk and exchanges, once it was read.
    pub store: Arc<OnceLock<String>>,
}

/// What an edge names its store with, on the calls that have no hello.
pub const STORE: &str = "tidegate-store";

impl Service {
    /// That an edge which says what store it feeds feeds this one: the jobs of one shop must not command the shards of another.
    fn of_this_store<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let (Some(said), Some(name)) = (request.metadata().get(STORE), self.store.get()) else {
            return Ok(());
        };
        match said.to_str() {
            Ok(said) if said == name => Ok(()),
            said => Err(Status::failed_precondition(format!(
                "the edge feeds the store {:?}, and this backoffice keeps {name:?}: set backoffice.address to that one's backoffice",
                said.unwrap_or("?")
            ))),
        }
    }
}

fn lacks(role: &str) -> Status {
    Status::unimplemented(format!(
        "this backoffice does not have the role {role}: send it to one that has, or add it to process.roles"
    ))
}

#[tonic::async_trait]
impl Backoffice for Service {
    type FollowStream = ReceiverStream<ToEdge>;
    type DeskStream = ReceiverStream<Result<DeskCommand, Status>>;
    type ExchangeStream = AnswerStream;

    async fn follow(
        &self,
        request: Request<Streaming<FromEdge>>,
    ) -> Result<Response<Self::FollowStream>, Status> {
        let feed = Arc::clone(self.feed.as_ref().ok_or_else(|| lacks("feed"))?);
        let (out, stream) = mpsc::channel(OUT);
        self.tasks
            .spawn(async move { feed.serve(request.into_inner(), out).await });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn desk(
        &self,
        request: Request<Streaming<DeskAnswer>>,
    ) -> Result<Response<Self::DeskStream>, Status> {
        let desk = self.desk.as_ref().ok_or_else(|| lacks("api or jobs"))?;
        self.of_this_store(&request)?;
        Ok(Response::new(desk.open(request.into_inner())))
    }

    async fn exchange(
        &self,
        request: Request<Streaming<RequestPart>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        let exchanges = self.exchanges.as_ref().ok_or_else(|| lacks("api"))?;
        self.of_this_store(&request)?;
        exchanges.answer(request.into_inner()).await.map(Response::new)
    }
}
