//! `GET /v1/skus` and `GET /v1/catalogue/export`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, Uri, header};
use serde::Serialize;
use tidegate_rows::RowsError;

use crate::api::answer;
use crate::api::caller::Operator;
use crate::api::parameters::Parameters;
use crate::api::problem::Problem;
use crate::shop::Shop;
use crate::skus::Sku;

/// SKUs that an export reads at a time.
const EXPORT_ROWS: usize = 500;
/// A page of an export ends behind the rows that pass this. With them, each of at most 700 bytes, it stays under what the edge collects
/// of an answer (1 MiB).
const EXPORT_BYTES: usize = 512 * 1024;

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
    let (skus, more) = page(&shop, search, after, limit).await?;
    let next = skus.last().filter(|_| more).map(|sku| sku.sku.clone());
    let link = next.as_deref().map(|next| parameters.link("/v1/skus", next));
    Ok(answer::page(&Page { skus, next }, link))
}

/// A page of SKUs after one, and whether there are more.
async fn page(
    shop: &Shop,
    search: Option<String>,
    after: String,
    limit: usize,
) -> Result<(Vec<Sku>, bool), RowsError> {
    let rows = shop.rows.skus(search, after, limit + 1).await?;
    let skus = rows.iter().take(limit).map(Sku::from).collect();
    Ok((skus, rows.len() > limit))
}

/// `GET /v1/catalogue/export`: SKUs as lines of CSV (RFC 4180), as many as an answer may hold; `Link` leads to those after them. The columns'
/// names are on the first page only, so that pages behind each other are one file.
pub(super) async fn export(
    State(shop): State<Arc<Shop>>,
    _: Operator,
    uri: Uri,
) -> Result<Response, Problem> {
    let parameters = Parameters::read(&uri, &["after"])?;
    let after = parameters.text("after").unwrap_or_default().to_owned();
    let (text, next) = export_page(&shop, after).await?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"catalogue.csv\"",
        ),
        (header::CACHE_CONTROL, "no-store"),
    ];
    let link = next.map(|next| parameters.link("/v1/catalogue/export", &next));
    Ok(answer::linked(
        (StatusCode::OK, headers, text).into_response(),
        link,
    ))
}

/// Lines after a SKU until there are bytes enough, and the last SKU if there are more.
async fn export_page(shop: &Shop, mut after: String) -> Result<(Vec<u8>, Option<String>), RowsError> {
    let mut text = Vec::new();
    loop {
        let first = after.is_empty();
        let (mut skus, more) = page(shop, None, after, EXPORT_ROWS).await?;
        text.extend(lines(&skus, first));
        let Some(last) = skus.pop().filter(|_| more) else {
            return Ok((text, None));
        };
        if text.len() >= EXPORT_BYTES {
            return Ok((text, Some(last.sku)));
        }
        after = last.sku;
    }
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
