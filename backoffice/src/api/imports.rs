//! `/v1/catalogue/imports/{import}`: a file of CSV in parts, checked as a whole, applied in the background.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use http::{StatusCode, Uri};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::api::answer;
use crate::api::caller::Operator;
use crate::api::code::Code;
use crate::api::parameters::Parameters;
use crate::api::problem::Problem;
use crate::catalogue::{Checked, Failure, ImportError, ImportState, PARTS_MAX};
use crate::shop::Shop;
use crate::time::rfc3339;

/// Characters of an import's id: a SHA-256 in hexadecimal digits, and something behind it.
const ID_BYTES_MAX: usize = 96;

#[derive(Serialize)]
struct PartBody {
    import: String,
    part: u32,
    bytes: usize,
}

/// `PUT …/parts/{part}`: lines of the file, under one with the columns' names. The same part may be sent again.
pub(super) async fn put_part(
    State(shop): State<Arc<Shop>>,
    _: Operator,
    Path((import, part)): Path<(String, String)>,
    uri: Uri,
    body: Bytes,
) -> Result<Response, Problem> {
    let import = known_id(import)?;
    let part = part.parse().ok().filter(|part| (1..=PARTS_MAX).contains(part));
    let part = part.ok_or_else(|| {
        Problem::new(
            Code::InvalidPath,
            format!("a part is a number from 1 to {PARTS_MAX}"),
        )
    })?;
    let parameters = Parameters::read(&uri, &["line"])?;
    let wanted = "the number of the part's first line in the file, 2 or more";
    let line = parameters.parsed("line", wanted, |text| {
        text.parse().ok().filter(|line| (2..1 << 32).contains(line))
    })?;
    let text = String::from_utf8(body.to_vec())
        .map_err(|error| Problem::new(Code::InvalidBody, format!("a part is text in UTF-8: {error}")))?;
    let answer = PartBody {
        import: import.clone(),
        part,
        bytes: text.len(),
    };
    shop.imports
        .put_part(import, part, line.unwrap_or(2), text)
        .await?;
    Ok(answer::json(StatusCode::OK, &answer))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StartBody {
    parts: u32,
    #[serde(default)]
    check_only: bool,
}

#[derive(Serialize)]
struct CheckedBody {
    import: String,
    state: ImportState,
    lines: u64,
}

/// `POST …`: checks the whole file, and unless `check_only` is set begins to apply it.
pub(super) async fn start(
    State(shop): State<Arc<Shop>>,
    _: Operator,
    Path(import): Path<String>,
    body: Bytes,
) -> Result<Response, Problem> {
    let import = known_id(import)?;
    let body: StartBody =
        serde_json::from_slice(&body).map_err(|error| Problem::new(Code::InvalidBody, error.to_string()))?;
    if !(1..=PARTS_MAX).contains(&body.parts) {
        let detail = format!("parts is a number from 1 to {PARTS_MAX}");
        return Err(Problem::new(Code::InvalidBody, detail));
    }
    let lines = match shop.imports.check(import.clone(), body.parts).await? {
        Checked::Sound { lines } => lines,
        Checked::Unsound { count, bad } => {
            let detail = format!(
                "{count} lines are not acceptable, so none was applied; `lines` says what is wrong with them"
            );
            return Err(Problem::new(Code::InvalidImport, detail)
                .with("count", json!(count))
                .with("lines", json!(bad)));
        }
    };
    let (status, state) = match body.check_only {
        true => (StatusCode::OK, ImportState::Uploading),
        false => {
            shop.imports.start(import.clone(), body.parts, lines).await?;
            (StatusCode::ACCEPTED, ImportState::Applying)
        }
    };
    Ok(answer::json(status, &CheckedBody { import, state, lines }))
}

#[derive(Serialize)]
struct ImportBody {
    import: String,
    state: ImportState,
    lines: u64,
    done: u64,
    failed: u64,
    failures: Vec<Failure>,
    created: String,
    changed: String,
}

/// `GET …`: how far it is, and the first lines that were refused.
pub(super) async fn show(
    State(shop): State<Arc<Shop>>,
    _: Operator,
    Path(import): Path<String>,
) -> Result<Response, Problem> {
    let import = known_id(import)?;
    let (row, failures) = shop.imports.find(import.clone()).await?;
    let body = ImportBody {
        import,
        state: row.state,
        lines: row.lines,
        done: row.done,
        failed: row.failed,
        failures,
        created: rfc3339(row.created_at),
        changed: rfc3339(row.changed_at),
    };
    Ok(answer::json(StatusCode::OK, &body))
}

fn known_id(id: String) -> Result<String, Problem> {
    let fits = (1..=ID_BYTES_MAX).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    match fits {
        true => Ok(id),
        false => Err(Problem::new(
            Code::InvalidPath,
            "an import's id is 1 to 96 characters of A-Z a-z 0-9 _ -, best the SHA-256 of its file",
        )),
    }
}

impl From<ImportError> for Problem {
    fn from(error: ImportError) -> Problem {
        match error {
            ImportError::Unknown => {
                Problem::new(Code::NotFound, "there is no such import; send its parts first")
            }
            ImportError::Started(state) => {
                let state = match state {
                    ImportState::Done => "done",
                    _ => "being applied",
                };
                Problem::new(
                    Code::ImportStarted,
                    format!("this import is {state}; another one needs another id"),
                )
            }
            ImportError::MissingPart(part) => {
                Problem::new(Code::InvalidImport, format!("part {part} is missing; send it"))
            }
            ImportError::Store(error) => error.into(),
        }
    }
}
