//! Protocol Buffers, as far as OTLP needs them: written into one buffer, and read back from an answer of a few bytes.
//!
//! Only the canonical form is written: every length has as few bytes as it needs.

/// Writes messages, one field after the other.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    out: Vec<u8>,
    /// Where it begins: what lies before is room for a head that was left over.
    start: usize,
}

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const BYTES: u32 = 2;
const FIXED32: u32 = 5;

impl Writer {
    pub(crate) fn clear(&mut self) {
        self.out.clear();
        self.start = 0;
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.out[self.start..]
    }

    /// Writes a head and a body, of which the head is known last: `head` is told how long the body is, and may write so many bytes at
    /// most. Nothing is moved. Whatever was there is gone.
    pub(crate) fn headed(&mut self, room: usize, body: impl FnOnce(&mut Self), head: impl FnOnce(&mut Self, usize)) {
        self.clear();
        self.out.resize(room, 0);
        body(self);
        let mut before = Self::default();
        head(&mut before, self.out.len() - room);
        let before = before.as_slice();
        debug_assert!(before.len() <= room, "{} bytes in the room of {room}", before.len());
        self.start = room.saturating_sub(before.len());
        self.out[self.start..room].copy_from_slice(&before[..room - self.start]);
    }

    #[inline]
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.out.push(low_byte(value) | 0x80);
            value >>= 7;
        }
        self.out.push(low_byte(value));
    }

    /// The bytes that a number takes.
    #[inline]
    pub(crate) const fn width(value: u64) -> usize {
        (70 - (value | 1).leading_zeros() as usize) / 7
    }

    /// A tag and one byte behind it, with one look at the room.
    #[inline]
    fn tag_and(&mut self, field: u32, wire_type: u32, byte: u8) {
        if field < 16 {
            self.out.extend_from_slice(&[low_byte(u64::from(field << 3 | wire_type)), byte]);
        } else {
            self.tag(field, wire_type);
            self.out.push(byte);
        }
    }

    #[inline]
    fn tag(&mut self, field: u32, wire_type: u32) {
        self.varint(u64::from(field << 3 | wire_type));
    }

    #[inline]
    pub(crate) fn uint(&mut self, field: u32, value: u64) {
        if value < 0x80 {
            return self.tag_and(field, VARINT, low_byte(value));
        }
        self.tag(field, VARINT);
        self.varint(value);
    }

    #[inline]
    pub(crate) fn int(&mut self, field: u32, value: i64) {
        self.uint(field, value.cast_unsigned());
    }

    #[inline]
    pub(crate) fn fixed64(&mut self, field: u32, value: u64) {
        let [first, rest @ ..] = value.to_le_bytes();
        self.tag_and(field, FIXED64, first);
        self.out.extend_from_slice(&rest);
    }

    #[inline]
    pub(crate) fn double(&mut self, field: u32, value: f64) {
        self.fixed64(field, value.to_bits());
    }

    #[inline]
    pub(crate) fn fixed32(&mut self, field: u32, value: u32) {
        self.tag(field, FIXED32);
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    #[inline]
    pub(crate) fn bytes(&mut self, field: u32, value: &[u8]) {
        self.length(field, value.len());
        self.out.extend_from_slice(value);
    }

    /// The head of a field of so many bytes, which are to follow.
    #[inline]
    pub(crate) fn length(&mut self, field: u32, length: usize) {
        if length < 0x80 {
            self.tag_and(field, BYTES, low_byte(length as u64));
        } else {
            self.tag(field, BYTES);
            self.varint(length as u64);
        }
    }

    #[inline]
    pub(crate) fn str(&mut self, field: u32, value: &str) {
        self.bytes(field, value.as_bytes());
    }

    /// A text of several parts.
    pub(crate) fn parts(&mut self, field: u32, parts: &[&str]) {
        self.length(field, parts.iter().map(|part| part.len()).sum());
        for part in parts {
            self.raw(part.as_bytes());
        }
    }

    /// What was written by another writer, as it is.
    #[inline]
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// A message in a field. Its length is known only at the end: one byte is left for it, and what was written moves on in
    /// the few cases in which it needs more.
    #[inline]
    pub(crate) fn message(&mut self, field: u32, write: impl FnOnce(&mut Self)) {
        self.tag_and(field, BYTES, 0);
        let at = self.out.len();
        write(self);
        let length = self.out.len() - at;
        if length < 0x80 {
            self.out[at - 1] = low_byte(length as u64);
        } else {
            self.set_length(at, 1, length);
        }
    }

    /// The same for one that mostly takes from 128 to 16,383 bytes: two are left.
    #[inline]
    pub(crate) fn long_message(&mut self, field: u32, write: impl FnOnce(&mut Self)) {
        self.tag_and(field, BYTES, 0);
        self.out.push(0);
        let at = self.out.len();
        write(self);
        let length = self.out.len() - at;
        if (0x80..0x4000).contains(&length) {
            self.out[at - 2..at].copy_from_slice(&[low_byte(length as u64) | 0x80, low_byte(length as u64 >> 7)]);
        } else {
            self.set_length(at, 2, length);
        }
    }

    /// Writes the length of what begins there, before which so many bytes were left for it.
    #[cold]
    fn set_length(&mut self, at: usize, left: usize, length: usize) {
        let mut prefix = Self::default();
        prefix.varint(length as u64);
        let width = prefix.out.len();
        self.out.splice(at - left..at, prefix.out);
        debug_assert_eq!(self.out.len(), at - left + width + length, "the message behind its length");
    }
}

