//! What each annotation leaves in the finished binary beside its entry in the inventory: a line of JSON in a section of its own,
//! which `cargo tasker catalog` reads without running the program.
//!
//! Where a macro knows all of it, it writes the line itself, as one literal; these functions are for what only the compiler knows,
//! such as the name of an event that is given by its type. They run when the program is compiled.

use super::spec::EventSpec;

/// The version of the records. It grows when an old reader would misread a new record, not when a key is added.
pub const RECORD_VERSION: u32 = 1;

/// A piece of a record.
#[derive(Debug, Clone, Copy)]
pub enum RecordPart {
    /// JSON as it is.
    Json(&'static str),
    /// A text, which is escaped; without quotation marks around it.
    Text(&'static str),
    /// A number.
    Number(u32),
}

/// How long the record of these parts is, in bytes.
#[must_use]
pub const fn record_len(parts: &[RecordPart]) -> usize {
    let mut len = 0;
    let mut i = 0;
    while i < parts.len() {
        len += match parts[i] {
            RecordPart::Json(text) => text.len(),
            RecordPart::Text(text) => escaped_len(text.as_bytes()),
            RecordPart::Number(number) => digits(number),
        };
        i += 1;
    }
    len
}

/// The record of these parts, `N` being what [`record_len`] says of them.
#[must_use]
pub const fn record<const N: usize>(parts: &[RecordPart]) -> [u8; N] {
    let mut writer = Writer::<N>::new();
    let mut i = 0;
    while i < parts.len() {
        match parts[i] {
            RecordPart::Json(text) => writer.bytes(text.as_bytes()),
            RecordPart::Text(text) => {
                writer.text(text);
            }
            RecordPart::Number(number) => writer.number(number),
        }
        i += 1;
    }
    writer.bytes
}

/// The parts of the record of an event that has no type.
#[must_use]
pub const fn event_record(spec: &EventSpec) -> [RecordPart; 11] {
    use RecordPart::{Json, Number, Text};
    [
        Json("\n{\"tasker\":1,\"kind\":\"event\",\"file\":\""),
        Text(spec.source.file),
        Json("\",\"line\":"),
        Number(spec.source.line),
        Json(",\"module\":\""),
        Text(spec.source.module),
        Json("\",\"name\":\""),
        Text(spec.name),
        Json("\",\"description\":\""),
        Text(spec.description),
        Json("\"}\n"),
    ]
}

/// Room for the record of a metric: what a static says of itself cannot be asked for its length when the program is compiled.
pub const METRIC_RECORD: usize = 1024;

/// The record of a metric, filled up with zeros. What does not fit is left out at the end of `help`, and marked.
pub(crate) const fn metric_record(
    kind: &'static str,
    name: &'static str,
    unit: &'static str,
    labels: &[&'static str],
    help: &'static str,
) -> [u8; METRIC_RECORD] {
    const END: &[u8] = b"\"}\n";
    const CUT: &[u8] = b"\",\"cut\":true}\n";
    let mut writer = Writer::<METRIC_RECORD>::new();
    writer.bytes(b"\n{\"tasker\":1,\"kind\":\"metric\",\"type\":\"");
    writer.bytes(kind.as_bytes());
    writer.bytes(b"\",\"name\":\"");
    let mut fits = writer.text_within(name, 256);
    writer.bytes(b"\",\"unit\":\"");
    fits &= writer.text_within(unit, 320);
    writer.bytes(b"\",\"labels\":[");
    let mut i = 0;
    while i < labels.len() && writer.len < 600 {
        writer.bytes(if i == 0 { b"\"" } else { b",\"" });
        fits &= writer.text_within(labels[i], 640);
        writer.bytes(b"\"");
        i += 1;
    }
    fits &= i == labels.len();
    writer.bytes(b"],\"help\":\"");
    fits &= writer.text_within(help, METRIC_RECORD - CUT.len());
    writer.bytes(if fits { END } else { CUT });
    writer.bytes
}

/// Expands to: a static in the section of the records. What the derives expand to has one of its own making.
#[doc(hidden)]
#[macro_export]
macro_rules! __catalog_record {
    ($ty:ty = $value:expr) => {
        const _: () = {
            #[cfg(not(target_family = "wasm"))]
            #[used]
            #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__tasker,regular,no_dead_strip"))]
            #[cfg_attr(windows, unsafe(link_section = ".tasker"))]
            #[cfg_attr(not(any(target_vendor = "apple", windows)), unsafe(link_section = "tasker_catalog"))]
            static RECORD: $ty = $value;
        };
    };
}

/// Writes as long as there is room; what is over is dropped, since nothing may fail here.
struct Writer<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Writer<N> {
    const fn new() -> Self {
        Self { bytes: [0; N], len: 0 }
    }

    const fn byte(&mut self, byte: u8) {
        if self.len < N {
            self.bytes[self.len] = byte;
            self.len += 1;
        }
    }

    const fn bytes(&mut self, bytes: &[u8]) {
        // In one piece where there is room: a loop is dear when the compiler executes it.
        if bytes.len() <= N - self.len {
            let (_, rest) = self.bytes.split_at_mut(self.len);
            let (place, _) = rest.split_at_mut(bytes.len());
            place.copy_from_slice(bytes);
            self.len += bytes.len();
        }
    }

    const fn text(&mut self, text: &str) -> bool {
        self.text_within(text, N)
    }

    /// Writes as many whole characters as end before `limit`; whether these were all.
    const fn text_within(&mut self, text: &str, limit: usize) -> bool {
        let bytes = text.as_bytes();
        let mut i = 0;
        while i < bytes.len() {
            let mut end = i + 1;
            while end < bytes.len() && bytes[end] & 0b1100_0000 == 0b1000_0000 {
                end += 1;
            }
            if end - i == 1 {
                if self.len + escape_len(bytes[i]) > limit {
                    return false;
                }
                self.escape(bytes[i]);
            } else {
                if self.len + (end - i) > limit {
                    return false;
                }
                while i < end {
                    self.byte(bytes[i]);
                    i += 1;
                }
            }
            i = end;
        }
        true
    }

    const fn escape(&mut self, byte: u8) {
        match byte {
            b'"' | b'\\' => {
                self.byte(b'\\');
                self.byte(byte);
            }
            0..=0x1f => {
                const HEX: [u8; 16] = *b"0123456789abcdef";
                self.bytes(b"\\u00");
                self.byte(HEX[(byte >> 4) as usize]);
                self.byte(HEX[(byte & 15) as usize]);
            }
            _ => self.byte(byte),
        }
    }

    const fn number(&mut self, number: u32) {
        let mut left = digits(number);
        let mut unit = 1;
        while left > 1 {
            unit *= 10;
            left -= 1;
        }
        while unit > 0 {
            self.byte(b"0123456789"[(number / unit % 10) as usize]);
            unit /= 10;
        }
    }
}

const fn escaped_len(bytes: &[u8]) -> usize {
    let mut len = 0;
    let mut i = 0;
    while i < bytes.len() {
        len += escape_len(bytes[i]);
        i += 1;
    }
    len
}

const fn escape_len(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' => 2,
        0..=0x1f => 6,
        _ => 1,
    }
}

const fn digits(number: u32) -> usize {
    let (mut number, mut digits) = (number, 1);
    while number > 9 {
        number /= 10;
        digits += 1;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_joined_and_texts_escaped() {
        const PARTS: &[RecordPart] = &[
            RecordPart::Json("{\"a\":\""),
            RecordPart::Text("say \"ä\\\n"),
            RecordPart::Json("\",\"b\":["),
            RecordPart::Number(0),
            RecordPart::Json(","),
            RecordPart::Number(u32::MAX),
            RecordPart::Json("]}"),
        ];
        const RECORD: [u8; record_len(PARTS)] = record(PARTS);
        let json: serde_json::Value = serde_json::from_slice(&RECORD).unwrap();
        assert_eq!(json, serde_json::json!({"a": "say \"ä\\\n", "b": [0, 4_294_967_295_u32]}));
    }

    fn read(record: &[u8]) -> serde_json::Value {
        serde_json::from_slice(record.trim_ascii_end().strip_suffix(b"\n").unwrap_or(record).trim_ascii()).unwrap()
    }

    fn without_zeros(record: &[u8]) -> Vec<u8> {
        record.iter().copied().take_while(|byte| *byte != 0).collect()
    }

    #[test]
    fn a_metric_says_what_it_is() {
        let record =
            without_zeros(&metric_record("counter", "orders", "", &["status", "country"], "Orders \"taken\"."));
        assert_eq!(
            read(&record),
            serde_json::json!({"tasker": RECORD_VERSION, "kind": "metric", "type": "counter", "name": "orders", "unit": "",
                "labels": ["status", "country"], "help": "Orders \"taken\"."})
        );
    }

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        let long: &'static str = "ä\n".repeat(2_000).leak();
        for (name, labels, help) in [("a", &[] as &[&str], long), (long, &["a"], "b"), ("a", &[long; 9], long)] {
            let record = without_zeros(&metric_record("gauge", name, "", labels, help));
            assert!(record.len() < METRIC_RECORD && record.ends_with(b"}\n"));
            assert_eq!(read(&record)["cut"], true);
        }
    }
}
