//! The cases of `cases.txt`: their format, and their execution.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;

use crate::ask::Client;
use crate::ring::Ring;

/// A fault, with the expected effects.
pub struct Case {
    /// The fault's spec, in YAML's flow style.
    pub fault: String,
    steps: Vec<Step>,
}

enum Step {
    See(Question, String),
    /// Each of these at some time, and nothing else.
    SeeAll(Question, BTreeSet<String>),
    SeeLate(Question, Duration, String),
    Scale(u32),
    Pass(u64),
    End,
}

struct Question {
    client: Client,
    text: String,
}

/// Number of queries of a client that expects several results: random choices have all occurred by then.
const REPEATS: std::ops::Range<usize> = 8..200;

impl Case {
    /// Parses all cases of `text`.
    pub fn all(text: &str) -> Vec<Case> {
        let mut cases: Vec<Case> = Vec::new();
        let mut short = BTreeMap::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some((name, meaning)) = line.strip_prefix('$').and_then(|line| line.split_once(" = ")) {
                short.insert(format!("${name}"), meaning.to_owned());
            } else if let Some(step) = line.strip_prefix("    ") {
                let step = Step::read(step, &short).unwrap_or_else(|| panic!("not a step: {line}"));
                cases.last_mut().expect("a fault first").steps.push(step);
            } else {
                cases.push(Case { fault: line.into(), steps: Vec::new() });
            }
        }
        cases
    }

    /// The clients of the case.
    pub fn clients(&self) -> impl Iterator<Item = Client> {
        self.steps.iter().filter_map(|step| match step {
            Step::See(question, _) | Step::SeeAll(question, _) | Step::SeeLate(question, ..) => {
                Some(question.client)
            }
            _ => None,
        })
    }

    /// Runs the case.
    pub fn run(&self) -> Result<(), Failed> {
        let mut ring = Ring::with(&self.fault);
        self.steps.iter().try_for_each(|step| step.take(&mut ring))
    }
}

impl Step {
    fn read(text: &str, short: &BTreeMap<String, String>) -> Option<Step> {
        let Some((asked, seen)) = text.split_once(" => ") else {
            return Some(match text.split_once(' ') {
                Some(("scale", replicas)) => Step::Scale(replicas.parse().ok()?),
                Some(("pass", time)) => Step::Pass(time.strip_suffix('s')?.parse().ok()?),
                None if text == "end" => Step::End,
                _ => return None,
            });
        };
        let (client, text) = asked.split_once(' ')?;
        let client = Client::ALL.into_iter().find(|known| known.name() == client)?;
        let question = Question { client, text: text.into() };
        let long = |text: &str| short.get(text).map_or(text, String::as_str).to_owned();
        if let Some((time, seen)) = seen.split_once("ms later: ") {
            return Some(Step::SeeLate(question, Duration::from_millis(time.parse().ok()?), long(seen)));
        }
        if seen.contains('|') {
            let all = seen.split('|').map(str::trim).filter(|seen| !seen.is_empty());
            return Some(Step::SeeAll(question, all.map(long).collect()));
        }
        Some(Step::See(question, long(seen)))
    }

    fn take(&self, ring: &mut Ring) -> Result<(), Failed> {
        match self {
            Step::See(question, expected) => question.sees(&question.ask(ring), expected),
            Step::SeeAll(question, expected) => {
                let mut seen = BTreeSet::new();
                for asked in 1..=REPEATS.end {
                    let new = question.ask(ring);
                    if !expected.contains(&new) {
                        return question.sees(&new, &format!("one of {expected:?}"));
                    }
                    seen.insert(new);
                    if asked >= REPEATS.start && seen == *expected {
                        return Ok(());
                    }
                }
                question.sees(&format!("only {seen:?}"), &format!("all of {expected:?}"))
            }
            Step::SeeLate(question, least, expected) => {
                let begun = Instant::now();
                let seen = question.ask(ring);
                match begun.elapsed() {
                    took if took < *least => question.sees(&format!("{seen} after {took:?}"), expected),
                    _ => question.sees(&seen, expected),
                }
            }
            Step::Scale(replicas) => {
                ring.scale(*replicas);
                Ok(())
            }
            Step::Pass(seconds) => {
                ring.advance(*seconds);
                Ok(())
            }
            Step::End => {
                ring.remove_fault();
                Ok(())
            }
        }
    }
}

impl Question {
    fn ask(&self, ring: &Ring) -> String {
        self.client.ask(ring.address, &self.text)
    }

    fn sees(&self, seen: &str, expected: &str) -> Result<(), Failed> {
        if seen == expected {
            return Ok(());
        }
        let Question { client, text } = self;
        Err(format!("{} {text}:\n     saw {seen}\nexpected {expected}", client.name()).into())
    }
}
