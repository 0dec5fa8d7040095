//! Batches of records into the rows of SQLite, with the marks, in one transaction.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};
use tidegate_follow::{Change, Mark, Planted, Record, Step, Store, StoreError, take_in};
use tidegate_shard_core::Entry;
use tidegate_shard_core::command::LimitScope;
use tidegate_shard_core::entry::{Placed, SkuPut};

use super::Sqlite;
use crate::database::DatabaseError;

impl Store for Sqlite {
    type Error = DatabaseError;

    fn marks(&mut self) -> Result<Vec<Mark>, DatabaseError> {
        self.database().read(read_marks)
    }

    fn apply(&mut self, batch: &[Record]) -> Result<(), StoreError<DatabaseError>> {
        // The writer's thread outlives this call, so it gets a batch of its own: a copy of some hundred KiB.
        let batch: Arc<[Record]> = batch.into();
        let applied = self.database().write(move |tx| match apply(tx, &batch) {
            Ok(()) => Ok(Ok(())),
            Err(StoreError::Failed(error)) => Err(error),
            Err(refused) => {
                tx.rollback()?;
                Ok(Err(refused))
            }
        });
        match applied {
            Ok(done) => done.map_err(|refused| refused.map(DatabaseError::Sqlite)),
            Err(error) => Err(StoreError::Failed(error)),
        }
    }
}

pub(super) fn read_marks(connection: &Connection) -> rusqlite::Result<Vec<Mark>> {
    let mut statement = connection.prepare_cached("SELECT shard, applied_op, applied_chain FROM marks")?;
    let marks = statement.query_map([], |row| {
        Ok(Mark {
            shard: row.get(0)?,
            op: row.get::<_, i64>(1)? as u64,
            chain: row.get::<_, i64>(2)? as u64,
        })
    })?;
    marks.collect()
}

fn apply(connection: &Connection, batch: &[Record]) -> Result<(), StoreError<rusqlite::Error>> {
    let have = |shard| read_mark(connection, shard);
    let (mut at, mut written) = (Mark::default(), 0_usize);
    let taken = take_in(batch, Planted::None, have, |record, entry| {
        at = record.mark();
        written += 1;
        if written.is_multiple_of(YIELD_RECORDS) {
            std::thread::yield_now();
        }
        step(connection, record, entry)?;
        Change::of(entry).map_or(Ok(()), |change| write(connection, &change))
    });
    let marks = taken.map_err(|error| match error {
        // The rows contradict the entry, and will for ever: its shard stops, and the others go on.
        StoreError::Failed(error) if contradicts(&error) => StoreError::Unreadable {
            mark: at,
            why: error.to_string(),
        },
        error => error,
    })?;
    write_marks(connection, &marks).map_err(StoreError::Failed)
}

/// Records (some 60 us) after which the writer gives its core to whoever waits for it. A thread that serves orders and wakes up on the writer's core does not interrupt it at
/// once, however nice it is: the scheduler lets it end its slice of a millisecond or more.
const YIELD_RECORDS: usize = 8;

fn contradicts(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation)
}

fn write_marks(connection: &Connection, marks: &[Mark]) -> rusqlite::Result<()> {
    // Without a bus of its own, what is applied is published.
    let mut statement = connection.prepare_cached(
        "INSERT INTO marks VALUES (?1, ?2, ?3, ?2, ?3) ON CONFLICT (shard) DO UPDATE SET \
         applied_op = ?2, applied_chain = ?3, published_op = ?2, published_chain = ?3",
    )?;
    for mark in marks {
        statement.execute(params![mark.shard, mark.op as i64, mark.chain as i64])?;
    }
    Ok(())
}

fn read_mark(connection: &Connection, shard: u16) -> rusqlite::Result<Mark> {
    let mut statement =
        connection.prepare_cached("SELECT applied_op, applied_chain FROM marks WHERE shard = ?1")?;
    let mark = statement.query_row([shard], |row| {
        Ok(Mark {
            shard,
            op: row.get::<_, i64>(0)? as u64,
            chain: row.get::<_, i64>(1)? as u64,
        })
    });
    Ok(mark.optional()?.unwrap_or(Mark {
        shard,
        ..Mark::default()
    }))
}

fn step(connection: &Connection, record: &Record, entry: &Entry) -> rusqlite::Result<()> {
    let Some(step) = Step::of(record.shard, entry) else {
        return Ok(());
    };
    let detail = step.detail.map(|detail| detail.to_string());
    connection
        .prepare_cached(
            "INSERT INTO history (order_id, op, shard, at, kind, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            step.order.0 as i64,
            record.op as i64,
            record.shard,
            entry.at.0 as i64,
            step.kind,
            detail
        ])?;
    Ok(())
}

