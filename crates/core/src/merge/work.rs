//! How much work one patch may be: operations times the lengths of the lists they concern. A request of a few megabytes
//! could ask for minutes otherwise. Must not depend on what a patch means.

use super::MergeError;

/// Maximum of list items that one patch may move or compare, in items: a few tenths of a second. Objects of three
/// megabytes that are merged item by item stay below.
const ITEMS: usize = 4_000_000;

/// What is left of it.
#[derive(Debug)]
pub(super) struct Work(usize);

impl Default for Work {
    fn default() -> Self {
        Work(ITEMS)
    }
}

impl Work {
    /// Counts `items` more.
    ///
    /// # Errors
    /// [`MergeError::TooMuchWork`] when that is more than one patch may be.
    pub(super) fn spend(&mut self, items: usize) -> Result<(), MergeError> {
        self.0 = self.0.checked_sub(items).ok_or_else(|| {
            MergeError::TooMuchWork(format!(
                "the patch moves or compares more than {ITEMS} list items; send the new list instead, or several patches"
            ))
        })?;
        Ok(())
    }
}
