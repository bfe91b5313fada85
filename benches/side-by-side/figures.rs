//! Summaries of measurements. Must not depend on what was measured.

use std::time::Duration;

/// The median; the mean of the middle two for an even number. NaN without values.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count => (values[(count - 1) / 2] + values[count / 2]) / 2.0,
    }
}

/// The median of `figure` over `samples`.
pub fn median_of<T>(samples: &[T], figure: impl Fn(&T) -> f64) -> f64 {
    median(samples.iter().map(figure))
}

/// A distribution of times.
#[derive(Clone, Debug, Default)]
pub struct Times(Vec<u32>);

impl Times {
    /// Adds a time; more than four seconds count as four.
    pub fn push(&mut self, time: Duration) {
        self.0.push(u32::try_from(time.as_nanos()).unwrap_or(u32::MAX));
    }

    /// Adds all times of another distribution.
    pub fn append(&mut self, other: &Times) {
        self.0.extend(&other.0);
    }

    /// The number of times.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The quantile (0 to 1), in microseconds. NaN without any times.
    pub fn at(&mut self, share: f64) -> f64 {
        let Some(last) = self.0.len().checked_sub(1) else { return f64::NAN };
        let at = (last as f64 * share).ceil() as usize;
        f64::from(*self.0.select_nth_unstable(at.min(last)).1) / 1e3
    }
}
