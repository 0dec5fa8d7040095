//! One batch in one transaction: marks locked, entries folded, rows and marks written.

use std::collections::BTreeMap;
use std::convert::Infallible;

use mysql_async::Value;
use tidegate_follow::{Mark, Planted, Record, StoreError, take_in};

use crate::MysqlError;
use crate::columns::{Columns, order_of, order_values, sku_of, sku_values, text};
use crate::fold::{Fold, Marked, needed};
use crate::session::Session;
use crate::statement::{Block, NotDone, Shape};

/// Why a try did not end in a commit.
#[derive(Debug)]
pub(crate) enum Halt {
    /// As the store says it.
    Told(StoreError<MysqlError>),
    /// Some row of a statement with several contradicts the entries: one row a statement tells which.
    OneOfSeveral(MysqlError),
}

impl From<MysqlError> for Halt {
    fn from(error: MysqlError) -> Halt {
        Halt::Told(StoreError::Failed(error))
    }
}

impl From<NotDone> for Halt {
    fn from(NotDone { error, mark, alone }: NotDone) -> Halt {
        match (error.contradicts(), alone) {
            (true, true) => Halt::Told(StoreError::Unreadable {
                mark,
                why: error.to_string(),
            }),
            (true, false) => Halt::OneOfSeveral(error),
            (false, _) => error.into(),
        }
    }
}

/// Brings the batch in, with at most `rows_max` rows in a statement. After an error the transaction is still open.
pub(crate) async fn bring_in(session: &mut Session, batch: &[Record], rows_max: usize) -> Result<(), Halt> {
    session.run("START TRANSACTION").await?;
    let have = lock_marks(session, batch).await?;
    let mut entries = Vec::with_capacity(batch.len());
    let mark_of = |shard| {
        Ok::<_, Infallible>(have.get(&shard).copied().unwrap_or(Mark {
            shard,
            ..Mark::default()
        }))
    };
    let marks = take_in(batch, Planted::None, mark_of, |record, entry| {
        // The entry ends with this call; what it was decoded from stays.
        entries.push((record.mark(), entry.clone()));
        Ok(())
    })
    .map_err(|refused| Halt::Told(refused.map(|never| match never {})))?;
    if entries.is_empty() {
        return Ok(session.run("ROLLBACK").await?);
    }
    write(session, &entries, rows_max).await?;
    put_marks(session, &marks).await?;
    Ok(session.run("COMMIT").await?)
}

/// The marks of the batch's shards, locked until the transaction ends: of two that bring in the same, one waits and then finds it known.
async fn lock_marks(session: &mut Session, batch: &[Record]) -> Result<BTreeMap<u16, Mark>, Halt> {
    let shards: BTreeMap<u16, Mark> = batch.iter().map(|record| (record.shard, record.mark())).collect();
    let found = read_locked(session, &shards).await?;
    if found.len() == shards.len() {
        return Ok(found);
    }
    let mut missing = shards.clone();
    missing.retain(|shard, _| !found.contains_key(shard));
    by_shard(Shape::MakeMarks, &missing)
        .send(session, usize::MAX)
        .await?;
    read_locked(session, &shards).await
}

async fn read_locked(
    session: &mut Session,
    shards: &BTreeMap<u16, Mark>,
) -> Result<BTreeMap<u16, Mark>, Halt> {
    let rows = by_shard(Shape::LockMarks, shards)
        .send(session, usize::MAX)
        .await?;
    let marks = rows.iter().map(|row| mark_of(row).map(|mark| (mark.shard, mark)));
    Ok(marks.collect::<Result<_, _>>()?)
}

fn by_shard(shape: Shape, shards: &BTreeMap<u16, Mark>) -> Block {
    let mut block = Block::new(shape);
    for (shard, mark) in shards {
        block.row(*mark, |values| values.push(Value::UInt(u64::from(*shard))));
    }
    block
}

/// A mark from its row.
pub(crate) fn mark_of(row: &mysql_async::Row) -> Result<Mark, MysqlError> {
    let mut row = Columns::of(row);
    Ok(Mark {
        shard: row.next()?,
        op: row.next()?,
        chain: row.next()?,
    })
}

