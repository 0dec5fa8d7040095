use http::{HeaderMap, HeaderValue, Request, StatusCode};
use tidegate_follow::{Mark, Record};
use tidegate_lane::{Caller, RequestId};
use tidegate_shard_core::command::LimitScope;
use tidegate_shard_core::outcome::{Bound, ChargeState};
use tidegate_shard_core::{
    Buyer, Command, Line, Lines, Millis, Op, OrderId, OrderStatus, OrderView, Outcome, Place, PutSku,
    Refusal, SkuView, StockView,
};

use super::*;

fn debug(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}")
}

#[test]
fn records_and_marks_come_back_as_they_went_and_a_shard_out_of_range_is_malformed() {
    let record = Record {
        shard: 1023,
        op: u64::MAX,
        previous: 1,
        chain: u64::MAX - 1,
        payload: vec![0, 255].into(),
    };
    assert_eq!(
        Record::try_from(crate::pb::Record::from(record.clone())),
        Ok(record)
    );
    let mark = Mark {
        shard: 0,
        op: 7,
        chain: 9,
    };
    assert_eq!(Mark::try_from(crate::pb::Mark::from(mark)), Ok(mark));
    let beyond = crate::pb::Mark {
        shard: 1024,
        op: 1,
        chain: 1,
    };
    assert_eq!(Mark::try_from(beyond), Err(Malformed("shard")));
}

#[test]
fn every_command_of_a_backoffice_comes_back_as_it_went() {
    let (order, charge) = (OrderId(u64::MAX >> 1), "ch_1".parse().unwrap());
    let sku: tidegate_shard_core::SkuName = "A:b-1".parse().unwrap();
    let full = PutSku {
        name: Some("Shoe".into()),
        price: Some(0),
        currency: Some(*b"EUR"),
        stock: Some(3),
        buyer_limit: Some(Some(2)),
        limit_scope: Some(LimitScope::Group),
        sale_start: Some(Some(Millis(5))),
        sale_end: Some(None),
        hold_ms: Some(1000),
        paused: Some(false),
        ..PutSku::new(sku)
    };
    let taken_away = PutSku {
        buyer_limit: Some(None),
        sale_start: Some(None),
        limit_scope: Some(LimitScope::Sku),
        ..PutSku::new(sku)
    };
    for command in [
        Command::ReadOrder {
            order,
            caller: tidegate_shard_core::Caller::Operator,
        },
        Command::ReadOrder {
            order,
            caller: tidegate_shard_core::Caller::Buyer(Buyer([7; 16])),
        },
        Command::StartPayment { order, charge },
        Command::Confirm { order, charge },
        Command::CloseCharge { order, charge },
        Command::ReadSku { sku },
        Command::PutSku(Box::new(full)),
        Command::PutSku(Box::new(taken_away)),
        Command::PutSku(Box::new(PutSku::new(sku))),
    ] {
        let message = command::to_message(&command).unwrap();
        let back = command::from_message(message).unwrap();
        assert_eq!(debug(&back), debug(&command));
    }
    let lines: Lines = [Line { sku, qty: 1 }].into_iter().collect();
    let place = Command::Place(Place {
        buyer: Buyer([0; 16]),
        subject: "u".into(),
        key: tidegate_shard_core::KeyHash([0; 16]),
        body: tidegate_shard_core::body_hash(&lines),
        lines,
    });
    assert_eq!(command::to_message(&place), Err(command::NotForTheDesk));
}

