//! A file of CSV into parts that each fit into a request.

/// What a request may carry is 64 KiB.
const PART_BYTES_MAX: usize = 60 * 1024;

/// Lines of the file under the one with the columns' names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// The line of the file that the first of them is.
    pub(super) first_line: u64,
    pub(super) text: String,
}

/// The parts of a file, in order.
///
/// # Errors
/// A sentence: the file has nothing to set, or a line that fits no part.
pub(super) fn split(text: &str) -> Result<Vec<Part>, String> {
    let text = text.trim_start_matches('\u{feff}');
    let starts = record_starts(text)?;
    let Some((&first, rest)) = starts.split_first() else {
        return Err("the file has no line below the columns' names; `tidegate catalogue export` shows what one looks like".into());
    };
    let header = text[..first].trim_end_matches(['\r', '\n']);
    let mut parts = Vec::new();
    let (mut from, mut line) = (first, 1 + ends(&text[..first]));
    let mut to = first;
    for next in rest.iter().copied().chain([text.len()]) {
        if header.len() + 1 + (next - from) > PART_BYTES_MAX && to > from {
            parts.push(part(header, &text[from..to], line));
            line += ends(&text[from..to]);
            from = to;
        }
        if header.len() + 1 + (next - from) > PART_BYTES_MAX {
            return Err(format!(
                "line {line} is longer than a request may be; is a quotation mark missing?"
            ));
        }
        to = next;
    }
    parts.push(part(header, &text[from..], line));
    Ok(parts)
}

fn part(header: &str, lines: &str, first_line: u64) -> Part {
    Part {
        first_line,
        text: format!("{header}\n{lines}"),
    }
}

/// Where each record begins, the columns' names aside. A cell may hold line ends, so this needs a reader of CSV.
fn record_starts(text: &str) -> Result<Vec<usize>, String> {
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut starts = Vec::new();
    for record in reader.byte_records() {
        let record = record.map_err(|error| error.to_string())?;
        let byte = record.position().map_or(0, csv::Position::byte) as usize;
        // The reader stands before what it passes over: the end of the line before, and empty lines.
        let passed = text[byte..].bytes().take_while(|b| matches!(b, b'\r' | b'\n'));
        starts.push(byte + passed.count());
    }
    Ok(starts)
}

fn ends(text: &str) -> u64 {
    text.bytes().filter(|b| *b == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_file_is_one_part() {
        let parts = split("sku,price\nA,1\nB,2\n").unwrap();
        let one = Part {
            first_line: 2,
            text: "sku,price\nA,1\nB,2\n".into(),
        };
        assert_eq!(parts, [one]);
    }

    #[test]
    fn a_large_file_is_cut_between_records_and_each_part_knows_its_line() {
        let mut text = String::from("\u{feff}sku,name\r\n\r\n");
        for n in 0..5_000 {
            text.push_str(&format!("SKU-{n},\"two\r\nlines of {n}\"\r\n"));
        }
        let parts = split(&text).unwrap();
        assert!(parts.len() > 2, "{}", parts.len());
        let mut records = 0;
        for part in &parts {
            assert!(part.text.len() <= PART_BYTES_MAX, "{}", part.text.len());
            let lines = part.text.strip_prefix("sku,name\n").unwrap();
            assert!(lines.starts_with(&format!("SKU-{records},")), "{lines:.30}");
            assert_eq!(
                part.first_line,
                3 + 2 * records,
                "two lines a record, behind an empty one"
            );
            records += lines.matches("SKU-").count() as u64;
        }
        assert_eq!(records, 5_000);
    }

    #[test]
    fn a_file_without_lines_and_one_with_an_open_quotation_say_what_is_wrong() {
        for empty in ["", "sku,price\n", "sku,price\n\n\n"] {
            assert!(split(empty).unwrap_err().contains("no line"), "{empty:?}");
        }
        let open = format!("sku,name\nA,1\nB,\"{}", "x\n".repeat(60_000));
        assert!(split(&open).unwrap_err().starts_with("line 3 is longer"));
    }
}
