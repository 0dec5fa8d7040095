//! The HTTP API of what is not on the hot path: pay, lists, history, the catalogue, and the pages of the provider `simulated`.
//!
//! A request has passed the edge: its token is verified, and who asks is in the extension `Option<Caller>`.

mod answer;
mod caller;
mod code;
mod imports;
mod orders;
mod page;
mod parameters;
mod pay;
mod problem;
mod skus;

use std::sync::Arc;

use axum::Router;
use axum::routing::{MethodRouter, get, post, put};

use crate::shop::Shop;

pub use code::Code;
pub use problem::Problem;

/// Every route: method, path and what serves it. The router is made of this list, and the API's description is held against it.
fn routes() -> Vec<(&'static str, &'static str, MethodRouter<Arc<Shop>>)> {
    vec![
        ("GET", "/v1/orders", get(orders::list)),
        ("GET", "/v1/orders/{id}", get(orders::read)),
        ("GET", "/v1/orders/{id}/history", get(orders::history)),
        ("POST", "/v1/orders/{id}/pay", post(pay::pay)),
        ("GET", "/v1/skus", get(skus::list)),
        ("GET", "/v1/catalogue/export", get(skus::export)),
        (
            "PUT",
            "/v1/catalogue/imports/{import}/parts/{part}",
            put(imports::put_part),
        ),
        ("POST", "/v1/catalogue/imports/{import}", post(imports::start)),
        ("GET", "/v1/catalogue/imports/{import}", get(imports::show)),
        ("GET", "/pay/simulated/{charge}", get(page::show)),
        ("POST", "/pay/simulated/{charge}", post(page::act)),
    ]
}

/// The API over a shop.
pub fn router(shop: Arc<Shop>) -> Router {
    routes()
        .into_iter()
        .fold(Router::new(), |router, (_, path, method)| {
            router.route(path, method)
        })
        .fallback(|| async { Problem::new(Code::NotFound, "no route has this path") })
        .method_not_allowed_fallback(|| async {
            Problem::new(Code::MethodNotAllowed, "the path is right, the method is not")
        })
        .with_state(shop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_in_the_description_of_the_api() {
        let document: serde_json::Value =
            serde_json::from_str(include_str!("../../docs/openapi.json")).expect("JSON");
        for (method, path, _) in routes() {
            let operation = &document["paths"][path][method.to_lowercase()];
            assert!(operation.is_object(), "docs/openapi.json lacks {method} {path}");
        }
    }
}
