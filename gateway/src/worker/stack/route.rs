//! Which resource and method a request names.

use tidegate_shard_core::{OrderId, SkuName};

use crate::codes::Code;
use crate::worker::refusal::Refusal;

/// A request's route, its identifiers parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// `POST /v1/orders`
    Place,
    /// `GET /v1/orders/{id}`
    ReadOrder(OrderId),
    /// `POST /v1/orders/{id}/cancel`
    Cancel(OrderId),
    /// `POST /v1/orders/{id}/confirm`
    Confirm(OrderId),
    /// `GET /v1/stock/{sku}`
    ReadStock(SkuName),
    /// `GET /v1/skus/{sku}`
    ReadSku(SkuName),
    /// `PUT /v1/skus/{sku}`
    PutSku(SkuName),
    /// `POST /v1/skus/{sku}/stock-changes`
    ChangeStock(SkuName),
    /// What the backoffice answers.
    Slow(Slow),
    /// `GET /v1/openapi.json`
    Description,
}

/// A route of the backoffice. It reads the path again: here it only has to be one that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slow {
    /// `GET /v1/orders`
    ListOrders,
    /// `POST /v1/orders/{id}/pay`
    Pay,
    /// `GET /v1/orders/{id}/history`
    History,
    /// `GET /v1/skus`
    ListSkus,
    /// `GET /v1/catalogue/export`
    Export,
    /// `GET`, `POST /v1/catalogue/imports/{import}`
    Import,
    /// `PUT /v1/catalogue/imports/{import}/parts/{part}`
    ImportPart,
    /// `GET`, `POST /pay/simulated/{charge}` and below
    PayPage,
}

/// Route names as metric labels; the index is [`Route::index`], the last one stands for "no such route".
pub const ROUTE_NAMES: [&str; 18] = [
    "/v1/orders",
    "/v1/orders/{id}",
    "/v1/orders/{id}/cancel",
    "/v1/orders/{id}/confirm",
    "/v1/stock/{sku}",
    "/v1/skus/{sku}",
    "PUT /v1/skus/{sku}",
    "/v1/skus/{sku}/stock-changes",
    "GET /v1/orders",
    "/v1/orders/{id}/pay",
    "/v1/orders/{id}/history",
    "/v1/skus",
    "/v1/catalogue/export",
    "/v1/catalogue/imports/{import}",
    "/v1/catalogue/imports/{import}/parts/{part}",
    "/pay/simulated/{charge}",
    "/v1/openapi.json",
    "other",
];

/// The index of requests that name no route.
pub const NO_ROUTE: usize = ROUTE_NAMES.len() - 1;

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// No token needed; one that is sent must be valid.
    Public,
    /// Any valid token.
    User,
    /// A token with the role `operator`.
    Operator,
}

impl Route {
    /// The row of [`ROUTE_NAMES`].
    pub fn index(&self) -> usize {
        match self {
            Route::Place => 0,
            Route::ReadOrder(_) => 1,
            Route::Cancel(_) => 2,
            Route::Confirm(_) => 3,
            Route::ReadStock(_) => 4,
            Route::ReadSku(_) => 5,
            Route::PutSku(_) => 6,
            Route::ChangeStock(_) => 7,
            Route::Slow(slow) => 8 + *slow as usize,
            Route::Description => NO_ROUTE - 1,
        }
    }

    /// Who may ask.
    pub fn access(&self) -> Access {
        match self {
            Route::ReadStock(_) | Route::ReadSku(_) | Route::Description => Access::Public,
            Route::Place | Route::ReadOrder(_) | Route::Cancel(_) => Access::User,
            Route::Confirm(_) | Route::PutSku(_) | Route::ChangeStock(_) => Access::Operator,
            Route::Slow(Slow::ListSkus | Slow::PayPage) => Access::Public,
            Route::Slow(Slow::ListOrders | Slow::Pay | Slow::History) => Access::User,
            Route::Slow(Slow::Export | Slow::Import | Slow::ImportPart) => Access::Operator,
        }
    }
}

fn path_of(target: &str) -> &str {
    target.split(['?', '#']).next().unwrap_or(target)
}

