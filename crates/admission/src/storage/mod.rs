//! Takes the place of `pkg/apis/storage`.

mod classes;

use crate::strategy::Strategy;

pub(crate) const STRATEGIES: &[Strategy] = &[classes::STORAGE_CLASS];
