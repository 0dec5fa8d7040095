//! The head of a request, whichever protocol it came by.

use crate::Protocol;

/// Method, target and fields of one request.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// HTTP/1.1 or HTTP/2.
    pub protocol: Protocol,
    /// As sent; methods are case-sensitive (RFC 9110 section 9.1).
    pub method: &'a str,
    /// Path and query in visible ASCII, beginning with `/` (or `*` for OPTIONS).
    pub path_and_query: &'a str,
    /// Host and port as sent; empty only on HTTP/1.0 without Host.
    pub authority: &'a str,
    /// The fields that the order path needs, found in the one pass over the head.
    pub picked: Picked<'a>,
    /// Where names and values lie.
    pub(crate) bytes: &'a [u8],
    pub(crate) spans: &'a [Span],
}

/// Fields found while the head was checked. Of these only `x_forwarded_for` may be repeated.
#[derive(Clone, Copy, Debug, Default)]
pub struct Picked<'a> {
    /// `Authorization`
    pub authorization: Option<&'a [u8]>,
    /// `Idempotency-Key`
    pub idempotency_key: Option<&'a [u8]>,
    /// `Content-Type`
    pub content_type: Option<&'a [u8]>,
    /// The last `X-Forwarded-For` line; [`Head::forwarded_for`] sees all lines.
    pub x_forwarded_for: Option<&'a [u8]>,
    /// How many `X-Forwarded-For` lines there are.
    pub x_forwarded_for_lines: u16,
    /// `X-Request-Id`
    pub x_request_id: Option<&'a [u8]>,
    /// `traceparent`
    pub traceparent: Option<&'a [u8]>,
    /// `Host` (HTTP/1.1; on HTTP/2 see `authority`)
    pub host: Option<&'a [u8]>,
    /// `Expect`
    pub expect: Option<&'a [u8]>,
    /// `Content-Length`, already checked.
    pub content_length: Option<u64>,
}

/// Where one field lies: name start, name end, value start, value end, from the head's first byte.
pub(crate) type Span = [u16; 4];

/// Spans are 16 bits wide, so that the table of 100 fields stays small.
pub(crate) const SPAN_END_MAX: usize = u16::MAX as usize;

impl<'a> Head<'a> {
    /// All fields in order, names as sent (lower case on HTTP/2). Pseudo headers are not fields.
    pub fn fields(&self) -> Fields<'a> {
        Fields {
            bytes: self.bytes,
            spans: self.spans.iter(),
        }
    }

    /// The first field of this name, in any case.
    pub fn field(&self, name: &str) -> Option<&'a [u8]> {
        self.fields()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The n-th address of `X-Forwarded-For` counted from the right (0 is the last), over all its lines, trimmed.
    pub fn forwarded_for(&self, from_right: usize) -> Option<&'a [u8]> {
        if self.picked.x_forwarded_for_lines <= 1 {
            let line = self.picked.x_forwarded_for?;
            return line
                .rsplit(|byte| *byte == b',')
                .nth(from_right)
                .map(<[u8]>::trim_ascii);
        }
        let addresses = || {
            self.fields()
                .filter(|(name, _)| name.eq_ignore_ascii_case("x-forwarded-for"))
                .flat_map(|(_, value)| value.split(|byte| *byte == b','))
        };
        let index = addresses().count().checked_sub(1 + from_right)?;
        addresses().nth(index).map(<[u8]>::trim_ascii)
    }
}

/// Iterates over the fields of a head: name and value.
pub struct Fields<'a> {
    bytes: &'a [u8],
    spans: std::slice::Iter<'a, Span>,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let [name, name_end, value, value_end] = self.spans.next()?.map(usize::from);
        // A field name is a token, so ASCII: it was checked when it arrived.
        let name = std::str::from_utf8(&self.bytes[name..name_end]).unwrap_or_default();
        Some((name, &self.bytes[value..value_end]))
    }
}
