//! Takes the place of `pkg/apis/batch`.

use crate::strategy::Strategy;

pub(crate) const STRATEGIES: &[Strategy] = &[];
