//! Takes the place of `pkg/apis/scheduling`.

use crate::strategy::Strategy;

pub(crate) const STRATEGIES: &[Strategy] = &[];
