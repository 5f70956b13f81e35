//! Chance that repeats itself: what happens to an attempt depends on the seed and on which attempt it is, and on nothing
//! else. No generator is shared, so neither the timing nor the other orders have a say.

/// The random numbers of one attempt.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    /// Those of the given attempt (from 1) of the given step of the given order.
    pub(crate) fn new(seed: u64, order_id: &str, step: &str, attempt: u32) -> Self {
        // FNV-1a. A byte that no text contains ends each part, so that ("a", "bc") and ("ab", "c") differ.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let parts: [&[u8]; 4] = [&seed.to_le_bytes(), order_id.as_bytes(), step.as_bytes(), &attempt.to_le_bytes()];
        for byte in parts.into_iter().flat_map(|part| part.iter().copied().chain([0xff])) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Self(hash)
    }

    /// The next number, from 0 up to but not including 1.
    fn draw(&mut self) -> f64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        f64::from(u32::try_from(bits >> 32).unwrap_or(u32::MAX)) / 4_294_967_296.0
    }

    /// True in so many of a hundred cases.
    pub(crate) fn hits(&mut self, percent: f64) -> bool {
        self.draw() * 100.0 < percent
    }

    /// A number between the two.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + self.draw() * (high - low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_attempt_has_the_same_luck() {
        let draws = |mut chance: Chance| [chance.draw(), chance.draw(), chance.draw()].map(f64::to_bits);
        let first = draws(Chance::new(42, "ORD-1", "charge", 1));
        assert_eq!(first, draws(Chance::new(42, "ORD-1", "charge", 1)));
        for other in [
            Chance::new(43, "ORD-1", "charge", 1),
            Chance::new(42, "ORD-", "1charge", 1),
            Chance::new(42, "ORD-1", "charge", 2),
        ] {
            assert_ne!(first, draws(other));
        }
    }

    #[test]
    fn ten_percent_are_ten_percent() {
        let hits = (0..10_000).filter(|attempt| Chance::new(1, "A", "b", *attempt).hits(10.0)).count();
        assert!((900..1_100).contains(&hits), "{hits}");
        let mean = (0..10_000).map(|attempt| Chance::new(1, "A", "b", attempt).between(20.0, 40.0)).sum::<f64>() / 1e4;
        assert!((29.5..30.5).contains(&mean), "{mean}");
    }
}