fn write(connection: &Connection, change: &Change<'_>) -> rusqlite::Result<()> {
    match change {
        Change::Placed { order, at, gathering } => {
            let status = if *gathering { "gathering" } else { "pending" };
            let pay_by = at.after(u64::from(order.hold_ms));
            insert_order(connection, order, status, at.0, pay_by.0)
        }
        Change::Committed {
            order,
            at,
            total,
            currency,
            pay_by,
        } => execute(
            connection,
            "UPDATE orders SET status = 'pending', total = ?2, currency = ?3, pay_by = ?4, placed_at = ?5, changed_at = ?5 WHERE id = ?1",
            params![
                order.0 as i64,
                *total as i64,
                letters(currency),
                pay_by.0 as i64,
                at.0 as i64
            ],
        ),
        Change::Dropped { order } => {
            let id = order.0 as i64;
            execute(connection, "DELETE FROM lines WHERE order_id = ?1", [id])?;
            execute(connection, "DELETE FROM history WHERE order_id = ?1", [id])?;
            execute(connection, "DELETE FROM orders WHERE id = ?1", [id])
        }
        Change::Status {
            order,
            at,
            status,
            charge,
        } => execute(
            connection,
            "UPDATE orders SET status = ?2, charge = coalesce(?3, charge), changed_at = ?4 WHERE id = ?1",
            params![
                order.0 as i64,
                status.as_str(),
                charge.map(|charge| charge.to_string()),
                at.0 as i64
            ],
        ),
        Change::RefundDue { order, at, charge } => execute(
            connection,
            "UPDATE orders SET refund_due = ?2, changed_at = ?3 WHERE id = ?1",
            params![order.0 as i64, charge.to_string(), at.0 as i64],
        ),
        Change::Sku { put, at } => put_sku(connection, put, at.0),
        Change::Stock { changed, at } => execute(
            connection,
            "UPDATE skus SET stocked = ?2, changed_at = ?3 WHERE sku = ?1",
            params![changed.sku.as_str(), changed.stocked as i64, at.0 as i64],
        ),
    }
}

fn insert_order(
    connection: &Connection,
    order: &Placed,
    status: &str,
    at: u64,
    pay_by: u64,
) -> rusqlite::Result<()> {
    execute(
        connection,
        "INSERT INTO orders (id, buyer, subject, status, total, currency, placed_at, changed_at, pay_by) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8)",
        params![
            order.order.0 as i64,
            order.buyer.0.as_slice(),
            &*order.subject,
            status,
            order.total as i64,
            letters(&order.currency),
            at as i64,
            pay_by as i64
        ],
    )?;
    let mut statement =
        connection.prepare_cached("INSERT INTO lines (order_id, sku, qty) VALUES (?1, ?2, ?3)")?;
    for line in &order.lines {
        statement.execute(params![order.order.0 as i64, line.sku.as_str(), line.qty])?;
    }
    Ok(())
}

fn put_sku(connection: &Connection, put: &SkuPut, at: u64) -> rusqlite::Result<()> {
    let scope = match put.limit_scope {
        LimitScope::Sku => "sku",
        LimitScope::Group => "group",
    };
    execute(
        connection,
        "INSERT OR REPLACE INTO skus (sku, name, price, currency, stocked, buyer_limit, limit_scope, sale_start, \
         sale_end, hold_ms, paused, changed_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        params![
            put.sku.as_str(),
            &*put.name,
            put.price as i64,
            letters(&put.currency),
            put.stocked as i64,
            put.buyer_limit,
            scope,
            put.sale_start.map(|at| at.0 as i64),
            put.sale_end.map(|at| at.0 as i64),
            put.hold_ms,
            put.paused,
            at as i64
        ],
    )
}

fn execute(connection: &Connection, sql: &str, values: impl rusqlite::Params) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute(values).map(drop)
}

