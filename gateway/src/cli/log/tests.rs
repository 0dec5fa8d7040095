use std::sync::Arc;

use serde_json::Value;
use tidegate_log::{Appender, AppenderConfig, Layout, StartNumber};
use tidegate_shard_core::command::LimitScope;
use tidegate_shard_core::entry::{Effect, Ending, Entry, Gathering, Placed, SkuPut};
use tidegate_shard_core::{
    BodyHash, Buyer, ChargeId, KeyHash, Line as OrderLine, Millis, OrderId, ShardId, SkuName,
};

use super::*;

const NOW: u64 = 1_800_000_000_000;

/// Writes entries as the gateway would: one log, a shard, a batch for each entry.
fn write_log(data: &Path, log: LogId, shard: u16, payloads: &[Vec<u8>]) {
    let directory = directory(data, log);
    fs::create_dir_all(&directory).unwrap();
    let mut config = AppenderConfig::new(log, StartNumber(1));
    config.segment_bytes = 1 << 20;
    let mut appender = Appender::new(config, &Chains::strict([]));
    let prepare = |appender: &mut Appender| {
        while let Some(new) = appender.need_segment() {
            let mut file = vec![0; new.bytes as usize];
            file[..4096].copy_from_slice(&new.header[..]);
            fs::write(directory.join(new.number.file_name()), file).unwrap();
            appender.segment_ready(new.number);
        }
    };
    for (n, payload) in payloads.iter().enumerate() {
        prepare(&mut appender);
        appender.append(shard, n as u64 + 1, NOW + n as u64, payload);
        let batch = appender.seal().expect("a segment is ready");
        let path = directory.join(batch.segment.file_name());
        let mut file = File::options().write(true).open(path).unwrap();
        file.seek(SeekFrom::Start(batch.offset.into())).unwrap();
        file.write_all(&batch.bytes).unwrap();
        appender.synced(batch);
    }
}

fn write_manifest(data: &Path, shards: u16, logs: &[LogId]) {
    let manifest = Manifest {
        shards,
        hash: "siphash-1-3".into(),
        store: "none".into(),
        start: StartNumber(1),
        next_segment: SegmentNumber(100),
        layouts: vec![Layout::spread(1, logs, shards)],
    };
    fs::write(data.join("MANIFEST"), manifest.encode()).unwrap();
}

fn payload(effect: Effect) -> Vec<u8> {
    let mut bytes = Vec::new();
    Entry::new(Millis(NOW), effect).encode(&mut bytes);
    bytes
}

fn sku(name: &str) -> SkuName {
    name.parse().unwrap()
}

fn placed(order: OrderId) -> Placed {
    Placed {
        order,
        buyer: Buyer([0xab; 16]),
        subject: Arc::from("alice"),
        key: KeyHash([1; 16]),
        body: BodyHash(255),
        lines: [("SKU-1", 1), ("SKU-2", 3)]
            .map(|(name, qty)| OrderLine { sku: sku(name), qty })
            .into_iter()
            .collect(),
        total: 4_000,
        currency: *b"CNY",
        hold_ms: 900_000,
    }
}

fn entries() -> Vec<Vec<u8>> {
    let order = OrderId::new(Millis(NOW), ShardId(0), 1);
    let charge: ChargeId = "ch_1".parse().unwrap();
    let put = SkuPut {
        sku: sku("SKU-1"),
        name: "An article".into(),
        price: 1_000,
        currency: *b"CNY",
        stocked: 500,
        buyer_limit: Some(2),
        limit_scope: LimitScope::Group,
        sale_start: Some(Millis(NOW)),
        sale_end: None,
        hold_ms: 900_000,
        paused: false,
    };
    let gathering = Gathering {
        placed: placed(order),
        shards: [ShardId(0), ShardId(1)].into_iter().collect(),
        prepare_deadline: Millis(NOW + 5),
    };
    vec![
        payload(Effect::Start { term: 3 }),
        payload(Effect::SkuPut(Box::new(put))),
        payload(Effect::Placed(placed(order))),
        payload(Effect::PaymentStarted { order, charge }),
        payload(Effect::Confirmed {
            order,
            charge,
            held_again: false,
        }),
        payload(Effect::Gathering(Box::new(gathering))),
        payload(Effect::Ended {
            order,
            ending: Ending::Expired,
        }),
        payload(Effect::Digest { digest: 17 }),
    ]
}