/// Finds the route of a method and a request target. Query strings are accepted, and ignored by all but the backoffice.
pub fn of(method: &str, target: &str) -> Result<Route, Refusal> {
    let path = path_of(target);
    let Some(rest) = path.strip_prefix("/v1/") else {
        let charge = path.strip_prefix("/pay/simulated/").unwrap_or_default();
        if charge.is_empty() {
            return Err(not_found());
        }
        return allow(method, &["GET", "POST"], || Ok(Route::Slow(Slow::PayPage)));
    };
    if let Some(import) = rest.strip_prefix("catalogue/imports/") {
        return import_route(method, import);
    }
    let mut parts = rest.split('/');
    let (collection, id, action, more) = (parts.next(), parts.next(), parts.next(), parts.next());
    if more.is_some() {
        return Err(not_found());
    }
    match (collection, id, action) {
        (Some("orders"), None, None) => allow(method, &["GET", "POST"], || {
            Ok(if method == "POST" {
                Route::Place
            } else {
                Route::Slow(Slow::ListOrders)
            })
        }),
        (Some("orders"), Some(id), None) => allow(method, &["GET"], || Ok(Route::ReadOrder(order_id(id)?))),
        (Some("orders"), Some(id), Some("cancel")) => {
            allow(method, &["POST"], || Ok(Route::Cancel(order_id(id)?)))
        }
        (Some("orders"), Some(id), Some("confirm")) => {
            allow(method, &["POST"], || Ok(Route::Confirm(order_id(id)?)))
        }
        (Some("orders"), Some(id), Some("pay")) => allow(method, &["POST"], || slow_of_order(id, Slow::Pay)),
        (Some("orders"), Some(id), Some("history")) => {
            allow(method, &["GET"], || slow_of_order(id, Slow::History))
        }
        (Some("stock"), Some(sku), None) => allow(method, &["GET"], || Ok(Route::ReadStock(sku_name(sku)?))),
        (Some("skus"), None, None) => allow(method, &["GET"], || Ok(Route::Slow(Slow::ListSkus))),
        (Some("skus"), Some(sku), None) => allow(method, &["GET", "PUT"], || {
            let sku = sku_name(sku)?;
            Ok(if method == "PUT" {
                Route::PutSku(sku)
            } else {
                Route::ReadSku(sku)
            })
        }),
        (Some("skus"), Some(sku), Some("stock-changes")) => {
            allow(method, &["POST"], || Ok(Route::ChangeStock(sku_name(sku)?)))
        }
        (Some("catalogue"), Some("export"), None) => {
            allow(method, &["GET"], || Ok(Route::Slow(Slow::Export)))
        }
        (Some("openapi.json"), None, None) => allow(method, &["GET"], || Ok(Route::Description)),
        _ => Err(not_found()),
    }
}

/// The routes of an import, below `/v1/catalogue/imports/`.
fn import_route(method: &str, path: &str) -> Result<Route, Refusal> {
    let mut parts = path.split('/').map(|part| (!part.is_empty()).then_some(part));
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(Some(_)), None, None, None) => {
            allow(method, &["GET", "POST"], || Ok(Route::Slow(Slow::Import)))
        }
        (Some(Some(_)), Some(Some("parts")), Some(Some(_)), None) => {
            allow(method, &["PUT"], || Ok(Route::Slow(Slow::ImportPart)))
        }
        _ => Err(not_found()),
    }
}

/// An id that cannot be one is refused before anybody is asked.
fn slow_of_order(id: &str, slow: Slow) -> Result<Route, Refusal> {
    order_id(id).map(|_| Route::Slow(slow))
}

fn allow(
    method: &str,
    methods: &'static [&'static str],
    route: impl FnOnce() -> Result<Route, Refusal>,
) -> Result<Route, Refusal> {
    if methods.contains(&method) {
        route()
    } else {
        Err(Refusal::method_not_allowed(methods))
    }
}

fn not_found() -> Refusal {
    Refusal::new(
        Code::NotFound,
        "no route has this path; the API begins at /v1/orders, /v1/skus and /v1/stock",
    )
}

fn order_id(text: &str) -> Result<OrderId, Refusal> {
    text.parse().map_err(|_| {
        Refusal::new(
            Code::UnknownOrder,
            "an order id is a decimal number of up to 19 digits",
        )
    })
}

/// A SKU in a path may be percent-encoded (RFC 3986 section 2.1); the only characters of a SKU that clients encode
/// in practice are `:` and `_`, but every escape is read.
fn sku_name(text: &str) -> Result<SkuName, Refusal> {
    let mut decoded = [0u8; 64];
    let mut length = 0;
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let byte = if byte == b'%' {
            let hex = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
            match (hex(bytes.next()), hex(bytes.next())) {
                (Some(high), Some(low)) => (high * 16 + low) as u8,
                _ => return Err(bad_sku()),
            }
        } else {
            byte
        };
        *decoded.get_mut(length).ok_or_else(bad_sku)? = byte;
        length += 1;
    }
    SkuName::parse(&decoded[..length]).map_err(|_| bad_sku())
}