fn letters(currency: &[u8; 3]) -> String {
    String::from_utf8_lossy(currency).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_follow::Parted;
    use tidegate_shard_core::entry::{AbortReason, Effect, Ending, Gathering};
    use tidegate_shard_core::{BodyHash, Buyer, KeyHash, Line, Millis, OrderId, ShardId, SkuName};

    fn record(op: u64, effect: Effect) -> Record {
        let mut payload = Vec::new();
        Entry::new(Millis(1_764_000_000_000 + op), effect).encode(&mut payload);
        Record {
            shard: 3,
            op,
            previous: if op == 1 { 0 } else { u64::MAX - op + 1 },
            chain: u64::MAX - op,
            payload: payload.into(),
        }
    }

    fn order() -> OrderId {
        OrderId::new(Millis(1_764_000_000_000), ShardId(3), 0)
    }

    fn placed() -> Placed {
        let line = Line {
            sku: SkuName::parse(b"SKU-1").unwrap(),
            qty: 2,
        };
        Placed {
            order: order(),
            buyer: Buyer([1; 16]),
            subject: "alice".into(),
            key: KeyHash([2; 16]),
            body: BodyHash(3),
            lines: [line].into_iter().collect(),
            total: 2000,
            currency: *b"CNY",
            hold_ms: 900_000,
        }
    }

    fn records() -> [Record; 2] {
        let ended = Effect::Ended {
            order: order(),
            ending: Ending::Cancelled,
        };
        [record(1, Effect::Placed(placed())), record(2, ended)]
    }

    fn open(dir: &tempfile::TempDir) -> Sqlite {
        Sqlite::open(&dir.path().join("store.db")).unwrap()
    }

    /// Status, units and steps of the one order.
    fn seen(store: &Sqlite) -> (String, i64, i64) {
        let sql = "SELECT status, (SELECT sum(qty) FROM lines), (SELECT count(*) FROM history) FROM orders";
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        store.database().read(|tx| tx.query_row(sql, [], row)).unwrap()
    }

    #[test]
    fn an_order_is_one_row_with_its_lines_and_history_however_often_its_batch_comes() {
        let dir = tempfile::tempdir().unwrap();
        let both = records();
        let mut store = open(&dir);
        store.apply(&both[..1]).unwrap();
        assert_eq!(seen(&store), ("pending".to_owned(), 2, 1));
        drop(store);
        let mut store = open(&dir);
        for _ in 0..2 {
            store.apply(&both).unwrap();
            assert_eq!(store.marks().unwrap(), [both[1].mark()]);
            assert_eq!(seen(&store), ("cancelled".to_owned(), 2, 2));
        }
    }

    #[test]
    fn a_batch_with_a_gap_another_history_or_an_entry_that_cannot_be_read_leaves_rows_and_marks_as_they_were()
    {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(&dir);
        let [first, second] = records();
        let gap = store.apply(std::slice::from_ref(&second)).unwrap_err();
        assert!(matches!(gap, StoreError::Parted(Parted::Gap { .. })), "{gap}");
        let other = Record {
            previous: 7,
            ..second.clone()
        };
        let parted = store.apply(&[first.clone(), other]).unwrap_err();
        assert!(
            matches!(parted, StoreError::Parted(Parted::OtherContent { .. })),
            "{parted}"
        );
        let strange = Record {
            payload: [9, 9, 9].into(),
            ..second
        };
        let unreadable = store.apply(&[first.clone(), strange]).unwrap_err();
        assert!(
            matches!(unreadable, StoreError::Unreadable { .. }),
            "{unreadable}"
        );
        assert!(store.marks().unwrap().is_empty());
        store.apply(&[first]).unwrap();
        assert_eq!(seen(&store), ("pending".to_owned(), 2, 1));
    }

    #[test]
    fn rows_that_contradict_an_entry_stop_its_shard_and_are_not_tried_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(&dir);
        let [first, second] = records();
        store.apply(std::slice::from_ref(&first)).unwrap();
        // Somebody has taken marks back and left the rows.
        let taken_back = |tx: &mut rusqlite::Savepoint<'_>| tx.execute("DELETE FROM marks", []);
        store.database().write(taken_back).unwrap();
        let refused = store.apply(&[first.clone(), second]).unwrap_err();
        assert_eq!(refused.shard(), Some(first.shard), "{refused}");
        assert!(refused.to_string().contains("UNIQUE"), "{refused}");
        assert!(store.marks().unwrap().is_empty());
    }

    #[test]
    fn an_order_that_could_not_gather_its_stock_leaves_nothing_but_the_mark() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(&dir);
        let gathering = Effect::Gathering(Box::new(Gathering {
            placed: placed(),
            shards: [ShardId(3)].into_iter().collect(),
            prepare_deadline: Millis(9),
        }));
        let aborted = Effect::Aborted {
            order: order(),
            attempt: 1,
            reason: AbortReason::Refused,
        };
        store.apply(&[record(1, gathering)]).unwrap();
        assert_eq!(seen(&store).0, "gathering");
        let second = record(2, aborted);
        store.apply(std::slice::from_ref(&second)).unwrap();
        let rows = "SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM lines) + (SELECT count(*) FROM history)";
        let left: i64 = store
            .database()
            .read(|tx| tx.query_row(rows, [], |row| row.get(0)))
            .unwrap();
        assert_eq!(left, 0);
        assert_eq!(store.marks().unwrap(), [second.mark()]);
    }
}
