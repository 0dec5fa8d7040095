use rdkafka::message::Headers as _;
use tidegate_shard_core::Millis;

use super::*;
use crate::testing::{entry, record};

fn encoded(record: &Record) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(record, &mut bytes);
    bytes
}

#[test]
fn an_entry_comes_out_as_it_went_in() {
    for (shard, op) in [(0, 1), (3, 7), (1023, u64::MAX)] {
        let record = record(shard, op);
        assert_eq!(decode(i32::from(shard), Some(&encoded(&record))), Ok(record));
    }
}

#[test]
fn the_bytes_of_version_1_are_these() {
    let record = Record {
        shard: 2,
        op: 300,
        previous: 1,
        chain: 0x0102_0304_0506_0708,
        payload: Box::from(*b"abc"),
    };
    let bytes = [
        &[0x08, 1, 0x10, 2, 0x18, 0xac, 2][..],
        &[0x21, 1, 0, 0, 0, 0, 0, 0, 0],
        &[0x29, 8, 7, 6, 5, 4, 3, 2, 1],
        &[0x32, 3, b'a', b'b', b'c'],
    ]
    .concat();
    assert_eq!(encoded(&record), bytes);
}

#[test]
fn an_unknown_version_is_named_whatever_its_fields_are() {
    // Version 2, with text where version 1 has the shard.
    let bytes = [0x08, 2, 0x12, 1, b'x'];
    let error = decode(0, Some(&bytes)).unwrap_err();
    assert_eq!(error, MessageError::Version(2));
    assert!(error.to_string().contains("version 2"), "{error}");
    assert_eq!(decode(0, Some(&[])), Err(MessageError::Version(0)));
}

#[test]
fn what_this_version_does_not_write_is_refused() {
    let bytes = encoded(&record(3, 7));
    let with = |more: &[u8]| decode(3, Some(&[&bytes, more].concat()));
    assert_eq!(
        with(&[0x38, 1]),
        Err(MessageError::NotCanonical),
        "an unknown field"
    );
    assert_eq!(
        with(&[0x18, 7]),
        Err(MessageError::NotCanonical),
        "a field that comes twice"
    );
    assert!(
        matches!(with(&[0x18]), Err(MessageError::Malformed(_))),
        "cut off"
    );
    assert_eq!(decode(3, None), Err(MessageError::Empty));
    for end in 1..bytes.len() {
        assert!(
            decode(3, Some(&bytes[..end])).is_err(),
            "cut off after {end} bytes"
        );
    }
}

#[test]
fn fields_out_of_range_and_other_shards_partitions_are_refused() {
    let value = |shard, op| {
        Value {
            version: VERSION,
            shard,
            op,
            ..Value::default()
        }
        .encode_to_vec()
    };
    assert_eq!(
        decode(65_536, Some(&value(65_536, 1))),
        Err(MessageError::Field {
            name: "shard",
            value: 65_536
        })
    );
    assert_eq!(
        decode(4, Some(&value(4, 0))),
        Err(MessageError::Field { name: "op", value: 0 })
    );
    assert_eq!(
        decode(5, Some(&value(4, 1))),
        Err(MessageError::Partition {
            shard: 4,
            partition: 5
        })
    );
}

#[test]
fn headers_say_what_the_entry_is_and_which_start_wrote_it() {
    let names = |headers: &OwnedHeaders| {
        (0..headers.count())
            .map(|i| {
                let header = headers.get(i);
                let value = String::from_utf8_lossy(header.value.unwrap()).into_owned();
                format!("{}={value}", header.key)
            })
            .collect::<Vec<_>>()
    };
    let plain = headers(&record(3, 7), &entry(7));
    assert_eq!(names(&plain), ["kind=digest", "op=7"]);
    let start = Entry::new(Millis(1), Effect::Start { term: 9 });
    let start = headers(&record(3, 1), &start);
    assert_eq!(names(&start), ["kind=start", "op=1", "term=9"]);
    assert_eq!(key(&record(3, 7)), "3:7");
}
