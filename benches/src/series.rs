//! One figure over several runs, and how people read it: the median, with the lowest and the highest beside it.

/// One value per run, in the unit that `Unit` names.
#[derive(Debug, Clone, Default)]
pub struct Series(Vec<f64>);

#[derive(Debug, Clone, Copy)]
pub enum Unit {
    PerSecond,
    Nanoseconds,
    Bytes,
    Kilobytes,
    Fraction,
}

impl Series {
    pub fn add(&mut self, value: f64) {
        self.0.push(value);
    }

    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.get(middle) {
            None => f64::NAN,
            Some(_) if sorted.len().is_multiple_of(2) => f64::midpoint(sorted[middle - 1], sorted[middle]),
            Some(value) => *value,
        }
    }

    /// Run by run, so that what slowed a whole minute down does not count.
    pub fn over(&self, base: &Self) -> Self {
        Self(self.0.iter().zip(&base.0).map(|(value, base)| value / base).collect())
    }

    pub fn shown(&self, unit: Unit) -> String {
        let (low, high) =
            self.0.iter().fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(*value), high.max(*value)));
        match self.0.len() {
            0 => "–".into(),
            1 => unit.shown(self.median()),
            _ => format!("{} ({}–{})", unit.shown(self.median()), unit.shown(low), unit.shown(high)),
        }
    }
}

impl FromIterator<f64> for Series {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

impl Unit {
    fn shown(self, value: f64) -> String {
        match self {
            Self::PerSecond if value >= 10_000.0 => format!("{:.1}k/s", value / 1e3),
            Self::PerSecond if value >= 1000.0 => format!("{:.2}k/s", value / 1e3),
            Self::PerSecond => format!("{value:.0}/s"),
            Self::Nanoseconds if value >= 10e6 => format!("{:.0} ms", value / 1e6),
            Self::Nanoseconds if value >= 200e3 => format!("{:.2} ms", value / 1e6),
            Self::Nanoseconds if value >= 10e3 => format!("{:.0} µs", value / 1e3),
            Self::Nanoseconds => format!("{:.1} µs", value / 1e3),
            Self::Bytes => format!("{:.1} MB", value / 1e6),
            Self::Kilobytes => format!("{:.1} KB", value / 1024.0),
            Self::Fraction => format!("{:.0} %", value * 100.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_runs_is_shown_with_the_spread() {
        let series: Series = [3000.0, 1000.0, 2000.0].into_iter().collect();
        assert_eq!(series.shown(Unit::PerSecond), "2.00k/s (1.00k/s–3.00k/s)");
        let half: Series = [1500.0, 500.0, 1000.0].into_iter().collect();
        assert_eq!(half.over(&series).shown(Unit::Fraction), "50 % (50 %–50 %)");
        let even: Series = [1e6, 2e6].into_iter().collect();
        assert_eq!(even.shown(Unit::Nanoseconds), "1.50 ms (1.00 ms–2.00 ms)");
    }
}
