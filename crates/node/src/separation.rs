//! Which addresses do not reach each other, as behind cut cables. Must not depend on how packets are dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Maximum number of addresses of one change: a message with them stays below its maximum size.
const CHANGE_MAX: usize = 1000;

/// Pairs of addresses between which no packet passes, in either direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Separations(BTreeMap<IpAddr, BTreeSet<IpAddr>>);

/// A change of what one address sends to others.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) of: IpAddr,
    pub(crate) others: Vec<IpAddr>,
    pub(crate) separated: bool,
}

impl Separations {
    /// Separates two addresses.
    pub fn separate(&mut self, one: IpAddr, other: IpAddr) {
        self.0.entry(one).or_default().insert(other);
        self.0.entry(other).or_default().insert(one);
    }

    /// Whether two addresses are separated.
    pub fn are_separated(&self, one: IpAddr, other: IpAddr) -> bool {
        self.0.get(&one).is_some_and(|others| others.contains(&other))
    }

    /// Whether no addresses are separated.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What changes on the way from `before` to these.
    pub(crate) fn changes_from(&self, before: &Separations) -> Vec<Change> {
        let mut changes = missing(before, self, true);
        changes.extend(missing(self, before, false));
        changes
    }
}

/// What `from` lacks of `to`.
fn missing(from: &Separations, to: &Separations, separated: bool) -> Vec<Change> {
    let mut changes = Vec::new();
    for (of, others) in &to.0 {
        let there = from.0.get(of);
        let lacking = others.iter().filter(|other| !there.is_some_and(|there| there.contains(other)));
        let lacking: Vec<IpAddr> = lacking.copied().collect();
        changes.extend(lacking.chunks(CHANGE_MAX).map(|others| Change {
            of: *of,
            others: others.to_vec(),
            separated,
        }));
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Separations {
        let mut separations = Separations::default();
        for pair in text.split_whitespace() {
            let (one, other) = pair.split_once('|').unwrap();
            separations.separate(one.parse().unwrap(), other.parse().unwrap());
        }
        separations
    }

    /// Pairs before and after, and the changes.
    #[test]
    fn only_what_changes_is_changed() {
        let table = [
            ("", "1.0.0.1|1.0.0.2", "+1.0.0.1:1.0.0.2 +1.0.0.2:1.0.0.1"),
            ("1.0.0.1|1.0.0.2", "1.0.0.1|1.0.0.2", ""),
            ("1.0.0.1|1.0.0.2 1.0.0.1|1.0.0.3", "1.0.0.1|1.0.0.3", "-1.0.0.1:1.0.0.2 -1.0.0.2:1.0.0.1"),
            ("1.0.0.1|1.0.0.2", "", "-1.0.0.1:1.0.0.2 -1.0.0.2:1.0.0.1"),
        ];
        for (before, after, expected) in table {
            let changes = pairs(after).changes_from(&pairs(before));
            let written: Vec<String> = changes
                .iter()
                .flat_map(|change| change.others.iter().map(move |other| (change, other)))
                .map(|(change, other)| {
                    format!("{}{}:{other}", if change.separated { '+' } else { '-' }, change.of)
                })
                .collect();
            assert_eq!(written.join(" "), expected, "{before} to {after}");
        }
    }

    #[test]
    fn both_directions_are_separated() {
        let separations = pairs("1.0.0.1|1.0.0.2");
        let ip = |text: &str| text.parse().unwrap();
        for (one, other, expected) in
            [("1.0.0.1", "1.0.0.2", true), ("1.0.0.2", "1.0.0.1", true), ("1.0.0.1", "1.0.0.3", false)]
        {
            assert_eq!(separations.are_separated(ip(one), ip(other)), expected, "{one} {other}");
        }
    }
}
