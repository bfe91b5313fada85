//! When an Indexed Job has succeeded before all of its indexes have (success_policy.go).

use super::Sync;
use crate::store::SuccessRule;

impl Sync<'_> {
    /// Which rule of the success policy matches, as the condition states it (matchSuccessPolicy).
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

/// The intervals of `0,2-4` below `completions`, both ends included; what is no number is left out
/// (parseIndexesFromString).
fn intervals(text: &str, completions: u32) -> Vec<(u32, u32)> {
    let parsed = text.split(',').filter_map(|interval| {
        let (first, last) = interval.split_once('-').unwrap_or((interval, interval));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        (first <= last).then_some((first, last))
    });
    let within = parsed.take_while(|(first, _)| *first < completions);
    within.map(|(first, last)| (first, last.min(completions - 1))).collect()
}
