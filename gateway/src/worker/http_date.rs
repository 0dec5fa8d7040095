//! The `Date` header (RFC 9110 section 5.6.7), written anew once a second.

/// `Sun, 06 Nov 1994 08:49:37 GMT`, cached.
pub struct HttpDate {
    second: u64,
    text: [u8; 29],
}

impl Default for HttpDate {
    fn default() -> HttpDate {
        HttpDate {
            second: u64::MAX,
            text: [b' '; 29],
        }
    }
}

impl HttpDate {
    /// The date at a wall-clock time.
    pub fn at(&mut self, wall_ms: u64) -> &[u8] {
        let second = wall_ms / 1000;
        if second != self.second {
            self.second = second;
            self.write(second);
        }
        &self.text
    }

    fn write(&mut self, second: u64) {
        const DAYS: [&[u8; 3]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];
        const MONTHS: [&[u8; 3]; 12] = [
            b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
        ];
        let mut iso = Vec::with_capacity(24);
        super::answer::push_rfc3339(&mut iso, second * 1000);
        let month = usize::from(iso[5] - b'0') * 10 + usize::from(iso[6] - b'0');
        let text = &mut self.text;
        text[..3].copy_from_slice(DAYS[(second / 86_400 % 7) as usize]);
        text[3..5].copy_from_slice(b", ");
        text[5..7].copy_from_slice(&iso[8..10]);
        text[7] = b' ';
        text[8..11].copy_from_slice(MONTHS[month - 1]);
        text[11] = b' ';
        text[12..16].copy_from_slice(&iso[..4]);
        text[16] = b' ';
        text[17..25].copy_from_slice(&iso[11..19]);
        text[25..].copy_from_slice(b" GMT");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc_is_written_as_it_stands_there() {
        assert_eq!(
            HttpDate::default().at(784_111_777_000),
            b"Sun, 06 Nov 1994 08:49:37 GMT"
        );
    }
}
