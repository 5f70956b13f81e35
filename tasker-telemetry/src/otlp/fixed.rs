//! What is the same for all spans of one step, written once.

use std::collections::HashMap;

use super::wire::Writer;

/// What it depends on.
type Key = (usize, usize);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Fixed {
    places: HashMap<Key, usize>,
    texts: Vec<Box<[u8]>>,
    /// Spans of one step often follow one another.
    last: Option<(Key, usize)>,
    scratch: Writer,
}

/// How many steps, each in each of its tasks, are kept; a program has no more, and one that does starts over.
const KEPT: usize = 4_096;

impl Fixed {
    /// What was written for that key, or is now.
    #[inline]
    pub(super) fn get(&mut self, key: Key, write: impl FnOnce(&mut Writer)) -> &[u8] {
        let place = match self.last {
            Some((last, place)) if last == key => place,
            _ => self.find(key, write),
        };
        self.texts.get(place).map_or(&[], |text| text)
    }

    fn find(&mut self, key: Key, write: impl FnOnce(&mut Writer)) -> usize {
        let place = if let Some(known) = self.places.get(&key) {
            *known
        } else {
            if self.texts.len() >= KEPT {
                self.places.clear();
                self.texts.clear();
            }
            self.scratch.clear();
            write(&mut self.scratch);
            self.texts.push(self.scratch.as_slice().into());
            self.places.insert(key, self.texts.len() - 1);
            self.texts.len() - 1
        };
        self.last = Some((key, place));
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_own_and_is_written_once_unless_there_are_too_many() {
        let (mut fixed, mut written) = (Fixed::default(), 0);
        for round in 1..=3 {
            for number in (0..KEPT).chain([0, 0, 1, KEPT - 1]) {
                let text = number.to_string();
                let bytes = fixed.get((number, 7), |out| {
                    written += 1;
                    out.raw(text.as_bytes());
                });
                assert_eq!(bytes, text.as_bytes(), "in round {round}");
            }
        }
        assert_eq!(written, KEPT);
        assert_eq!(fixed.get((1, 8), |out| out.raw(b"another")), b"another");
        assert_eq!(fixed.get((1, 7), |out| out.raw(b"again")), b"again", "it has started over");
        assert_eq!(fixed.get((1, 7), |_| unreachable!()), b"again");
    }
}
