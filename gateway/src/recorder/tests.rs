use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use tidegate_shard_core::{Buyer, OrderId, Outcome, Refusal, SkuName};

use super::ring::WORDS;
use super::*;
use crate::codes::Code;
use crate::worker::request_id::RequestIds;

fn known(sku: &str) -> Known {
    let client: IpAddr = "2001:db8::7".parse().unwrap();
    Known {
        buyer: Some(Buyer([0xab; 16])),
        sku: Some(SkuName::parse(sku.as_bytes()).unwrap()),
        order: Some(OrderId(77)),
        ..Known::new("POST", client)
    }
}

fn record(recorder: &mut Recorder, id: &str, status: u16, code: Option<Code>, total_ns: u64) {
    let id = RequestIds::new(1).of(Some(id.as_bytes()), None);
    recorder.record(&Entry {
        at_ms: 1_700_000_000_000,
        id: &id,
        route: 0,
        status,
        code,
        total_ns,
        stages: None,
        known: &known("SKU-1"),
    });
}

#[test]
fn a_record_comes_back_whole_also_with_the_longest_id_and_sku() {
    let (longest_id, longest_sku) = ("i".repeat(64), "S".repeat(SkuName::LEN_MAX));
    let id = RequestIds::new(1).of(Some(longest_id.as_bytes()), None);
    let words = record::encode(&Entry {
        at_ms: 1_700_000_000_000,
        id: &id,
        route: 0,
        status: 409,
        code: Some(Code::SoldOut),
        total_ns: 1_234_500,
        stages: Some(Stages {
            ring_wait_ns: 1_000,
            decide_ns: 2_000,
            commit_ns: 3_000,
            reply_ns: u32::MAX,
        }),
        known: &known(&longest_sku),
    });
    let record = Record::decode(&words).unwrap();
    assert_eq!((record.id, record.sku), (longest_id, Some(longest_sku)));
    assert_eq!((record.status, record.code), (409, Some("sold_out")));
    assert_eq!((record.method, record.route), ("POST", "/v1/orders"));
    assert_eq!(record.at, "2023-11-14T22:13:20.000Z");
    assert_eq!(record.client.to_string(), "2001:db8::7");
    assert_eq!(record.buyer, Some("ab".repeat(16)));
    assert_eq!(record.order.as_deref(), Some("77"));
    assert_eq!(record.total_us, 1234.5);
    let stages = record.stages.unwrap();
    assert_eq!(
        (stages.ring_wait_us, stages.decide_us, stages.commit_us),
        (1.0, 2.0, 3.0)
    );
}

#[test]
fn the_oldest_is_replaced_and_filters_find_what_they_name() {
    let tape = Tape::new(4);
    let mut recorder = Recorder::new(&tape, 0);
    for n in 0..7 {
        record(&mut recorder, &format!("id-{n}"), 201, None, n * 1_000_000);
    }
    record(&mut recorder, "id-7", 409, Some(Code::SoldOut), 500);
    let found = |filter: Filter| -> Vec<String> {
        let records = filter.newest([&*tape.ring], 10);
        records.into_iter().map(|record| record.id).collect()
    };
    assert_eq!(found(Filter::default()), ["id-7", "id-6", "id-5", "id-4"]);
    let slower_than_ns = Some(5_000_000);
    assert_eq!(
        found(Filter {
            slower_than_ns,
            ..Filter::default()
        }),
        ["id-6"]
    );
    let code = Some(Code::SoldOut);
    assert_eq!(
        found(Filter {
            code,
            ..Filter::default()
        }),
        ["id-7"]
    );
    let id = |id: &str| Filter {
        id: Some(id.into()),
        ..Filter::default()
    };
    assert_eq!(found(id("id-5")), ["id-5"]);
    assert_eq!(found(id("id-")), [""; 0], "a part of an id is another id");
    let slowest = Filter::default().slowest([&*tape.ring], 2);
    assert_eq!([&slowest[0].id, &slowest[1].id], ["id-6", "id-5"]);
}

#[test]
fn a_recorder_that_is_off_keeps_nothing() {
    let tape = Tape::new(0);
    record(&mut Recorder::new(&tape, 0), "id", 201, None, 1);
    assert!(Filter::default().newest([&*tape.ring], 10).is_empty());
}

#[test]
fn a_reader_never_sees_a_torn_record() {
    let ring = Arc::new(Ring::new(8));
    let stop = Arc::new(AtomicBool::new(false));
    let (writes, stopped) = (Arc::clone(&ring), Arc::clone(&stop));
    let writer = std::thread::spawn(move || {
        let mut writer = Writer::new(writes);
        let mut number = 0;
        while !stopped.load(Ordering::Relaxed) {
            number += 1;
            writer.write(&[number; WORDS]);
        }
        number
    });
    let mut seen = 0_u64;
    while seen < 100_000 {
        for words in ring.newest_first() {
            assert!(words.iter().all(|word| *word == words[0]), "{words:?}");
            seen += 1;
        }
    }
    stop.store(true, Ordering::Relaxed);
    assert!(writer.join().unwrap() > 8);
}

#[test]
fn a_hot_sku_stays_in_sight_among_many_and_is_forgotten_after_a_minute() {
    let sold_out = |name: String| {
        Outcome::Refused(Refusal::SoldOut {
            sku: SkuName::parse(name.as_bytes()).unwrap(),
        })
    };
    let tape = Tape::new(0);
    let mut recorder = Recorder::new(&tape, 0);
    let stock = StockView::default();
    for n in 0..20_000 {
        recorder.demand.see(&sold_out(format!("COLD-{n}")));
        if n % 10 == 0 {
            recorder.demand.see(&sold_out("HOT".into()));
        }
    }
    recorder.publish(&stock, 1_000_000_000);
    let rows = Board::merged([&*tape.board, &*tape.board]);
    assert_eq!(rows[0].sku.as_str(), "HOT");
    assert!(
        rows[0].sold_out + rows[0].missed_at_most >= 4_000,
        "{:?}",
        rows[0]
    );
    for half in 1..=3 {
        recorder.publish(&stock, half * 31_000_000_000);
    }
    assert!(tape.board.rows().is_empty());
}
