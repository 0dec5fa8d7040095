//! Commands from a backoffice in another process to the shards.

use std::time::Duration;

use tidegate_api::convert::{command, outcome};
use tidegate_api::pb::{self, desk_answer::Answer};
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use super::link::{Link, stream};
use crate::desk::{Desk, Undecided};

/// Answers that wait for the connection.
const ANSWERS: usize = 64;
/// Between two tries to reach the backoffice.
const RETRY: Duration = Duration::from_secs(1);

/// Takes commands for as long as it is not dropped.
pub async fn serve(link: Link, desk: Desk) {
    loop {
        // Why the backoffice cannot be reached, the feed says.
        if let Err(status) = session(&link, &desk).await {
            tracing::debug!("the desk: {}", link.line(&status));
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Takes commands until the connection breaks. What is under way then is done, and its answer lost: whoever gave it gives it again.
async fn session(link: &Link, desk: &Desk) -> Result<(), Status> {
    let (answers, queue) = mpsc::channel(ANSWERS);
    let mut commands: Streaming<pb::DeskCommand> = link.feed().desk(stream(queue)).await?.into_inner();
    while let Some(asked) = commands.message().await? {
        let (answers, desk) = (answers.clone(), desk.clone());
        tokio::spawn(async move {
            let answer = pb::DeskAnswer {
                ticket: asked.ticket,
                answer: Some(answer(&desk, asked).await),
            };
            // The connection may have broken meanwhile.
            _ = answers.send(answer).await;
        });
    }
    Ok(())
}

async fn answer(desk: &Desk, asked: pb::DeskCommand) -> Answer {
    let command = asked.command.map(command::from_message).transpose();
    let command = match command {
        Ok(Some(command)) => command,
        Ok(None) => return Answer::NotDone(pb::NotDone {}),
        Err(malformed) => {
            tracing::warn!("a command of the backoffice: {malformed}");
            return Answer::NotDone(pb::NotDone {});
        }
    };
    match desk.decide(command).await {
        // A command of the desk has no other outcome.
        Ok(decided) => outcome::to_message(&decided).unwrap_or(Answer::Unknown(pb::Unknown {})),
        Err(Undecided::NotDone) => Answer::NotDone(pb::NotDone {}),
        Err(Undecided::Unknown) => Answer::Unknown(pb::Unknown {}),
    }
}
