//! Luck that can be repeated: the same seed and the same words give the same number, in whatever order tasks ask.

/// A number that looks like chance.
pub fn draw(seed: u64, what: &str) -> u64 {
    // FNV-1a, then the last step of SplitMix64, so that near words have far numbers.
    let hash = what
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325 ^ seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let mixed = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// True so often, of 1.
pub fn happens(seed: u64, what: &str, share: f64) -> bool {
    (draw(seed, what) as f64 / u64::MAX as f64) < share
}

/// A number of the environment, or what is usual.
pub fn number_of(variable: &str, usual: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is `{text}`, and must be a number")),
        Err(_) => usual,
    }
}
