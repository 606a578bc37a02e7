//! A seeded sequence of numbers, the same on every machine.

/// xorshift64*: plenty for data that only has to look uneven.
#[derive(Debug, Clone)]
pub struct Draw(u64);

impl Draw {
    /// `seed` may be any number; zero is as good as another.
    pub fn new(seed: u64) -> Draw {
        Draw(seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// From zero to `bound - 1`; `bound` must not be zero.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.draw() >> 33) as usize % bound
    }

    /// Puts the first `count` places in an order of chance (Fisher and Yates).
    pub fn shuffle<T>(&mut self, all: &mut [T], count: usize) {
        for place in 0..count.min(all.len()) {
            let other = place + self.below(all.len() - place);
            all.swap(place, other);
        }
    }
}
