//! `tidegate-backoffice dump`: every order of the store as a line of JSON, the same that `tidegate store dump` prints of the embedded one.

use std::io::{self, BufWriter, Write};

use tidegate_backoffice::dumped::DumpedOrder;
use tidegate_mysql::{Dump, MysqlError, OrderRead, Reader, Settings};

use super::RunArgs;

/// Does it, page by page.
pub(super) fn run(args: &RunArgs) -> Result<(), String> {
    let config = args.load().map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("the runtime cannot be made: {error}"))?;
    runtime.block_on(async {
        let mut dump = begin(config.mysql).await.map_err(|error| {
            format!("{error}; `tidegate-backoffice doctor` says what is wrong with the database")
        })?;
        let mut out = BufWriter::with_capacity(1 << 18, io::stdout().lock());
        loop {
            let page = dump.page().await.map_err(|error| error.to_string())?;
            if page.is_empty() {
                return printed(out.flush()).map(drop);
            }
            // A reader (`head`, say) that has what it wanted is no error.
            if !printed(print(&mut out, page)?)? {
                return Ok(());
            }
        }
    })
}

async fn begin(settings: Settings) -> Result<Dump, MysqlError> {
    Reader::new(settings)?.dump().await
}

/// The outer error is of what the store has, the inner one of the output.
fn print(out: &mut impl Write, page: Vec<OrderRead>) -> Result<io::Result<()>, String> {
    for (row, steps) in page {
        let order = row.order;
        let dumped = DumpedOrder::new(&row, steps).map_err(|error| {
            format!(
                "order {}: a detail of its history is no JSON, which this program did not write: {error}",
                order.0
            )
        })?;
        let line = serde_json::to_vec(&dumped).map_err(|error| format!("order {}: {error}", order.0))?;
        let written = out.write_all(&line).and_then(|()| out.write_all(b"\n"));
        if written.is_err() {
            return Ok(written);
        }
    }
    Ok(Ok(()))
}

/// Whether somebody still reads.
fn printed(written: io::Result<()>) -> Result<bool, String> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(format!(
            "standard output: {error}; free space there, or send it elsewhere"
        )),
    }
}
