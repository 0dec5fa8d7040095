//! A job's fence, on a real server.

#[path = "support/database.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod database;

use database::{Scratch, block_on};
use mysql_async::{Conn, Opts, TxOpts};
use tidegate_mysql::fences;

#[test]
fn a_token_is_claimed_once_only_upwards_and_guards_a_transaction_until_a_higher_one_is() {
    let Some(scratch) = Scratch::make() else { return };
    drop(scratch.open());
    block_on(async {
        let mut conn = Conn::new(Opts::from_url(&scratch.url).unwrap()).await.unwrap();
        assert_eq!(fences::highest(&mut conn, "settle").await.unwrap(), 0);
        for (token, taken) in [(5, true), (5, false), (4, false), (7, true)] {
            let claimed = fences::claim(&mut conn, "settle", token).await.unwrap();
            assert_eq!(claimed, taken, "{token}");
        }
        assert!(
            fences::claim(&mut conn, "Settle", 1).await.unwrap(),
            "another job"
        );
        assert_eq!(fences::highest(&mut conn, "settle").await.unwrap(), 7);
        for (token, word) in [(6, "taken over"), (7, ""), (8, "not claimed")] {
            let mut tx = conn.start_transaction(TxOpts::default()).await.unwrap();
            match fences::check(&mut tx, "settle", token).await {
                Ok(()) => assert_eq!(word, "", "{token}"),
                Err(error) => assert!(!word.is_empty() && error.to_string().contains(word), "{error}"),
            }
            tx.rollback().await.unwrap();
        }
        conn.disconnect().await.unwrap();
    });
}

#[test]
fn nobody_claims_a_token_while_a_transaction_that_it_would_refuse_is_under_way() {
    let Some(scratch) = Scratch::make() else { return };
    drop(scratch.open());
    block_on(async {
        let opts = Opts::from_url(&scratch.url).unwrap();
        let mut first = Conn::new(opts.clone()).await.unwrap();
        let mut second = Conn::new(opts).await.unwrap();
        assert!(fences::claim(&mut first, "settle", 1).await.unwrap());
        let mut tx = first.start_transaction(TxOpts::default()).await.unwrap();
        fences::check(&mut tx, "settle", 1).await.unwrap();
        let mut claim = Box::pin(fences::claim(&mut second, "settle", 2));
        let early = tokio::time::timeout(std::time::Duration::from_millis(300), &mut claim).await;
        assert!(early.is_err(), "it waits: {early:?}");
        tx.commit().await.unwrap();
        assert!(claim.await.unwrap());
    });
}
