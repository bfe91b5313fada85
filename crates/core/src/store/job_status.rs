//! The status of a Job, and the set of completion indexes in it.

use std::collections::BTreeSet;
use std::fmt;

use super::time::Time;

/// The status that the Job controller computes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobStatus {
    /// Absent while the Job is suspended.
    pub start_time: Option<Time>,
    pub completion_time: Option<Time>,
    pub succeeded: u32,
    pub failed: u32,
    /// The indexes with a successful pod.
    pub completed_indexes: CompletionIndexes,
    /// The indexes that have failed finally, if `backoffLimitPerIndex` is set.
    pub failed_indexes: Option<CompletionIndexes>,
    /// Time of the latest failure, from which the backoff is computed.
    pub last_failure: Option<Time>,
    /// Number of successive failures.
    pub failures_in_row: u32,
}

/// A set of completion indexes, as `status.completedIndexes` writes it: `1,3-5`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompletionIndexes(BTreeSet<u32>);

impl CompletionIndexes {
    /// Adds an index.
    pub fn insert(&mut self, index: u32) {
        self.0.insert(index);
    }

    /// Whether it contains `index`.
    pub fn contains(&self, index: u32) -> bool {
        self.0.contains(&index)
    }

    /// Number of indexes.
    pub fn len(&self) -> u32 {
        self.0.len() as u32
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of indexes from `first` to `last`, both included.
    pub fn count_between(&self, first: u32, last: u32) -> u32 {
        if first > last { 0 } else { self.0.range(first..=last).count() as u32 }
    }

    /// Removes the indexes from `end` on.
    pub fn truncate(&mut self, end: u32) {
        self.0.split_off(&end);
    }

    /// Parses `1,3-5`, without the indexes from `end` on.
    pub(super) fn parse(text: &str, end: u32) -> Self {
        let mut all = BTreeSet::new();
        // Intervals are sorted and do not overlap: the work is bounded by the length of the text and by `end`.
        let mut next = 0;
        for (first, last) in index_intervals(text) {
            let until = last.saturating_add(1).min(end);
            all.extend(next.max(first)..until);
            next = next.max(until);
        }
        CompletionIndexes(all)
    }

    /// All indexes, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter().copied()
    }
}

/// The intervals of `1,3-5`, both ends included, as written; invalid ones are skipped (indexed_job_utils.go,
/// parseIndexesFromString).
pub(crate) fn index_intervals(text: &str) -> impl Iterator<Item = (u32, u32)> {
    text.split(',').filter_map(|interval| {
        let (first, last) = interval.split_once('-').unwrap_or((interval, interval));
        Some((first.parse().ok()?, last.parse().ok()?))
    })
}

/// Three or more consecutive indexes are written with a dash (indexed_job_utils.go, orderedIntervals.String).
impl fmt::Display for CompletionIndexes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = self.0.iter().copied().peekable();
        let mut separator = "";
        while let Some(first) = all.next() {
            let mut last = first;
            while let Some(next) = all.next_if_eq(&(last + 1)) {
                last = next;
            }
            match last - first {
                0 => write!(f, "{separator}{first}")?,
                1 => write!(f, "{separator}{first},{last}")?,
                _ => write!(f, "{separator}{first}-{last}")?,
            }
            separator = ",";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_parsed_as_indexes() {
        let table = [
            ("", ""),
            ("0,2-3", "0,2,3"),
            ("1,3-9", "1,3-5"),
            ("2-4294967295", "2-5"),
            ("4,1-2", "4"),
            ("a,1-b,3", "3"),
        ];
        for (text, expected) in table {
            assert_eq!(CompletionIndexes::parse(text, 6).to_string(), expected, "{text}");
        }
    }

    #[test]
    fn indexes_are_written_as_ranges() {
        let table: [(&[u32], &str); 5] =
            [(&[], ""), (&[0], "0"), (&[0, 1], "0,1"), (&[1, 3, 4, 5, 7], "1,3-5,7"), (&[0, 1, 2], "0-2")];
        for (indexes, expected) in table {
            let mut set = CompletionIndexes::default();
            indexes.iter().for_each(|index| set.insert(*index));
            assert_eq!(set.to_string(), expected);
        }
    }
}