fn bad_sku() -> Refusal {
    Refusal::new(
        Code::InvalidPath,
        "a SKU is 1 to 47 characters of A-Z a-z 0-9 . _ : -",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_of_the_api_is_found() {
        let sku = SkuName::parse(b"TOUR-7:VIP").unwrap();
        let id: OrderId = "12345".parse().unwrap();
        for (method, target, route) in [
            ("POST", "/v1/orders", Route::Place),
            ("GET", "/v1/orders/12345?x=1", Route::ReadOrder(id)),
            ("POST", "/v1/orders/12345/cancel", Route::Cancel(id)),
            ("POST", "/v1/orders/12345/confirm", Route::Confirm(id)),
            ("GET", "/v1/stock/TOUR-7:VIP", Route::ReadStock(sku)),
            ("GET", "/v1/skus/TOUR-7%3aVIP", Route::ReadSku(sku)),
            ("PUT", "/v1/skus/TOUR-7:VIP", Route::PutSku(sku)),
            (
                "POST",
                "/v1/skus/TOUR-7:VIP/stock-changes",
                Route::ChangeStock(sku),
            ),
            ("GET", "/v1/orders?limit=5&after=9", Route::Slow(Slow::ListOrders)),
            ("POST", "/v1/orders/12345/pay", Route::Slow(Slow::Pay)),
            ("GET", "/v1/orders/12345/history", Route::Slow(Slow::History)),
            ("GET", "/v1/skus?q=TOUR", Route::Slow(Slow::ListSkus)),
            ("GET", "/v1/catalogue/export", Route::Slow(Slow::Export)),
            ("POST", "/v1/catalogue/imports/a1", Route::Slow(Slow::Import)),
            ("GET", "/v1/catalogue/imports/a1", Route::Slow(Slow::Import)),
            (
                "PUT",
                "/v1/catalogue/imports/a1/parts/3?line=9",
                Route::Slow(Slow::ImportPart),
            ),
            ("GET", "/v1/openapi.json", Route::Description),
            ("GET", "/pay/simulated/ch_1", Route::Slow(Slow::PayPage)),
            ("POST", "/pay/simulated/ch_1/approve", Route::Slow(Slow::PayPage)),
        ] {
            assert_eq!(of(method, target).ok(), Some(route), "{method} {target}");
        }
    }

    #[test]
    fn each_route_of_the_backoffice_has_a_name_of_its_own() {
        let slow = [
            Slow::ListOrders,
            Slow::Pay,
            Slow::History,
            Slow::ListSkus,
            Slow::Export,
            Slow::Import,
            Slow::ImportPart,
            Slow::PayPage,
        ];
        let mut names: Vec<_> = slow.map(|slow| ROUTE_NAMES[Route::Slow(slow).index()]).into();
        assert_eq!(names[0], "GET /v1/orders");
        assert_eq!(names[7], "/pay/simulated/{charge}");
        names.dedup();
        assert_eq!(names.len(), slow.len());
    }

    #[test]
    fn what_is_no_route_says_so_and_a_wrong_method_names_the_right_ones() {
        let code = |method, target| of(method, target).map_err(|r| r.code()).unwrap_err();
        assert_eq!(code("GET", "/"), Code::NotFound);
        assert_eq!(code("GET", "/v1/orders/1/cancel/x"), Code::NotFound);
        assert_eq!(code("GET", "/pay/simulated/"), Code::NotFound);
        assert_eq!(code("GET", "/v1/catalogue/import"), Code::NotFound);
        assert_eq!(code("GET", "/v1/catalogue/imports/"), Code::NotFound);
        assert_eq!(code("PUT", "/v1/catalogue/imports/a/parts/"), Code::NotFound);
        assert_eq!(
            code("GET", "/v1/catalogue/imports/a/parts/1"),
            Code::MethodNotAllowed
        );
        assert_eq!(code("POST", "/v1/orders/abc/pay"), Code::UnknownOrder);
        assert_eq!(code("DELETE", "/v1/orders/1"), Code::MethodNotAllowed);
        assert_eq!(code("GET", "/v1/orders/abc"), Code::UnknownOrder);
        assert_eq!(code("GET", "/v1/skus/a%zz"), Code::InvalidPath);
        assert_eq!(code("GET", "/v1/stock/"), Code::InvalidPath);
    }
}
