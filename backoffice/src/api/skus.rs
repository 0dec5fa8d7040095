//! `GET /v1/skus` and `GET /v1/catalogue/export`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::{StatusCode, Uri, header};
use serde::Serialize;

use crate::api::answer;
use crate::api::caller::Operator;
use crate::api::parameters::Parameters;
use crate::api::problem::Problem;
use crate::database::DatabaseError;
use crate::shop::Shop;
use crate::skus::{self, Sku};

/// SKUs that an export reads at a time.
const EXPORT_PAGE: usize = 500;

#[derive(Serialize)]
struct Page {
    skus: Vec<Sku>,
    /// The `after` of the next page; `null` on the last.
    next: Option<String>,
}

/// `GET /v1/skus`: the catalogue by SKU, searched by `q`.
pub(super) async fn list(State(shop): State<Arc<Shop>>, uri: Uri) -> Result<Response, Problem> {
    let parameters = Parameters::read(&uri, &["q", "limit", "after"])?;
    let limit = parameters.limit()?;
    let search = parameters.text("q").map(str::to_owned);
    let after = parameters.text("after").unwrap_or_default().to_owned();
    let mut skus = shop
        .database
        .read_async(move |connection| skus::list(connection, search.as_deref(), &after, limit))
        .await?;
    let more = skus.len() > limit;
    skus.truncate(limit);
    let next = skus.last().filter(|_| more).map(|sku| sku.sku.clone());
    let link = next.as_deref().map(|next| parameters.link("/v1/skus", next));
    Ok(answer::page(&Page { skus, next }, link))
}

/// `GET /v1/catalogue/export`: every SKU as a line of CSV (RFC 4180), a page of the store at a time, as fast as the client reads.
pub(super) async fn export(State(shop): State<Arc<Shop>>, _: Operator) -> Response {
    let pages = stream::try_unfold(Some(String::new()), move |after| {
        let shop = Arc::clone(&shop);
        async move {
            let Some(after) = after else { return Ok(None) };
            let first = after.is_empty();
            let page = shop
                .database
                .read_async(move |connection| skus::list(connection, None, &after, EXPORT_PAGE - 1))
                .await?;
            let next = page
                .last()
                .filter(|_| page.len() == EXPORT_PAGE)
                .map(|sku| sku.sku.clone());
            Ok::<_, DatabaseError>(Some((lines(&page, first), next)))
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"catalogue.csv\"",
        ),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (StatusCode::OK, headers, Body::from_stream(pages)).into_response()
}

/// Lines of CSV, after one with the columns' names if they are the first.
fn lines(page: &[Sku], first: bool) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new()
        .has_headers(first)
        .from_writer(Vec::new());
    for sku in page {
        // Into memory: it cannot fail.
        _ = writer.serialize(sku);
    }
    writer.into_inner().unwrap_or_default()
}
