//! Takes the place of `pkg/apis/storage`.

use crate::strategy::Strategy;

pub(crate) const STRATEGIES: &[Strategy] = &[];
