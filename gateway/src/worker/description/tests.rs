use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tidegate_conn::Refusal;

use super::TEXT;
use crate::worker::stack::route::{self, Access, NO_ROUTE, ROUTE_NAMES};

/// Methods that a path of the document may have (OpenAPI 3.1 section 4.8.9).
const METHODS: [&str; 8] = [
    "GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE",
];

fn document() -> Value {
    serde_json::from_str(TEXT).expect("JSON")
}

/// The object of a pointer.
fn object<'a>(document: &'a Value, pointer: &str) -> &'a serde_json::Map<String, Value> {
    let found = document.pointer(pointer).and_then(Value::as_object);
    found.unwrap_or_else(|| panic!("no object at {pointer}"))
}

/// A target of a path template.
fn target(path: &str) -> String {
    [("{id}", "12345"), ("{sku}", "SKU-1"), ("{charge}", "ch_1")]
        .iter()
        .fold(path.to_owned(), |path, (name, value)| path.replace(name, value))
}

#[test]
fn the_document_has_every_route_and_no_other() {
    let document = document();
    let mut reached = BTreeSet::new();
    for (path, item) in object(&document, "/paths") {
        for method in METHODS {
            let operation = item.get(method.to_lowercase());
            let route = route::of(method, &target(path)).ok();
            assert_eq!(operation.is_some(), route.is_some(), "{method} {path}");
            let (Some(operation), Some(route)) = (operation, route) else {
                continue;
            };
            reached.insert(route.index());
            let wanted = match route.access() {
                Access::Public => serde_json::json!([{}, { "bearer": [] }]),
                Access::User => serde_json::json!([{ "bearer": [] }]),
                Access::Operator => serde_json::json!([{ "bearer": ["operator"] }]),
            };
            assert_eq!(operation["security"], wanted, "{method} {path}");
        }
    }
    for (index, name) in ROUTE_NAMES.iter().enumerate().take(NO_ROUTE) {
        assert!(reached.contains(&index), "docs/openapi.json lacks {name}");
    }
}

#[test]
fn the_document_has_every_code_under_its_status_and_no_other() {
    let mut wanted: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    let rows = include_str!("../../../../docs/CODES.md").lines();
    for cells in rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>()) {
        if let [_, status, code, ..] = cells[..]
            && let Ok(status) = status.parse()
        {
            let code = code.trim_matches('`').to_owned();
            wanted.entry(status).or_default().insert(code);
        }
    }
    for refusal in Refusal::ALL {
        if let Some(status) = refusal.status() {
            let codes = wanted.entry(status.into()).or_default();
            codes.insert(refusal.code().to_owned());
        }
    }
    let document = document();
    let mut found: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    for response in object(&document, "/components/responses").values() {
        let schema = &response["content"]["application/problem+json"]["schema"]["$ref"];
        let pointer = schema.as_str().and_then(|schema| schema.strip_prefix('#'));
        let members = object(
            &document,
            &format!("{}/allOf/1/properties", pointer.expect("a schema")),
        );
        let status = members["status"]["const"].as_u64().expect("a status");
        let codes = members["code"]["enum"].as_array().expect("codes").iter();
        let codes = codes
            .map(|code| code.as_str().expect("a word").to_owned())
            .collect();
        assert!(found.insert(status, codes).is_none(), "{status} is there twice");
    }
    assert_eq!(found, wanted);
}

#[test]
fn every_reference_leads_somewhere() {
    fn walk(document: &Value, value: &Value) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get("$ref") {
                    let pointer = reference.strip_prefix('#').expect("within the document");
                    assert!(document.pointer(pointer).is_some(), "{reference}");
                }
                members.values().for_each(|value| walk(document, value));
            }
            Value::Array(values) => values.iter().for_each(|value| walk(document, value)),
            _ => {}
        }
    }
    let document = document();
    walk(&document, &document);
}
