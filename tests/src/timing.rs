//! Whether two kinds of answers can be told apart by how long they take.

use std::time::Duration;

/// How often a sample of `first` is slower than one of `second`, ties counted half: 0.5 when time tells nothing, 0 or 1 when one
/// look is enough. This is the statistic of Mann and Whitney, divided by the number of pairs (the area under the ROC curve).
pub fn slower_share(first: &[Duration], second: &[Duration]) -> f64 {
    let score = |one: &Duration, other: &Duration| match one.cmp(other) {
        std::cmp::Ordering::Greater => 2_u32,
        std::cmp::Ordering::Equal => 1,
        std::cmp::Ordering::Less => 0,
    };
    let wins: u32 = first.iter().flat_map(|one| second.iter().map(move |other| score(one, other))).sum();
    let pairs = u32::try_from(first.len() * second.len()).unwrap_or(u32::MAX);
    f64::from(wins) / (2.0 * f64::from(pairs.max(1)))
}

/// How far from 0.5 the share of equal kinds strays once in some thousand runs: four standard deviations.
pub fn chance(first: u32, second: u32) -> f64 {
    let (n, m) = (f64::from(first), f64::from(second));
    4.0 * ((n + m + 1.0) / (12.0 * n * m)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_kinds_are_even_and_others_are_not() {
        let ms = |from: u64, to: u64| (from..to).map(Duration::from_millis).collect::<Vec<_>>();
        assert!((slower_share(&ms(0, 100), &ms(0, 100)) - 0.5).abs() < 1e-9);
        assert!(slower_share(&ms(100, 200), &ms(0, 100)) > 0.999);
        assert!((0.16..0.17).contains(&chance(100, 100)));
    }
}
