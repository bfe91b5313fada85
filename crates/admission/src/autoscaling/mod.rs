//! Takes the place of `pkg/apis/autoscaling`.

use crate::strategy::Strategy;

pub(crate) const STRATEGIES: &[Strategy] = &[];
