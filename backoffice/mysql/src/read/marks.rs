//! How far a store is, for who does not write it.

use mysql_async::Row;
use tidegate_follow::Mark;

use super::Reader;
use crate::columns::Columns;
use crate::{MysqlError, queries};

/// A store and how far it has each shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreMarks {
    /// The store's name.
    pub name: String,
    /// A shard without a mark was never followed.
    pub marks: Vec<Mark>,
}

impl Reader {
    /// Which store this is and how far it has each shard, of one moment.
    ///
    /// # Errors
    /// The database cannot be read now, or holds no store yet.
    pub async fn marks(&self) -> Result<StoreMarks, MysqlError> {
        let rows = self.rows(queries::MARKS, Vec::new()).await?;
        let mut name = None;
        let mut marks = Vec::with_capacity(rows.len());
        for row in &rows {
            let (of, mark) = store_and_mark(row)?;
            name = Some(of);
            marks.extend(mark);
        }
        match name {
            Some(name) => Ok(StoreMarks { name, marks }),
            None => Err(MysqlError::Refused("the database holds no store yet".to_owned())),
        }
    }
}

fn store_and_mark(row: &Row) -> Result<(String, Option<Mark>), MysqlError> {
    let mut row = Columns::of(row);
    let name = row.next()?;
    let mark = match row.next::<Option<u16>>()? {
        Some(shard) => Some(Mark {
            shard,
            op: row.next()?,
            chain: row.next()?,
        }),
        None => None,
    };
    Ok((name, mark))
}
