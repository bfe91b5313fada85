//! The success policy of an Indexed Job (success_policy.go).

use super::Sync;
use crate::store::{SuccessRule, index_intervals};

impl Sync<'_> {
    /// The rule of the success policy that matches, in the words of the condition (matchSuccessPolicy).
    pub(super) fn success_policy_met(&self) -> Option<String> {
        if !self.is_indexed() || self.facts.completed_indexes.is_empty() {
            return None;
        }
        let rules = &self.job.spec.success_policy.rules;
        let at = rules.iter().position(|rule| self.meets(rule))?;
        Some(format!("Matched rules at index {at}"))
    }

    fn meets(&self, rule: &SuccessRule) -> bool {
        let completed = &self.facts.completed_indexes;
        let Some(indexes) = &rule.succeeded_indexes else {
            return rule.succeeded_count.is_some_and(|count| completed.len() >= count);
        };
        let required = intervals(indexes, self.completions().unwrap_or(0));
        let total = required.iter().map(|(first, last)| last - first + 1).sum::<u32>();
        let met = required.iter().map(|(first, last)| completed.count_between(*first, *last)).sum::<u32>();
        total > 0 && (met == total || rule.succeeded_count.is_some_and(|count| met >= count))
    }
}

/// The intervals of `0,2-4` below `completions`, both ends included. Invalid and unordered intervals are omitted, so
/// the sum of their lengths is at most `completions`.
fn intervals(text: &str, completions: u32) -> Vec<(u32, u32)> {
    let mut next = 0;
    let within = index_intervals(text).filter_map(|(first, last)| {
        let last = last.min(completions.checked_sub(1)?);
        if first < next || first > last {
            return None;
        }
        next = last + 1;
        Some((first, last))
    });
    within.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_sorted_and_within_the_completions() {
        let table: [(&str, &[(u32, u32)]); 6] = [
            ("", &[]),
            ("0,2-4", &[(0, 0), (2, 4)]),
            ("0-4294967295,0-4294967295", &[(0, 5)]),
            ("4-2,3", &[(3, 3)]),
            ("6,a,5-9", &[(5, 5)]),
            ("1-2,2-3", &[(1, 2)]),
        ];
        for (text, expected) in table {
            assert_eq!(intervals(text, 6), expected, "{text}");
        }
        assert!(intervals("0", 0).is_empty());
    }
}
