//! The byte forms that entries and snapshots share: LEB128 varints, fixed words, length-prefixed text.

use crate::codec::DecodeError;
use crate::command::{LINES_MAX, Line, Lines};
use crate::ids::{BodyHash, Buyer, ChargeId, KeyHash, Millis, OrderId, ShardId, SkuName};
use crate::message::Part;

/// Appends values to bytes.
pub(crate) struct Writer<'a>(pub(crate) &'a mut Vec<u8>);

impl Writer<'_> {
    pub(crate) fn byte(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// Small negative numbers stay small: zigzag.
    pub(crate) fn signed(&mut self, value: i64) {
        self.varint(((value << 1) ^ (value >> 63)) as u64);
    }

    pub(crate) fn word(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.varint(text.len() as u64);
        self.raw(text.as_bytes());
    }

    pub(crate) fn flag(&mut self, value: bool) {
        self.byte(u8::from(value));
    }

    pub(crate) fn option(&mut self, value: Option<u64>) {
        self.flag(value.is_some());
        if let Some(value) = value {
            self.varint(value);
        }
    }

    pub(crate) fn line(&mut self, line: &Line) {
        self.text(line.sku.as_str());
        self.varint(u64::from(line.qty));
    }

    pub(crate) fn lines(&mut self, lines: &[Line]) {
        self.varint(lines.len() as u64);
        for line in lines {
            self.line(line);
        }
    }

    pub(crate) fn part(&mut self, part: &Part) {
        self.varint(part.amount);
        self.raw(&part.currency);
        self.varint(u64::from(part.hold_ms));
    }
}

type Read<T> = Result<T, DecodeError>;

/// Takes values off bytes that may be anything.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, len: usize) -> Read<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(len).ok_or(DecodeError("cut short"))?;
        self.0 = tail;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk().ok_or(DecodeError("cut short"))?;
        self.0 = tail;
        Ok(*head)
    }

    pub(crate) fn end(&self) -> Read<()> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(DecodeError("bytes left over"))
        }
    }

    pub(crate) fn byte(&mut self) -> Read<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn varint(&mut self) -> Read<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            // One form per number: the tenth byte has one bit, and no number ends with an empty byte.
            if byte & 0x80 == 0 {
                let canonical = (shift == 0 || byte != 0) && (shift < 63 || byte == 1);
                return if canonical {
                    Ok(value)
                } else {
                    Err(DecodeError("number not in shortest form"))
                };
            }
        }
        Err(DecodeError("number too long"))
    }

    pub(crate) fn signed(&mut self) -> Read<i64> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    pub(crate) fn small<T: TryFrom<u64>>(&mut self) -> Read<T> {
        T::try_from(self.varint()?).map_err(|_| DecodeError("number too large"))
    }

    pub(crate) fn word(&mut self) -> Read<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A count of things that take at least `bytes_min` each: a larger one than the input can hold is refused before
    /// anything is reserved for it.
    pub(crate) fn count(&mut self, bytes_min: usize) -> Read<usize> {
        let count: usize = self.small()?;
        if count <= self.0.len() / bytes_min {
            Ok(count)
        } else {
            Err(DecodeError("count beyond the input"))
        }
    }

    pub(crate) fn text(&mut self, max: usize) -> Read<&'a str> {
        let len: usize = self.small()?;
        if len > max {
            return Err(DecodeError("text too long"));
        }
        core::str::from_utf8(self.take(len)?).map_err(|_| DecodeError("text is not UTF-8"))
    }

    pub(crate) fn flag(&mut self) -> Read<bool> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError("flag is neither 0 nor 1")),
        }
    }

    pub(crate) fn option(&mut self) -> Read<Option<u64>> {
        if self.flag()? {
            Ok(Some(self.varint()?))
        } else {
            Ok(None)
        }
    }

    pub(crate) fn sku(&mut self) -> Read<SkuName> {
        let text = self.text(SkuName::LEN_MAX)?;
        SkuName::parse(text.as_bytes()).map_err(|_| DecodeError("not a SKU"))
    }

    pub(crate) fn charge(&mut self) -> Read<ChargeId> {
        let text = self.text(ChargeId::LEN_MAX)?;
        ChargeId::parse(text.as_bytes()).map_err(|_| DecodeError("not a charge"))
    }

    pub(crate) fn order(&mut self) -> Read<OrderId> {
        Ok(OrderId(self.word()?))
    }

    pub(crate) fn millis(&mut self) -> Read<Millis> {
        Ok(Millis(self.varint()?))
    }

    pub(crate) fn shard(&mut self) -> Read<ShardId> {
        let shard = ShardId(self.small()?);
        if shard.0 < ShardId::COUNT_MAX {
            Ok(shard)
        } else {
            Err(DecodeError("no such shard"))
        }
    }

    pub(crate) fn buyer(&mut self) -> Read<Buyer> {
        Ok(Buyer(self.array()?))
    }

    pub(crate) fn key(&mut self) -> Read<KeyHash> {
        Ok(KeyHash(self.array()?))
    }

    pub(crate) fn body(&mut self) -> Read<BodyHash> {
        Ok(BodyHash(self.word()?))
    }

    pub(crate) fn line(&mut self) -> Read<Line> {
        let line = Line {
            sku: self.sku()?,
            qty: self.small()?,
        };
        if line.qty > 0 {
            Ok(line)
        } else {
            Err(DecodeError("line of no units"))
        }
    }

    pub(crate) fn lines(&mut self) -> Read<Lines> {
        let count = self.count(3)?;
        if count == 0 || count > LINES_MAX {
            return Err(DecodeError("too few or too many lines"));
        }
        let mut lines = Lines::with_capacity(count);
        for _ in 0..count {
            let line = self.line()?;
            if lines.last().is_some_and(|last| last.sku >= line.sku) {
                return Err(DecodeError("lines out of order"));
            }
            lines.push(line);
        }
        Ok(lines)
    }

    pub(crate) fn part(&mut self) -> Read<Part> {
        Ok(Part {
            amount: self.varint()?,
            currency: self.array()?,
            hold_ms: self.small()?,
        })
    }
}
