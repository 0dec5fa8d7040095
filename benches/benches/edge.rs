//! Pieces of the edge: a token that is remembered, and one that is verified; the decoding of an order.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use tidegate::auth::keys::{KeySource, SharedKeys, Sources};
use tidegate::auth::{Authenticator, jwt};
use tidegate::recorder::{Entry, Known, Recorder, Stages, Tape};
use tidegate::worker::request_id::RequestIds;
use tidegate::worker::stack::decode;
use tidegate_shard_core::{Buyer, OrderId, Outcome, Refusal, SkuName};

/// Any time: tokens are made for it.
const NOW_S: u64 = 1_763_000_000;

fn tokens(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder for the key");
    let file = folder.path().join("token.key");
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
    std::fs::write(&file, key.serialize_pem()).expect("the key is written");
    let sources = Sources {
        keys: vec![KeySource::local(&file)],
        jwks_file: None,
        remote: None,
        issuer: String::new(),
        audience: String::new(),
        leeway: Duration::from_secs(60),
    };
    let shared = Arc::new(SharedKeys::load(sources).expect("the key is read"));
    let authorization = |user: &str| -> Vec<u8> {
        let token = jwt::issue(&file, user, &[], NOW_S, 3600).expect("a token");
        format!("Bearer {token}").into_bytes()
    };
    let mut group = c.benchmark_group("token");
    let one = authorization("user-12345678");
    let mut remembering = Authenticator::new(Arc::clone(&shared), 131_072);
    group.bench_function("remembered, one", |b| {
        b.iter(|| {
            remembering
                .identify(Some(black_box(&one)), NOW_S)
                .expect("it is good")
                .exp
        });
    });
    let many: Vec<Vec<u8>> = (0..20_000).map(|n| authorization(&format!("user-{n}"))).collect();
    for token in &many {
        remembering.identify(Some(token), NOW_S).expect("it is good");
    }
    let mut at = 0;
    group.bench_function("remembered, 20,000 in turn", |b| {
        b.iter(|| {
            at = (at + 1) % many.len();
            remembering
                .identify(Some(black_box(&many[at])), NOW_S)
                .expect("it is good")
                .exp
        });
    });
    let keys = shared.current();
    group.bench_function("verified, EdDSA", |b| {
        b.iter(|| jwt::verify(&keys, black_box(&one[7..]), NOW_S).expect("it is good"));
    });
    group.finish();
}

fn orders(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    let line = |n: usize| format!(r#"{{"sku":"SKU-{n}","qty":1}}"#);
    for count in [1, 2, 16] {
        let lines: Vec<String> = (0..count).map(line).collect();
        let body = format!(r#"{{"lines":[{}]}}"#, lines.join(","));
        group.bench_function(format!("an order of {count} lines"), |b| {
            b.iter_batched(
                || body.as_bytes(),
                |body| decode::lines(black_box(body)).is_ok(),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// What the flight recorder adds to an order: a record, and a count of demand.
fn recorder(c: &mut Criterion) {
    let mut group = c.benchmark_group("recorder");
    let tape = Tape::new(16_384);
    let mut recorder = Recorder::new(&tape, 0);
    let id = RequestIds::new(7).of(None, None);
    let skus: Vec<SkuName> = (0..1_000)
        .map(|n| SkuName::parse(format!("SKU-{n}").as_bytes()).expect("a name"))
        .collect();
    let known = Known {
        buyer: Some(Buyer([7; 16])),
        sku: Some(skus[0]),
        order: Some(OrderId(1)),
        ..Known::new("POST", std::net::Ipv4Addr::LOCALHOST.into())
    };
    let entry = Entry {
        at_ms: NOW_S * 1000,
        id: &id,
        route: 0,
        status: 201,
        code: None,
        total_ns: 200_000,
        stages: Some(Stages::default()),
        known: &known,
    };
    group.bench_function("a record", |b| b.iter(|| recorder.record(black_box(&entry))));
    let outcomes = skus
        .iter()
        .map(|sku| Outcome::Refused(Refusal::SoldOut { sku: *sku }));
    let outcomes: Vec<Outcome> = outcomes.collect();
    let mut at = 0;
    group.bench_function("demand, 1,000 SKUs in turn", |b| {
        b.iter(|| {
            at = (at + 1) % outcomes.len();
            recorder.demand.see(black_box(&outcomes[at]));
        });
    });
    group.bench_function("demand, one SKU", |b| {
        b.iter(|| recorder.demand.see(black_box(&outcomes[0])));
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = tokens, orders, recorder
}
criterion_main!(benches);
