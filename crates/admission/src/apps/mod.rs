//! Takes the place of `pkg/apis/apps`.

use crate::strategy::Strategy;

pub(crate) const STRATEGIES: &[Strategy] = &[];
