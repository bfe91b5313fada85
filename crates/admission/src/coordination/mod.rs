//! Takes the place of `pkg/apis/coordination`.

use crate::strategy::Strategy;

pub(crate) const STRATEGIES: &[Strategy] = &[];
