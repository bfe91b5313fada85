//! Changes: for any event of a StatefulSet, its pods and their nodes, the DNS shows the states that a cluster's DNS shows,
//! in the same order, on a manual clock.

mod properties;
mod world;

use world::{Given, World};

/// A scenario: its number and title, and its lines with their numbers.
struct Scenario {
    title: String,
    lines: Vec<(usize, String)>,
}

fn scenarios() -> Vec<Scenario> {
    let mut all: Vec<Scenario> = Vec::new();
    for (at, line) in include_str!("scenarios.txt").lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            all.push(Scenario { title: line.into(), lines: Vec::new() });
        } else if !line.is_empty() && !line.starts_with('#') {
            all.last_mut().expect("a title comes first").lines.push((at + 1, line.into()));
        }
    }
    all
}

fn run(scenario: &Scenario) -> Result<(), String> {
    let mut given = Given::default();
    let is_given = |line: &str| line.strip_prefix("given ").map(str::to_string);
    for word in scenario
        .lines
        .iter()
        .filter_map(|(_, line)| is_given(line))
        .flat_map(|words| words.split_whitespace().map(str::to_string).collect::<Vec<_>>())
    {
        given.add(&word);
    }
    let mut world = World::new(given);
    let claims: Vec<_> =
        world.claims_now().split(' ').map(|name| (name.to_string(), world.claim_uid(name))).collect();
    for (number, line) in scenario.lines.iter().filter(|(_, line)| is_given(line).is_none()) {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (got, expected) = match verb {
            "do" => {
                let mut parts = rest.split(" -> ");
                let event = parts.next().unwrap_or_default();
                let expected: Vec<_> = parts.map(str::trim).collect();
                let got = world.apply(event);
                (got.join(" -> "), expected.join(" -> "))
            }
            "pods" => (world.pods_now(), rest.to_string()),
            "revisions" => (world.revisions_now(), rest.to_string()),
            "replaced" => (world.replaced_now(), rest.to_string()),
            "claims" => (world.claims_now(), rest.to_string()),
            "left-behind" => (world.left_behind(), rest.to_string()),
            "event" => {
                if world.reasons().contains(rest) {
                    continue;
                } else {
                    (format!("{:?}", world.reasons()), rest.to_string())
                }
            }
            "claim" => {
                let (name, expected) = rest.split_once(' ').expect("a name, and same or new");
                let then = claims.iter().find(|(claim, _)| claim == name).and_then(|(_, uid)| uid.clone());
                let got = if then == world.claim_uid(name) { "same" } else { "new" };
                (got.to_string(), expected.to_string())
            }
            "ask" | "cached" | "count" => {
                let (question, expected) = rest.split_once(" = ").expect("a question and an answer");
                let got = match verb {
                    "ask" => world.ask(question),
                    "cached" => world.ask_cached(question),
                    _ => world.count(question),
                };
                (got, expected.to_string())
            }
            _ => panic!("line {number}: {verb}?"),
        };
        if got != expected {
            return Err(format!(
                "{}\n  line {number}, after {:?}: {line}\n  got {got}",
                scenario.title,
                world.elapsed()
            ));
        }
    }
    Ok(())
}

#[test]
fn every_scenario_shows_the_expected_states() {
    let all = scenarios();
    let numbers: std::collections::BTreeSet<_> =
        all.iter().map(|scenario| scenario.title.split(' ').next()).collect();
    assert_eq!(numbers.len(), 59, "the number of scenarios");
    let failed: Vec<_> = all.iter().filter_map(|scenario| run(scenario).err()).collect();
    assert!(failed.is_empty(), "{} of {} failed:\n{}", failed.len(), all.len(), failed.join("\n"));
}