fn dumped(data: &Path) -> (Vec<Value>, Result<(), String>) {
    let mut out = Vec::new();
    let result = dump_to(data, &mut out).map_err(|stop| match stop {
        Stop::Log(problem) => problem,
        Stop::Output(error) => error.to_string(),
    });
    let lines = std::str::from_utf8(&out)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    (lines.collect(), result)
}

#[test]
fn every_entry_is_one_line_with_its_kind_and_place() {
    let dir = tempfile::tempdir().unwrap();
    write_log(dir.path(), LogId(7), 0, &entries());
    write_manifest(dir.path(), 1, &[LogId(7)]);
    let (lines, result) = dumped(dir.path());
    result.unwrap();
    let kinds: Vec<_> = lines.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "start",
            "sku_put",
            "placed",
            "payment_started",
            "confirmed",
            "gathering",
            "expired",
            "digest"
        ]
    );
    for (n, line) in lines.iter().enumerate() {
        assert_eq!(line["log"], "0000000000000007");
        assert_eq!(line["shard"], 0);
        assert_eq!(line["op"], n + 1);
        assert_eq!(line["time"], NOW + n as u64);
    }
    let order = &lines[2];
    assert_eq!(
        order["order"],
        OrderId::new(Millis(NOW), ShardId(0), 1).to_string()
    );
    assert_eq!(
        order["lines"],
        serde_json::json!([{"sku": "SKU-1", "qty": 1}, {"sku": "SKU-2", "qty": 3}])
    );
    assert_eq!(
        (&order["user"], &order["buyer"]),
        (&"alice".into(), &"ab".repeat(16).into())
    );
    assert_eq!(
        (&order["total"], &order["pay_by"]),
        (&4_000.into(), &(NOW + 900_000).into())
    );
    assert_eq!(
        (&order["status"], &lines[4]["status"], &lines[6]["status"]),
        (&"pending".into(), &"confirmed".into(), &"expired".into())
    );
    assert_eq!(lines[4]["charge"], "ch_1");
    assert_eq!(
        (
            &lines[1]["stocked"],
            &lines[1]["buyer_limit"],
            &lines[1]["limit_scope"]
        ),
        (&500.into(), &2.into(), &"group".into())
    );
    assert_eq!(lines[5]["shards"], serde_json::json!([0, 1]));
    assert_eq!(lines[7]["digest"], "0000000000000011");
    assert!(lines[0].get("order").is_none() && lines[0].get("lines").is_none());
    verify(dir.path()).unwrap();
}

#[test]
fn a_damaged_record_is_named_by_file_and_offset() {
    let dir = tempfile::tempdir().unwrap();
    write_log(dir.path(), LogId(7), 0, &entries());
    write_manifest(dir.path(), 1, &[LogId(7)]);
    let path = directory(dir.path(), LogId(7)).join(SegmentNumber(1).file_name());
    let mut bytes = fs::read(&path).unwrap();
    // The second batch: after the header's block and the first batch's.
    bytes[2 * 4096 + 100] ^= 1;
    fs::write(&path, bytes).unwrap();
    let problem = verify(dir.path()).unwrap_err();
    assert!(
        problem.contains("0000000001.seg") && problem.contains("offset 82"),
        "{problem}"
    );
    let (lines, result) = dumped(dir.path());
    assert_eq!(lines.len(), 1, "what comes before the fault is shown");
    result.unwrap_err();
}

#[test]
fn a_record_that_this_version_cannot_read_is_shown_as_bytes_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    write_log(
        dir.path(),
        LogId(7),
        0,
        &[payload(Effect::Start { term: 1 }), vec![0xff, 0x01]],
    );
    write_manifest(dir.path(), 1, &[LogId(7)]);
    let (lines, result) = dumped(dir.path());
    assert_eq!(
        (&lines[1]["kind"], &lines[1]["payload"]),
        (&"undecodable".into(), &"ff01".into())
    );
    assert!(result.unwrap_err().starts_with("1 records"));
}

#[test]
fn all_logs_are_walked_and_a_missing_manifest_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    assert!(verify(dir.path()).unwrap_err().contains("MANIFEST"));
    write_log(dir.path(), LogId(7), 0, &entries());
    write_log(dir.path(), LogId(9), 1, &entries());
    write_manifest(dir.path(), 2, &[LogId(7), LogId(9)]);
    let (lines, result) = dumped(dir.path());
    result.unwrap();
    assert_eq!(lines.len(), 2 * entries().len());
}
