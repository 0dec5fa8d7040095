//! The verifier against a shop that is right, and against shops that are not.

use std::rc::Rc;
use std::time::Duration;

use super::{Fault, start};
use crate::clock::Clock;
use crate::followed::Followed;
use crate::ledger::Ledger;
use crate::load::Load;
use crate::meter::Meter;
use crate::net::link::Http;
use crate::net::pool::{self, PoolConfig};
use crate::pace::Pace;
use crate::skus::{Chooser, Spread};
use crate::target::Target;
use crate::users::Users;
use crate::verify::Findings;
use crate::verify::api::Asker;
use crate::verify::proof::{Scope, prove};

const SHOP: &str = "order=70,multi=10,read=5,stock=5,cancel=5,confirm=3,repeat=2";

/// Loads a shop with `stock` units of each of four SKUs with `requests`, and proves it.
fn run(fault: Fault, mix: &str, stock: u64, requests: u64) -> Findings {
    run_following(0, fault, mix, stock, requests).0
}

/// As [`run`], while the stock of the first `follow` SKUs is read each second.
fn run_following(follow: usize, fault: Fault, mix: &str, stock: u64, requests: u64) -> (Findings, Load) {
    let addr = start(fault, &["A", "B", "C", "D"], stock);
    let target = Target::parse(&format!("http://{addr}")).unwrap();
    let config = PoolConfig {
        target,
        tls: None,
        http: Http::One,
        connections: 4,
        outstanding: 1,
        timeout_ns: 5_000_000_000,
        patience_ns: 5_000_000_000,
    };
    let clock = Clock::start();
    let users = Rc::new(Users::mint(None, "u", 50, false, |_| {}).unwrap());
    let asker = Asker {
        config: &config,
        clock,
        users: &users,
    };
    let chooser = Chooser::new(
        &Spread::List(vec!["A".into(), "B".into(), "C".into(), "D".into()]),
        0,
        1,
    );
    let names = chooser.names().to_vec();
    let mut skus = asker.skus(&names).unwrap();
    let pace = Pace::new(None, clock.now(), Duration::from_secs(20), Some(requests));
    let meter = Meter::new(clock.now(), true);
    let mut load = Load::new(pace, meter, Ledger::new(1), chooser, mix.parse().unwrap(), 50, 1);
    load.followed = Followed::first(follow, names.len(), clock.now());
    let (mut load, _) = pool::run(&config, clock, &users, load).unwrap();
    let scope = Scope {
        read_back: 10_000,
        again: 50,
        disk: None,
        one_buyer: false,
        exclusive: true,
    };
    let findings = prove(&asker, &mut load.ledger, &names, &mut skus, &scope).unwrap();
    (findings, load)
}

fn faults(findings: &Findings) -> Vec<u8> {
    findings.counts.keys().copied().collect()
}

#[test]
fn a_correct_shop_passes_with_plenty_and_when_it_is_sold_out() {
    for (stock, requests) in [(100_000, 3000), (60, 1500)] {
        let findings = run(Fault::None, SHOP, stock, requests);
        assert!(findings.is_clean(), "{:?}", findings.faults);
        assert!(findings.checked[&3] > 20 && findings.checked[&14] > 10);
    }
}

#[test]
fn the_stock_that_is_followed_is_verified_and_no_part_of_the_load() {
    let (findings, load) = run_following(2, Fault::None, "orders", 100_000, 500);
    assert!(findings.is_clean(), "{:?}", findings.faults);
    assert_eq!(load.meter.all.len(), 500, "only orders are metered");
    let stock = load.followed.series(&load.ledger, load.skus.names(), 0);
    let skus: Vec<&str> = stock.iter().map(|s| s.sku.as_str()).collect();
    assert_eq!(skus, ["A", "B"]);
    assert!(
        findings.checked[&1] > stock.len() as u64,
        "the verifier has seen them"
    );
}

#[test]
fn lost_answers_are_not_faults_when_the_key_finds_the_order() {
    let findings = run(Fault::LosesAnswers, SHOP, 100_000, 2000);
    assert!(findings.is_clean(), "{:?}", findings.faults);
}

#[test]
fn a_lost_order_is_caught() {
    let findings = run(Fault::LosesOrder, "orders", 100_000, 500);
    assert!(faults(&findings).contains(&3), "{:?}", findings.faults);
}

#[test]
fn a_double_sale_is_caught() {
    let findings = run(Fault::SellsTwice, "orders", 60, 600);
    assert!(faults(&findings).contains(&2), "{:?}", findings.faults);
    assert!(faults(&findings).contains(&14), "{:?}", findings.faults);
}

#[test]
fn a_duplicate_id_is_caught() {
    let findings = run(Fault::RepeatsId, "orders", 100_000, 500);
    assert!(faults(&findings).contains(&6), "{:?}", findings.faults);
}

#[test]
fn a_forgotten_key_that_made_a_second_order_is_caught() {
    let findings = run(Fault::ForgetsKey, "orders", 100_000, 500);
    assert!(faults(&findings).contains(&8), "{:?}", findings.faults);
}

#[test]
fn half_an_order_a_false_sold_out_and_an_ignored_cancel_are_caught() {
    let findings = run(Fault::HalfAnOrder, "multi=1", 100_000, 300);
    assert!(faults(&findings).contains(&8), "{:?}", findings.faults);
    let findings = run(Fault::FalseSoldOut, "orders", 100_000, 300);
    assert!(faults(&findings).contains(&14), "{:?}", findings.faults);
    let findings = run(Fault::IgnoresCancel, "order=3,cancel=1", 100_000, 300);
    assert!(faults(&findings).contains(&7), "{:?}", findings.faults);
}
