//! Takes the place of `pkg/apis/networking`.

use crate::strategy::Strategy;

pub(crate) const STRATEGIES: &[Strategy] = &[];
