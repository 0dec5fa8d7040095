//! `report.html`: one page that asks nothing of the network, for somebody who was not there.

mod over_time;
mod sections;

use std::fmt::Write as _;

use super::document::Report;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page of a run.
pub fn draw(report: &Report) -> String {
    let mut body = String::new();
    for section in sections::ALL {
        section(report, &mut body);
    }
    shell("Tidegate load test", &body)
}

/// A whole page around `body`, which is HTML already.
pub fn shell(title: &str, body: &str) -> String {
    // An icon of nothing, because a browser would otherwise ask for one.
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <link rel=\"icon\" href=\"data:,\"><title>{}</title><style>\n{STYLE}</style></head>\n\
         <body><main>\n{body}\n</main><script>\n{SCRIPT}</script></body></html>\n",
        escaped(title)
    )
}

/// Text as HTML takes it, in elements and in quoted attributes.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() && c != '\n' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A whole number with commas.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// A table; the first column and those that `words` names are text, the others numbers.
pub fn table(head: &[&str], words: &[usize], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let class = |n: usize| {
        if words.contains(&n) {
            r#" class="words""#
        } else {
            ""
        }
    };
    // On a narrow screen a column of words goes under its row.
    let said = if words.is_empty() { "" } else { r#" class="said""# };
    let mut html = format!(r#"<div class="wide"><table{said}><thead><tr>"#);
    for (n, name) in head.iter().enumerate() {
        let _ = write!(html, r#"<th scope="col"{}>{}</th>"#, class(n), escaped(name));
    }
    html.push_str("</tr></thead><tbody>");
    for row in rows {
        html.push_str("<tr>");
        for (n, cell) in row.iter().enumerate() {
            let _ = write!(html, "<td{}>{}</td>", class(n), escaped(cell));
        }
        html.push_str("</tr>");
    }
    html.push_str("</tbody></table></div>");
    html
}

#[cfg(test)]
mod tests;
