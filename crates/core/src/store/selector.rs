//! Label selectors.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;

use super::names::{Labels, Name};
use super::values::nullable;

/// A selector of a workload: all requirements have to match. An empty one matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LabelSelector {
    #[serde(deserialize_with = "nullable")]
    pub match_labels: Labels,
    #[serde(deserialize_with = "nullable")]
    pub match_expressions: Box<[Requirement]>,
}

/// A requirement of one label.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Requirement {
    pub key: Name,
    pub operator: Operator,
    /// For `In` and `NotIn`.
    #[serde(default, deserialize_with = "nullable")]
    pub values: Vec<Name>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

impl LabelSelector {
    /// The selector of objects with all of `labels`.
    pub fn of(labels: Labels) -> Self {
        LabelSelector { match_labels: labels, ..LabelSelector::default() }
    }

    /// Whether it has no requirements, and so matches everything.
    pub fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty()
    }

    /// Whether objects with `labels` match.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.match_labels.matches(labels)
            && self.match_expressions.iter().all(|r| r.admits(labels.get(&r.key)))
    }
}

impl Requirement {
    /// Whether the label with this value, or without one, matches. An absent label has none of any values.
    pub fn admits(&self, value: Option<&str>) -> bool {
        let listed = || self.values.iter().any(|listed| Some(listed.as_str()) == value);
        match self.operator {
            Operator::In => listed(),
            Operator::NotIn => !listed(),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

/// `app=db,tier in (cache,store),!legacy`, by key, like apimachinery's `labels.Selector`.
impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let equal = self.match_labels.iter().map(|(key, value)| (key, format!("{key}={value}")));
        let others = self
            .match_expressions
            .iter()
            .map(|requirement| (requirement.key.as_str(), requirement.to_string()));
        let mut all: Vec<_> = equal.chain(others).collect();
        all.sort_by_key(|&(key, _)| key);
        for (at, (_, requirement)) in all.into_iter().enumerate() {
            write!(f, "{}{requirement}", if at > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        let values = || self.values.iter().map(Name::as_str).collect::<BTreeSet<_>>();
        let listed = || values().into_iter().collect::<Vec<_>>().join(",");
        match self.operator {
            Operator::In => write!(f, "{key} in ({})", listed()),
            Operator::NotIn => write!(f, "{key} notin ({})", listed()),
            Operator::Exists => write!(f, "{key}"),
            Operator::DoesNotExist => write!(f, "!{key}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_match_labels() {
        let labels: Labels = [("app", "db"), ("tier", "cache")].into_iter().collect();
        let table = [
            ("{}", true, ""),
            ("{matchLabels: {app: db}}", true, "app=db"),
            ("{matchLabels: {app: db, tier: store}}", false, "app=db,tier=store"),
            (
                "{matchExpressions: [{key: tier, operator: In, values: [store, cache]}]}",
                true,
                "tier in (cache,store)",
            ),
            ("{matchExpressions: [{key: x, operator: In, values: [store]}]}", false, "x in (store)"),
            (
                "{matchExpressions: [{key: tier, operator: NotIn, values: [cache]}]}",
                false,
                "tier notin (cache)",
            ),
            ("{matchExpressions: [{key: x, operator: NotIn, values: [cache]}]}", true, "x notin (cache)"),
            ("{matchExpressions: [{key: app, operator: Exists}]}", true, "app"),
            ("{matchExpressions: [{key: app, operator: DoesNotExist}]}", false, "!app"),
            (
                "{matchLabels: {tier: cache}, matchExpressions: [{key: b, operator: DoesNotExist}]}",
                true,
                "!b,tier=cache",
            ),
        ];
        for (text, expected, shown) in table {
            let selector: LabelSelector = serde_yaml::from_str(text).expect(text);
            assert_eq!((selector.matches(&labels), &*selector.to_string()), (expected, shown), "{text}");
        }
    }
}