const fn low_byte(value: u64) -> u8 {
    value.to_le_bytes()[0]
}

/// One field of a message that is read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// One of a kind that no answer needs.
    Other,
}

/// Reads the fields of a message, whatever is in it: `None` at the end, and where it is none.
#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(message: &'a [u8]) -> Self {
        Self(message)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (first, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(taken)
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = (u64, Field<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let tag = self.varint()?;
        let field = match tag & 7 {
            0 => Field::Number(self.varint()?),
            1 => self.take(8).map(|_| Field::Other)?,
            2 => {
                let length = self.varint()?;
                Field::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Field::Other)?,
            _ => return None,
        };
        Some((tag >> 3, field))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_as_short_as_they_can_be() {
        for length in [0, 1, 127, 128, 600, 16_383, 16_384, 2_097_152] {
            let (mut short, mut long, mut plain) = (Writer::default(), Writer::default(), Writer::default());
            let inner = vec![7; length];
            short.message(3, |writer| writer.raw(&inner));
            long.long_message(3, |writer| writer.raw(&inner));
            plain.bytes(3, &inner);
            assert!(short.as_slice() == plain.as_slice() && long.as_slice() == plain.as_slice(), "{length}");
            assert_eq!(plain.as_slice().len(), 1 + Writer::width(length as u64) + length);
        }
    }

    #[test]
    fn a_head_lies_right_before_its_body() {
        let mut writer = Writer::default();
        for length in [0_u8, 3, 200] {
            writer.headed(
                40,
                |writer| writer.raw(&vec![7; usize::from(length)]),
                |head, length| head.length(1, length),
            );
            let mut plain = Writer::default();
            plain.bytes(1, &vec![7; usize::from(length)]);
            assert_eq!(writer.as_slice(), plain.as_slice());
        }
        writer.clear();
        assert_eq!(writer.as_slice(), [0; 0]);
    }

    #[test]
    fn widths_are_those_of_what_is_written() {
        for shift in 0..64 {
            for value in [(1_u64 << shift) - 1, 1 << shift, u64::MAX >> shift] {
                let mut writer = Writer::default();
                writer.varint(value);
                assert_eq!(Writer::width(value), writer.as_slice().len(), "{value}");
            }
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        let mut writer = Writer::default();
        writer.int(1, -5);
        writer.fixed64(2, 9);
        writer.fixed32(3, 9);
        writer.str(16, "text");
        let fields: Vec<_> = Reader::new(writer.as_slice()).collect();
        let number = Field::Number((-5_i64).cast_unsigned());
        assert_eq!(fields, [(1, number), (2, Field::Other), (3, Field::Other), (16, Field::Bytes(b"text"))]);
    }

    #[test]
    fn garbage_ends_the_reading() {
        for garbage in
            [&b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"[..], b"\x0a\xff\x01", b"\x09\x01", b"<html>", b"\x0b"]
        {
            assert!(Reader::new(garbage).count() < 10);
        }
    }
}
