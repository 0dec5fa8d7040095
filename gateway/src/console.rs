//! The live console: one page on the admin address that shows what happens inside, and lets an operator step in.
//!
//! The page, its style and its script are in the binary and ask for nothing from elsewhere; the script reads `/console.json` once a second.
//! What changes over time is sampled here while a page looks, so that one that is opened again shows the last two minutes.

pub mod history;
pub mod view;

use axum::http::header;
use axum::response::{IntoResponse, Response};

pub use history::History;
pub use view::{About, View};

/// Nothing but what this origin serves; nothing inline, no frame around it, no form to elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file of the page.
#[derive(Clone, Copy)]
pub struct Asset {
    media: &'static str,
    text: &'static str,
}

/// `GET /`
pub const PAGE: Asset = Asset {
    media: "text/html; charset=utf-8",
    text: include_str!("console/page.html"),
};
/// `GET /console/style.css`
pub const STYLE: Asset = Asset {
    media: "text/css; charset=utf-8",
    text: include_str!("console/style.css"),
};
/// `GET /console/script.js`
pub const SCRIPT: Asset = Asset {
    media: "text/javascript; charset=utf-8",
    text: include_str!("console/script.js"),
};
/// `GET /console/actions.js`
pub const ACTIONS: Asset = Asset {
    media: "text/javascript; charset=utf-8",
    text: include_str!("console/actions.js"),
};
/// `GET /console/icon.svg`
pub const ICON: Asset = Asset {
    media: "image/svg+xml",
    text: include_str!("console/icon.svg"),
};

impl IntoResponse for Asset {
    fn into_response(self) -> Response {
        let fields = [
            (header::CONTENT_TYPE, self.media),
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
            // Another version may stand behind the same address tomorrow.
            (header::CACHE_CONTROL, "no-store"),
        ];
        (fields, self.text).into_response()
    }
}
