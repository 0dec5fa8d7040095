//! One answer being written: status, a few headers, a body. The buffers are reused from request to request.

use smallvec::SmallVec;

use crate::codes::Code;

/// The most headers an answer of ours carries; more would be a fault of ours.
const HEADERS_MAX: usize = 12;

/// A reusable answer. `begin` empties it; values live in one arena so that nothing is allocated per header.
#[derive(Default)]
pub struct Draft {
    status: u16,
    names: SmallVec<[(&'static str, u32, u32); HEADERS_MAX]>,
    arena: Vec<u8>,
    /// The body, appended to directly.
    pub body: Vec<u8>,
}

impl Draft {
    /// Starts a new answer.
    pub fn begin(&mut self, status: u16) {
        self.status = status;
        self.names.clear();
        self.arena.clear();
        self.body.clear();
    }

    /// The status of the answer.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Adds a header whose value is given whole.
    pub fn header(&mut self, name: &'static str, value: &[u8]) {
        self.header_with(name, |arena| arena.extend_from_slice(value));
    }

    /// Adds a header whose value is written by `write` (it must append only visible ASCII and spaces).
    pub fn header_with(&mut self, name: &'static str, write: impl FnOnce(&mut Vec<u8>)) {
        debug_assert!(self.names.len() < HEADERS_MAX);
        let start = self.arena.len() as u32;
        write(&mut self.arena);
        self.names.push((name, start, self.arena.len() as u32));
    }

    /// Adds a header with a decimal value.
    pub fn header_number(&mut self, name: &'static str, value: u64) {
        self.header_with(name, |arena| push_number(arena, value));
    }

    /// The headers as name and value.
    pub fn headers(&self) -> SmallVec<[(&str, &[u8]); HEADERS_MAX]> {
        self.names
            .iter()
            .map(|&(name, from, to)| (name, &self.arena[from as usize..to as usize]))
            .collect()
    }

    /// Fills in a problem document (RFC 9457) for `code`.
    pub fn problem(&mut self, code: Code, detail: &str) {
        self.begin(code.status());
        self.header("content-type", b"application/problem+json");
        let body = &mut self.body;
        body.extend_from_slice(b"{\"type\":\"https://tidegate.dev/problems/");
        body.extend_from_slice(code.word().as_bytes());
        body.extend_from_slice(b"\",\"title\":\"");
        body.extend_from_slice(code.title().as_bytes());
        body.extend_from_slice(b"\",\"status\":");
        push_number(body, u64::from(code.status()));
        body.extend_from_slice(b",\"detail\":");
        push_json_string(body, detail);
        body.extend_from_slice(b",\"code\":\"");
        body.extend_from_slice(code.word().as_bytes());
        body.extend_from_slice(b"\"}");
    }
}

/// Appends a number in decimal.
pub fn push_number(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a JSON string (RFC 8259 section 7), quotes included.
pub fn push_json_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for &byte in text.as_bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// Appends a time as RFC 3339 in UTC with milliseconds, `2026-11-23T15:39:00.000Z`.
pub fn push_rfc3339(out: &mut Vec<u8>, unix_ms: u64) {
    let (days, in_day) = (unix_ms / 86_400_000, (unix_ms % 86_400_000) as u32);
    let (year, month, day) = civil_from_days(days);
    let (seconds, ms) = (in_day / 1000, in_day % 1000);
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let mut put = |at: usize, value: u32| {
        text[at] = b'0' + (value / 10) as u8;
        text[at + 1] = b'0' + (value % 10) as u8;
    };
    put(0, (year / 100 % 100) as u32);
    put(2, (year % 100) as u32);
    put(5, month as u32);
    put(8, day as u32);
    put(11, seconds / 3600);
    put(14, seconds / 60 % 60);
    put(17, seconds % 60);
    put(20, ms / 10);
    text[22] = b'0' + (ms % 10) as u8;
    out.extend_from_slice(&text);
}

/// Days since 1970-01-01 to year, month, day: Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// Reads a time in RFC 3339 with `Z` or an offset; `None` when it is not one. The inverse of [`push_rfc3339`].
pub fn parse_rfc3339(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    let number = |from: usize, len: usize| -> Option<u64> {
        let digits = bytes.get(from..from + len)?;
        digits.iter().try_fold(0u64, |sum, d| {
            d.is_ascii_digit().then(|| sum * 10 + u64::from(d - b'0'))
        })
    };
    let mark = |at: usize, wanted: &[u8]| bytes.get(at).is_some_and(|b| wanted.contains(b));
    if !(mark(4, b"-") && mark(7, b"-") && mark(10, b"Tt ") && mark(13, b":") && mark(16, b":")) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    if year < 1970
        || !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    let mut at = 19;
    let mut millis = 0;
    if mark(at, b".") {
        let fraction: Vec<u8> = bytes[at + 1..]
            .iter()
            .copied()
            .take_while(u8::is_ascii_digit)
            .collect();
        if fraction.is_empty() {
            return None;
        }
        at += 1 + fraction.len();
        millis = fraction
            .iter()
            .chain(b"000")
            .take(3)
            .fold(0, |sum, d| sum * 10 + u64::from(d - b'0'));
    }
    let local =
        (days_from_civil(year, month, day)? * 86_400 + hour * 3600 + minute * 60 + second) * 1000 + millis;
    match bytes.get(at..)? {
        b"Z" | b"z" => Some(local),
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let offset = (number(at + 1, 2)? * 60 + number(at + 4, 2)?) * 60_000;
            if *sign == b'+' {
                local.checked_sub(offset)
            } else {
                local.checked_add(offset)
            }
        }
        _ => None,
    }
}

fn days_from_civil(year: u64, month: u64, day: u64) -> Option<u64> {
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (shifted_year / 400, shifted_year % 400);
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_back_as_they_were_written() {
        for ms in [
            0,
            951_782_400_000,
            1_764_000_000_123,
            4_102_444_799_999,
            1_709_164_800_001,
        ] {
            let mut out = Vec::new();
            push_rfc3339(&mut out, ms);
            let text = String::from_utf8(out).unwrap();
            assert_eq!(parse_rfc3339(&text), Some(ms), "{text}");
        }
        assert_eq!(
            parse_rfc3339("2026-11-23T16:39:00+01:00"),
            parse_rfc3339("2026-11-23T15:39:00Z")
        );
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2026",
            "2026-13-01T00:00:00Z",
            "2026-01-01T25:00:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00.Z",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }

    #[test]
    fn a_known_date_is_written_as_the_calendar_says() {
        let mut out = Vec::new();
        push_rfc3339(&mut out, 1_700_000_000_000);
        assert_eq!(out, b"2023-11-14T22:13:20.000Z");
    }

    #[test]
    fn strings_are_escaped_so_that_any_json_reader_takes_them() {
        let mut out = Vec::new();
        push_json_string(&mut out, "a\"b\\c\n\u{1}é");
        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), "a\"b\\c\n\u{1}é");
    }
}
