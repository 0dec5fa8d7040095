//! A part of a file: lines of CSV under a line with the columns' names.

use serde::Serialize;
use tidegate_shard_core::PutSku;

use super::columns::{BadCell, Columns};

/// What is wrong with a line of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BadLine {
    /// Which, of the whole file; 1 is the one with the columns' names.
    pub line: u64,
    /// The cell's column, if it is about one.
    pub column: Option<&'static str>,
    /// What was found and what would be right.
    pub detail: String,
}

/// A line of a file and what it sets.
pub(super) type Line = Result<(u64, PutSku), BadLine>;

/// The lines of a part whose first one, after that with the columns' names, is line `first` of the file. Empty lines are left out.
pub(super) fn lines(text: &str, first: u64) -> Vec<Line> {
    // A spreadsheet begins its file with a byte order mark.
    let text = text.trim_start_matches('\u{feff}');
    // Lines of another length are told apart here, where it is known which they are.
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .from_reader(text.as_bytes());
    let bad = |line: u64, (column, detail): BadCell| BadLine { line, column, detail };
    let header = match reader.headers() {
        Ok(header) => header.clone(),
        Err(error) => return vec![Err(bad(1, (None, error.to_string())))],
    };
    let columns = match Columns::read(&header) {
        Ok(columns) => columns,
        Err(cell) => return vec![Err(bad(1, cell))],
    };
    let mut count = LineCount::default();
    let mut before_first = None;
    let mut lines = Vec::new();
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                lines.push(Err(bad(first, (None, error.to_string()))));
                return lines;
            }
        };
        let ends = count.up_to(text, record.position().map_or(0, csv::Position::byte));
        let line = first + (ends - *before_first.get_or_insert(ends));
        lines.push(match columns.put(&record) {
            Ok(put) => Ok((line, put)),
            Err(cell) => Err(bad(line, cell)),
        });
    }
    lines
}

/// Counts line ends. Records are not lines: a cell may hold line ends, and the reader's own count is of where it stood before it passed over
/// empty lines.
#[derive(Default)]
struct LineCount {
    at: usize,
    ends: u64,
}

impl LineCount {
    /// Line ends before the record that begins at a byte or behind the empty lines there. Bytes only grow.
    fn up_to(&mut self, text: &str, byte: u64) -> u64 {
        let bytes = text.as_bytes();
        let start = usize::try_from(byte).map_or(bytes.len(), |byte| byte.min(bytes.len()));
        let empty = bytes[start..].iter().take_while(|b| matches!(b, b'\r' | b'\n'));
        let start = start + empty.count();
        self.ends += bytes[self.at..start].iter().filter(|b| **b == b'\n').count() as u64;
        self.at = start;
        self.ends
    }
}
