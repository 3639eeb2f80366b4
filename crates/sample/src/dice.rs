//! The only source of chance in the sample data: a `ChaCha8` stream that is named by a seed and a number.
//!
//! Built on the raw words of the generator, not on `rand`'s distributions: those may change with a release of `rand`,
//! `ChaCha8` may not.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A stream of decisions; equal seed and stream decide equally.
#[derive(Debug)]
pub(super) struct Dice(ChaCha8Rng);

// === impl Dice ===

impl Dice {
    /// The decisions of `stream` under `seed`. Streams do not disturb each other.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        let mut words = ChaCha8Rng::from_seed(key);
        words.set_stream(stream);
        Self(words)
    }

    /// A number of `low..high`.
    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * f64::from(self.0.next_u32()) / f64::from(u32::MAX)
    }

    /// A whole number from `low` to `high`, both included.
    pub(super) fn count(&mut self, low: u32, high: u32) -> u32 {
        low + self.0.next_u32() % (high.saturating_sub(low) + 1)
    }

    /// Whether something happens that happens in `percent` of the cases.
    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.0.next_u32() % 100 < percent
    }

    /// One of `items`, which is never empty.
    pub(super) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.0.next_u32() as usize % items.len()]
    }

    /// Puts `items` into a new order.
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.0.next_u32() as usize % (last + 1);
            items.swap(last, other);
        }
    }
}
