//! Numbers that look random and are the same in every run (SplitMix64, public domain algorithm by S. Vigna).

/// A sequence of numbers fixed by its seed. A failing test names the seed, and the seed brings the failure back.
#[derive(Debug, Clone)]
pub struct Seed(u64);

impl Seed {
    /// The sequence of this number.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    ///
    /// # Panics
    /// If `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        // The bias of the remainder is far below what a test could notice.
        usize::try_from(self.number() % bound as u64).unwrap()
    }

    /// Heads or tails.
    pub fn flip(&mut self) -> bool {
        self.number() & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::Seed;

    #[test]
    fn the_published_first_numbers_of_seed_0() {
        let mut seed = Seed::new(0);
        assert_eq!([seed.number(), seed.number()], [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
    }
}