async fn write(session: &mut Session, entries: &[Marked], rows_max: usize) -> Result<(), Halt> {
    let fold = folded(session, entries).await?;
    // What is dropped goes first: a row of the same id may come after it.
    let drops = [Shape::DropLines, Shape::DropHistory, Shape::DropOrders].map(|shape| {
        let mut block = Block::new(shape);
        for (order, mark) in &fold.drops {
            block.row(*mark, |values| values.push(Value::UInt(order.0)));
        }
        block
    });
    let [add, lines, change] = order_blocks(&fold);
    let rows = [add, lines, change, history_block(&fold), sku_block(&fold)];
    for block in drops.into_iter().chain(rows) {
        block.send(session, rows_max).await?;
    }
    Ok(())
}

/// Orders that are new, their lines, and orders that the store has and that changed.
fn order_blocks(fold: &Fold) -> [Block; 3] {
    let [mut add, mut lines, mut change] =
        [Shape::AddOrders, Shape::AddLines, Shape::ChangeOrders].map(Block::new);
    for held in fold.orders.values() {
        let Some(mark) = held.changed else { continue };
        let block = if held.new { &mut add } else { &mut change };
        block.row(mark, |values| order_values(&held.row, values));
        // A row that was read has none here: lines never change.
        for line in &held.row.lines {
            lines.row(mark, |values| {
                values.extend([
                    Value::UInt(held.row.order.0),
                    text(line.sku.as_str()),
                    Value::UInt(line.qty.into()),
                ]);
            });
        }
    }
    [add, lines, change]
}

fn history_block(fold: &Fold) -> Block {
    let mut block = Block::new(Shape::AddHistory);
    for ((order, op), (mark, step)) in &fold.history {
        block.row(*mark, |values| {
            values.extend([
                Value::UInt(order.0),
                Value::UInt(*op),
                Value::UInt(step.shard.into()),
                Value::UInt(step.at.0),
                text(step.kind),
                step.detail.as_deref().map_or(Value::NULL, text),
            ]);
        });
    }
    block
}

fn sku_block(fold: &Fold) -> Block {
    let mut block = Block::new(Shape::PutSkus);
    for held in fold.skus.values() {
        if let Some(mark) = held.changed {
            block.row(mark, |values| sku_values(&held.row, values));
        }
    }
    block
}

/// The entries folded onto the rows that they change.
async fn folded(session: &mut Session, entries: &[Marked]) -> Result<Fold, Halt> {
    let (orders, skus) = needed(entries);
    // Marks of what is only read are never told.
    let nobody = Mark::default();
    let mut load = Block::new(Shape::LoadOrders);
    for order in orders {
        load.row(nobody, |values| values.push(Value::UInt(order.0)));
    }
    let mut load_skus = Block::new(Shape::LoadSkus);
    for sku in skus {
        load_skus.row(nobody, |values| values.push(text(sku.as_str())));
    }
    let orders = load.send(session, usize::MAX).await?;
    let skus = load_skus.send(session, usize::MAX).await?;
    let orders: Result<_, _> = orders.iter().map(order_of).collect();
    let skus: Result<_, _> = skus.iter().map(sku_of).collect();
    let mut fold = Fold::on(orders?, skus?);
    for (mark, entry) in entries {
        fold.take(*mark, entry).map_err(|twice| {
            Halt::Told(StoreError::Unreadable {
                mark: twice.mark,
                why: format!("order {} was placed before", twice.order),
            })
        })?;
    }
    Ok(fold)
}

async fn put_marks(session: &mut Session, marks: &[Mark]) -> Result<(), Halt> {
    let mut block = Block::new(Shape::PutMarks);
    for mark in marks {
        block.row(*mark, |values| {
            // Without a bus of its own, what is applied is published.
            let (op, chain) = (Value::UInt(mark.op), Value::UInt(mark.chain));
            values.extend([
                Value::UInt(mark.shard.into()),
                op.clone(),
                chain.clone(),
                op,
                chain,
            ]);
        });
    }
    block.send(session, usize::MAX).await?;
    Ok(())
}
