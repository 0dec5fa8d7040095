//! HTTP/2: what the h2 crate's client says, with Huffman codes and its dynamic table, is what the gateway is handed.

mod common;

use common::client::Client;
use common::{cleartext, echo};
use proptest::prelude::*;
use tidegate_conn::Nanos;

/// Names that repeat, so that the table is used, and some that do not.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("accept".to_owned()),
        Just("cookie".to_owned()),
        "x-[a-c]",
        "x-[a-z0-9]{1,40}"
    ]
}

/// Bytes that a value may have (RFC 9113 section 8.2.1): no control character, and no blank at either end.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![8 => 0x21..0x7f_u8, 1 => 0x80..=0xff_u8, 1 => Just(b' ')];
    let any_length = prop_oneof![4 => 0..30_usize, 1 => 0..900_usize];
    let bytes = any_length.prop_flat_map(move |length| prop::collection::vec(byte.clone(), length));
    bytes.prop_map(|bytes| bytes.trim_ascii().to_vec())
}

type Fields = Vec<(String, Vec<u8>)>;

fn fields() -> impl Strategy<Value = Fields> {
    prop::collection::vec((name(), value()), 0..10)
}

fn sorted(mut fields: Fields) -> Fields {
    // The crate's map keeps the values of one name together: order holds within a name.
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    fields
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_head_arrives_as_it_was_said(requests in prop::collection::vec((fields(), "/[a-zA-Z0-9%._~-]{0,60}"), 1..30)) {
        let mut client = Client::new();
        let mut conn = cleartext();
        for (fields, path) in requests {
            let mut request = http::Request::builder().method("PUT").uri(format!("https://shop.example{path}"));
            for (name, value) in &fields {
                request = request.header(name, &value[..]);
            }
            let (response, _) = client.send.send_request(request.body(()).unwrap(), true).unwrap();
            let (seen, out) = echo(&mut conn, Nanos(1), &client.take_output());
            client.give(&out);
            prop_assert_eq!(seen.len(), 1);
            prop_assert_eq!((seen[0].method.as_str(), &seen[0].path, seen[0].authority.as_str()), ("PUT", &path, "shop.example"));
            prop_assert_eq!(sorted(seen[0].fields.clone()), sorted(fields));
            let answer = common::client::poll(Box::pin(response).as_mut());
            prop_assert!(matches!(answer, std::task::Poll::Ready(Ok(answer)) if answer.status() == 200));
        }
    }
}