#[test]
fn every_outcome_comes_back_as_it_went() {
    let sku: tidegate_shard_core::SkuName = "A".parse().unwrap();
    let order = OrderView {
        id: OrderId(5),
        status: OrderStatus::Expired,
        total: 9,
        currency: *b"EUR",
        pay_by: Millis(1),
        created: Millis(2),
        lines: [Line { sku, qty: 3 }].into_iter().collect(),
        repeated: true,
        charge: ChargeState::RefundDue,
    };
    let view = SkuView {
        stock: StockView {
            sku,
            op: Op(4),
            stocked: 10,
            available: 5,
            held: 3,
            sold: 2,
        },
        name: "Shoe".into(),
        price: 1,
        currency: *b"USD",
        buyer_limit: Some(0),
        limit_scope: LimitScope::Group,
        sale_start: Some(Millis(0)),
        sale_end: None,
        hold_ms: 9,
        paused: true,
    };
    let mut outcomes = vec![Outcome::Order(order), Outcome::Sku(Box::new(view))];
    outcomes.extend(refusals(sku).into_iter().map(Outcome::Refused));
    for outcome in outcomes {
        let message = outcome::to_message(&outcome).unwrap();
        assert_eq!(outcome::from_message(message), Ok(Ok(outcome)));
    }
}

fn refusals(sku: tidegate_shard_core::SkuName) -> Vec<Refusal> {
    use OrderStatus::{Cancelled, Confirmed, Expired, Pending};
    let mut all = vec![
        Refusal::SoldOut { sku },
        Refusal::LimitReached { sku, limit: 2 },
        Refusal::NotOnSale {
            sku,
            starts: Millis(4),
        },
        Refusal::SaleEnded { sku },
        Refusal::Paused { sku },
        Refusal::KeyReused,
        Refusal::UnknownSku { sku },
        Refusal::UnknownOrder,
        Refusal::PaymentInProgress,
        Refusal::DeadlineTooNear,
        Refusal::ChargeClosed,
        Refusal::AlreadyPaid {
            charge: "ch_2".parse().unwrap(),
        },
        Refusal::RefundDue,
        Refusal::BelowCommitted { held: 1, sold: 2 },
        Refusal::MissingFields("price"),
        Refusal::Malformed("a reason"),
        Refusal::MixedCurrencies,
        Refusal::Busy,
        Refusal::TryAgain,
    ];
    all.extend([Pending, Confirmed, Cancelled, Expired].map(|status| Refusal::WrongStatus { status }));
    all.extend(
        [
            Bound::Orders,
            Bound::Buyers,
            Bound::Skus,
            Bound::Gathering,
            Bound::Holds,
            Bound::Charges,
            Bound::Changes,
        ]
        .map(Refusal::Bound),
    );
    all
}

#[test]
fn a_request_comes_back_with_who_asks_and_every_header_in_order() {
    let mut request = Request::post("/v1/orders/5/pay?x=%20").body(()).unwrap();
    for value in ["a", "b"] {
        request
            .headers_mut()
            .append("x-twice", HeaderValue::from_static(value));
    }
    let caller = Caller {
        buyer: [3; 16],
        subject: "jörg".into(),
        operator: true,
    };
    request.extensions_mut().insert(Some(caller.clone()));
    request.extensions_mut().insert(RequestId("r-1".into()));
    let head = exchange::head_to_message(&request, Some(4));
    assert_eq!(head.length, Some(4));
    let back = exchange::head_from_message(head, ()).unwrap();
    assert_eq!(back.method(), request.method());
    assert_eq!(back.uri(), request.uri());
    assert_eq!(back.headers(), request.headers());
    assert_eq!(back.extensions().get::<Option<Caller>>(), Some(&Some(caller)));
    assert_eq!(back.extensions().get(), Some(&RequestId("r-1".into())));
}

#[test]
fn an_answer_comes_back_and_a_status_that_is_none_is_malformed() {
    let mut headers = HeaderMap::new();
    headers.insert("link", HeaderValue::from_static("<x>; rel=next"));
    let message = exchange::answer_to_message(StatusCode::OK, &headers, None);
    assert_eq!(
        exchange::answer_from_message(message.clone()),
        Ok((StatusCode::OK, headers))
    );
    let wrong = crate::pb::AnswerHead {
        status: 70_000,
        ..message
    };
    assert_eq!(exchange::answer_from_message(wrong), Err(Malformed("status")));
}
