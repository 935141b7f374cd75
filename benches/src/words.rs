//! Messages to write: made-up words, some far more frequent than others as in a language, the same in each run.

/// Different messages; they come round again after so many.
const TEXTS: usize = 8192;
const VOCABULARY: usize = 20_000;
const LENGTH: usize = 100;
const SYLLABLES: [&str; 16] =
    ["ba", "ce", "di", "fo", "gu", "ka", "le", "mi", "no", "pu", "ra", "se", "ti", "vo", "wu", "za"];

/// A repeatable source of numbers (splitmix64).
#[derive(Debug, Clone)]
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to 1.
    fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// See the module's text.
#[derive(Debug)]
pub struct Texts(Vec<String>);

impl Texts {
    pub fn new() -> Self {
        let mut numbers = Numbers::new(7);
        Self((0..TEXTS).map(|_| text(&mut numbers)).collect())
    }

    /// About 100 bytes.
    pub fn get(&self, number: usize) -> &str {
        &self.0[number % TEXTS]
    }
}

fn text(numbers: &mut Numbers) -> String {
    let mut text = String::with_capacity(LENGTH + 10);
    while text.len() < LENGTH - 5 {
        if !text.is_empty() {
            text.push(' ');
        }
        let rank = (VOCABULARY as f64 * numbers.fraction().powi(3)) as usize;
        push_word(&mut text, rank);
    }
    text
}

/// The word of this rank: its hexadecimal digits as syllables.
fn push_word(text: &mut String, mut rank: usize) {
    loop {
        text.push_str(SYLLABLES[rank % SYLLABLES.len()]);
        rank /= SYLLABLES.len();
        if rank == 0 {
            return;
        }
    }
}
