//! Validates our own kind Fault: contradictions in it would silently change its effect.

use super::{Check, Fault as Wrong};
use crate::fault::{Action, Actions, FaultSpec, Transport};
use crate::store::Fault;

/// Maximum number of actions, steps or clients.
const LIST_MAX: usize = 256;

impl Check {
    pub(super) fn fault(&mut self, fault: &Fault) {
        let spec = &fault.spec;
        let set = [!spec.actions.is_empty(), !spec.sequence.is_empty(), spec.preset.is_some()];
        match set.into_iter().filter(|is_set| *is_set).count() {
            0 => {
                let help = "write actions: [servfail], a sequence, or a preset";
                let message = "has no actions";
                self.push("spec".into(), Wrong::Missing, message.into(), Some(help.into()));
            }
            1 => {}
            _ => self.add("spec", "only one of actions, sequence and preset is allowed"),
        }
        self.lists(spec);
        self.actions("spec.actions", &spec.actions);
        for (at, step) in spec.sequence.iter().enumerate().take(LIST_MAX) {
            self.actions(&format!("spec.sequence[{at}]"), step);
        }
        if spec.lasting.is_some_and(|lasting| lasting.is_zero()) {
            self.add("spec.for", "0s has no effect; omit it for a fault that lasts until it is deleted");
        }
        if spec.times == Some(0) {
            self.add("spec.times", "0 has no effect; omit it for a fault without a limit");
        }
        self.connections(&spec.expanded());
    }

    fn lists(&mut self, spec: &FaultSpec) {
        let matching = &spec.matching;
        let lists = [
            ("spec.actions", spec.actions.0.len()),
            ("spec.sequence", spec.sequence.len()),
            ("spec.match.types", matching.types.len()),
            ("spec.match.clients", matching.clients.len()),
        ];
        for (path, length) in lists.into_iter().filter(|(_, length)| *length > LIST_MAX) {
            self.add(path, format!("has {length} entries, the maximum is {LIST_MAX}"));
        }
    }

    fn actions(&mut self, path: &str, actions: &Actions) {
        for (at, action) in actions.iter().enumerate().take(LIST_MAX) {
            if let Some(other) = actions.0[..at].iter().find(|other| other.contradicts(action)) {
                let message = format!("`{action}` and `{other}` cannot both apply to one answer");
                self.add(format!("{path}[{at}]"), message);
            }
        }
    }

