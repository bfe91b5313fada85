//! Limits the work of one patch: the sum over its operations of the lengths of the affected lists. A request of a few
//! megabytes could take minutes otherwise. Must not depend on the meaning of a patch.

use super::MergeError;

/// Maximum number of list items that one patch may move or compare: a few tenths of a second. Merging objects of three
/// megabytes item by item stays below it.
const ITEMS_MAX: usize = 4_000_000;

/// The remaining budget of a patch.
#[derive(Debug)]
pub(super) struct Work(usize);

impl Default for Work {
    fn default() -> Self {
        Work(ITEMS_MAX)
    }
}

impl Work {
    /// Charges `items`.
    ///
    /// # Errors
    /// [`MergeError::TooMuchWork`] if the budget is exceeded.
    pub(super) fn spend(&mut self, items: usize) -> Result<(), MergeError> {
        self.0 = self.0.checked_sub(items).ok_or_else(|| {
            MergeError::TooMuchWork(format!(
                "the patch moves or compares more than {ITEMS_MAX} list items; send the new list instead, or several patches"
            ))
        })?;
        Ok(())
    }
}
