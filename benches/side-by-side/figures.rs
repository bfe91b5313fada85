//! Many measurements, one figure. It must not know what was measured.

use std::time::Duration;

/// The middle one; the mean of both, if there are two. Nothing gives NaN.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count => (values[(count - 1) / 2] + values[count / 2]) / 2.0,
    }
}

/// The median of what `figure` says of each of `samples`.
pub fn median_of<T>(samples: &[T], figure: impl Fn(&T) -> f64) -> f64 {
    median(samples.iter().map(figure))
}

/// How long each of many things took.
#[derive(Clone, Debug, Default)]
pub struct Times(Vec<u32>);

impl Times {
    /// One more; what takes more than four seconds counts as four.
    pub fn push(&mut self, time: Duration) {
        self.0.push(u32::try_from(time.as_nanos()).unwrap_or(u32::MAX));
    }

    /// All of another's as well.
    pub fn append(&mut self, other: &Times) {
        self.0.extend(&other.0);
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The time in microseconds that this share of all (0 to 1) took at most. NaN without any.
    pub fn at(&mut self, share: f64) -> f64 {
        let Some(last) = self.0.len().checked_sub(1) else { return f64::NAN };
        let at = (last as f64 * share).ceil() as usize;
        f64::from(*self.0.select_nth_unstable(at.min(last)).1) / 1e3
    }
}