    /// The action for a connection is chosen before its first question.
    fn connections(&mut self, spec: &FaultSpec) {
        let Some(action) = spec.all_actions().find(|action| matches!(action, Action::Tcp(_))) else { return };
        let matching = &spec.matching;
        let help = "match clients, or write another fault for the questions";
        if matching.name.is_some() || !matching.types.is_empty() {
            let path = if matching.name.is_some() { "spec.match.name" } else { "spec.match.types" };
            let message = format!("there is no question yet when `{action}` applies to a connection");
            self.add_with_help(path, message, help);
        }
        if matching.transport == Some(Transport::Udp) {
            self.add("spec.match.transport", format!("`{action}` does not apply to udp"));
        }
        if !spec.sequence.is_empty() {
            let message = format!("counts questions, but `{action}` applies to connections");
            self.add_with_help("spec.sequence", message, "write another fault for the connections");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::manifest::read_bytes;

    fn problems(spec: &str) -> Vec<String> {
        let text =
            format!("apiVersion: clusterlocal.dev/v1\nkind: Fault\nmetadata: {{name: f}}\nspec:\n  {spec}\n");
        let manifest = read_bytes("f.yaml", text.into());
        assert_eq!(manifest.objects.is_empty(), !manifest.problems.is_empty(), "{spec}");
        manifest.problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn unknown_kinds_of_our_group_are_errors() {
        let table = [
            ("Falut", "f.yaml:2:7: kind: there is no Falut in clusterlocal.dev/v1; did you mean `Fault`?"),
            (
                "Chaos",
                "f.yaml:2:7: kind: there is no Chaos in clusterlocal.dev/v1; the kinds are Topology, Fault, Partition and Scenario",
            ),
        ];
        for (kind, expected) in table {
            let text = format!("apiVersion: clusterlocal.dev/v1\nkind: {kind}\nmetadata: {{name: f}}\n");
            let problems = read_bytes("f.yaml", text.into()).problems;
            assert_eq!(problems.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
        }
    }

    #[test]
    fn valid_faults_are_accepted() {
        let table = [
            "actions: [delay 3s ±500ms, servfail]",
            "actions: [truncate, tcp refuse]",
            "sequence: [ok, ok, drop, \"delay 1s, nxdomain\"]",
            "preset: dns-outage 30s",
            "preset: flaky\n  match: {probability: 0.5, clients: [a-0, ns/b-1, \"fd00::/64\"]}\n  times: 3\n  after: 1m\n  for: 1h30m\n  seed: 18446744073709551615",
            "actions: [omit 1, keep a-1.*]",
        ];
        for spec in table {
            assert_eq!(problems(spec), Vec::<String>::new(), "{spec}");
        }
    }

    #[test]
    fn invalid_faults_are_refused_with_suggestions() {
        let table: &[(&str, &[&str])] = &[
            (
                "actions: [servfial]",
                &[
                    "f.yaml:5:13: Fault f: spec.actions[0]: \"servfial\" is not an action such as servfail, drop or delay 3s; did you mean `servfail`?",
                ],
            ),
            ("action: [servfail]", &["f.yaml:5:3: Fault f: spec: unknown field `action`, expected one of"]),
            (
                "match: {type: [A]}\n  actions: [drop]",
                &["f.yaml:5:11: Fault f: spec.match: unknown field `type`, expected one of"],
            ),
            (
                "match: {types: [AAAAA]}\n  actions: [drop]",
                &[
                    "f.yaml:5:19: Fault f: spec.match.types[0]: \"AAAAA\" is not a record type such as A, SRV or TYPE65; did you mean `AAAA`?",
                ],
            ),
            (
                "match: {transport: tpc}\n  actions: [drop]",
                &["f.yaml:5:22: Fault f: spec.match.transport: \"tpc\" is not udp or tcp"],
            ),
            ("match: {every: 0}\n  actions: [drop]", &["f.yaml:5:18: Fault f: spec.match.every: "]),
            (
                "match: {probability: 2}\n  actions: [drop]",
                &["f.yaml:5:24: Fault f: spec.match.probability: \"2\" is not a probability from 0 to 1"],
            ),
            (
                "match: {clients: [10.0.0.256]}\n  actions: [drop]",
                &["f.yaml:5:21: Fault f: spec.match.clients[0]: \"10.0.0.256\" is not a pod"],
            ),
            (
                "preset: dns-outage",
                &["f.yaml:5:11: Fault f: spec.preset: \"dns-outage\" is not `dns-outage D`"],
            ),
            (
                "for: soon\n  actions: [drop]",
                &["f.yaml:5:8: Fault f: spec.for: \"soon\" is not a duration such as"],
            ),
            ("times: 1", &["f.yaml:4:1: Fault f: spec: has no actions; write actions: [servfail]"]),
            ("actions: [drop]\n  preset: nodelocal", &["f.yaml:4:1: Fault f: spec: only one of actions"]),
            (
                "actions: [drop, servfail]",
                &["f.yaml:5:19: Fault f: spec.actions[1]: `servfail` and `drop` cannot both apply"],
            ),
            (
                "actions: [delay 1s, delay 2s]",
                &["f.yaml:5:23: Fault f: spec.actions[1]: `delay 2s` and `delay 1s` cannot both"],
            ),
            (
                "match: {name: a}\n  actions: [tcp hang]",
                &["f.yaml:5:17: Fault f: spec.match.name: there is no question yet when `tcp hang` applies"],
            ),
            (
                "match: {types: [A]}\n  preset: no-tcp",
                &["f.yaml:5:11: Fault f: spec.match.types: there is no question yet when `tcp refuse`"],
            ),
            (
                "match: {transport: udp}\n  actions: [tcp hang]",
                &["f.yaml:5:22: Fault f: spec.match.transport: `tcp hang` does not apply to udp"],
            ),
            ("sequence: [ok, tcp reset]", &["f.yaml:5:3: Fault f: spec.sequence: counts questions"]),
            (
                "times: 0\n  for: 0s\n  actions: [drop]",
                &[
                    "f.yaml:5:10: Fault f: spec.times: 0 has no effect",
                    "f.yaml:6:8: Fault f: spec.for: 0s has",
                ],
            ),
        ];
        for (spec, expected) in table {
            let found = problems(spec);
            let matches = found.iter().zip(*expected).all(|(found, expected)| found.starts_with(expected));
            assert!(found.len() == expected.len() && matches, "{spec}\n{found:#?}");
        }
    }

    /// The spec of a Partition in a file, and its problem.
    #[test]
    fn invalid_partitions_are_refused() {
        let table = [
            ("groups: [{pods: [a-0]}]", None),
            ("groups: []", Some("f.yaml:5:3: Partition f: spec.groups: expected from 1 to 256 groups")),
            (
                "groups: [{pods: [a-0], node: [n]}]",
                Some(
                    "f.yaml:5:12: Partition f: spec.groups[0]: unknown field `node`, expected pods or nodes",
                ),
            ),
            (
                "groups: [{pods: [A/b]}]",
                Some(
                    "f.yaml:5:20: Partition f: spec.groups[0].pods[0]: \"A/b\" is not a pod such as db-0, db-* or NAMESPACE/POD",
                ),
            ),
        ];
        for (spec, expected) in table {
            let text = format!(
                "apiVersion: clusterlocal.dev/v1\nkind: Partition\nmetadata: {{name: f}}\nspec:\n  {spec}\n"
            );
            let manifest = read_bytes("f.yaml", text.into());
            let problems: Vec<_> = manifest.problems.iter().map(ToString::to_string).collect();
            assert_eq!(problems, Vec::from_iter(expected.map(String::from)), "{spec}");
        }
    }
}
