//! `x-request-id`: the client's own if it is a sane one, its trace id if it sent a `traceparent`, or one of ours.

/// The longest id that is taken over from a client.
const CLIENT_ID_MAX: usize = 64;

/// An id of up to 64 visible ASCII characters, inline.
#[derive(Clone, Copy, Debug)]
pub struct RequestId {
    bytes: [u8; CLIENT_ID_MAX],
    length: u8,
}

impl RequestId {
    /// The id's characters.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// The same, with zeros after its end: of one length, for who keeps many.
    pub fn padded(&self) -> &[u8; CLIENT_ID_MAX] {
        &self.bytes
    }

    fn copy_of(text: &[u8]) -> RequestId {
        let mut bytes = [0; CLIENT_ID_MAX];
        bytes[..text.len()].copy_from_slice(text);
        RequestId {
            bytes,
            length: text.len() as u8,
        }
    }
}

/// Makes the ids of one thread: a random half and a counter, 32 hexadecimal digits, as a trace id has.
pub struct RequestIds {
    random: u64,
    next: u64,
}

impl RequestIds {
    /// `random` is drawn once at start, so that two runs do not repeat each other's ids.
    pub fn new(random: u64) -> RequestIds {
        RequestIds { random, next: 1 }
    }

    /// The id of a request with these headers.
    pub fn of(&mut self, request_id: Option<&[u8]>, traceparent: Option<&[u8]>) -> RequestId {
        if let Some(id) = request_id.filter(|id| is_sane(id)) {
            return RequestId::copy_of(id);
        }
        if let Some(trace) = traceparent.and_then(trace_id) {
            return RequestId::copy_of(trace);
        }
        self.fresh()
    }

    /// A number for a connection, from which the ids of its own refusals are made.
    pub fn connection(&mut self) -> u64 {
        self.next += 1;
        self.random.wrapping_add(self.next)
    }

    fn fresh(&mut self) -> RequestId {
        let mut text = [0u8; 32];
        hex(self.random, &mut text[..16]);
        hex(self.next, &mut text[16..]);
        self.next += 1;
        RequestId::copy_of(&text)
    }
}

fn is_sane(id: &[u8]) -> bool {
    (1..=CLIENT_ID_MAX).contains(&id.len()) && id.iter().all(|b| b.is_ascii_graphic())
}

/// The trace id of a `traceparent` (W3C Trace Context section 3.2): `00-<32 hex>-<16 hex>-<2 hex>`, not all zero.
fn trace_id(value: &[u8]) -> Option<&[u8]> {
    let lower_hex = |part: &[u8]| part.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let shape = value.len() >= 55 && value[2] == b'-' && value[35] == b'-' && value[52] == b'-';
    if !shape || &value[..2] == b"ff" || !lower_hex(&value[..2]) || !lower_hex(&value[36..52]) {
        return None;
    }
    let trace = &value[3..35];
    (lower_hex(trace) && trace.iter().any(|&b| b != b'0')).then_some(trace)
}

fn hex(value: u64, out: &mut [u8]) {
    for (place, digit) in out.iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[(value >> (60 - 4 * place)) as usize & 15];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sane_id_is_kept_a_trace_id_is_continued_and_otherwise_one_is_made() {
        let mut ids = RequestIds::new(0xabc);
        let trace = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(ids.of(Some(b"my-id"), Some(trace)).as_bytes(), b"my-id");
        assert_eq!(
            ids.of(Some(b"a b"), Some(trace)).as_bytes(),
            b"4bf92f3577b34da6a3ce929d0e0e4736"
        );
        let made = ids.of(
            None,
            Some(b"00-00000000000000000000000000000000-00f067aa0ba902b7-01"),
        );
        assert_eq!(made.as_bytes(), b"0000000000000abc0000000000000001");
        assert_ne!(ids.of(None, None).as_bytes(), made.as_bytes());
    }
}
