//! A trap, run in this process.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clusterlocal::play::scenario::{Event, Says};
use clusterlocal::play::{self, Outcome, Play, Scenario, Seen};
use clusterlocal_core::manifest::{self, Manifest};
use clusterlocal_core::store::shown_duration;
use libtest_mimic::Failed;

use super::pods::{self, Pods};
use super::stem;
use super::store::Store;
use super::verdicts::Verdict;

const ANYWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Pods have processes here, at addresses that two traps may share.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

pub struct Trap {
    manifest: Manifest,
    scenario: Scenario,
}

impl Trap {
    /// Reads a file with one Scenario of the file's name.
    pub fn read(path: &Path) -> Result<Trap, Failed> {
        let manifest = manifest::read_file(path);
        if !manifest.problems.is_empty() {
            return Err(format!("{:?}", manifest.problems).into());
        }
        let scenarios = play::scenarios(&manifest).map_err(|problems| format!("{problems:?}"))?;
        let [scenario] = scenarios.as_slice() else {
            return Err("a trap has one Scenario".into());
        };
        let scenario = scenario.clone();
        let named = stem(path)[3..].to_string();
        if scenario.name.as_str() != named {
            return Err(format!("the Scenario is called {}, and its file {named}", scenario.name).into());
        }
        Ok(Trap { manifest, scenario })
    }

    /// Its description, which is one sentence.
    pub fn sees(&self) -> &str {
        self.scenario.sees.trim()
    }

    /// Checks that it passes, twice with the same results.
    pub fn holds(&self) -> Result<(), Failed> {
        let sees = self.sees();
        if !sees.ends_with('.') || sees.contains(". ") || sees.len() < 40 {
            return Err(format!("not one sentence: {sees:?}").into());
        }
        let (first, second) = (play(&self.scenario, &self.manifest)?, play(&self.scenario, &self.manifest)?);
        if let Some(wrong) = first.iter().find(|outcome| outcome.failure.is_some()) {
            return Err(format!("{wrong:?}").into());
        }
        // Real time differs between runs.
        let timeless = |outcome: &Outcome| {
            let mut outcome = outcome.clone();
            outcome.took = Duration::ZERO;
            outcome
        };
        match first.iter().zip(&second).find(|(first, second)| timeless(first) != timeless(second)) {
            Some((first, second)) => Err(format!("first {first:?}, then {second:?}").into()),
            None => Ok(()),
        }
    }

    /// Checks that each question has an expectation, and that it fails if the expectation is changed.
    pub fn counts(&self) -> Result<(), Failed> {
        let mut scenario = self.scenario.clone();
        let mut altered = Vec::new();
        for step in &mut scenario.steps {
            let expected = match &mut step.event {
                Event::Ask(question) => {
                    question.says.as_mut().ok_or(format!("line {} has no expected answer", step.line))?
                }
                Event::Remember(_, says) => says,
                _ => continue,
            };
            let (Says::Words(words) | Says::List(words)) = expected;
            words.push("missing".into());
            altered.push(step.line);
        }
        let failed: Vec<_> = play(&scenario, &self.manifest)?
            .into_iter()
            .filter(|outcome| outcome.failure.is_some())
            .map(|outcome| outcome.line)
            .collect();
        assert_eq!(failed, altered, "lines that fail, and lines that were altered");
        assert!(altered.len() >= 4, "a trap has expectations before and after it");
        Ok(())
    }

    /// Checks that the store answers as in the verdict at its moments, and that it was asked before: it could have cached
    /// names.
    pub fn asks_the_store(&self, verdict: &Verdict) -> Result<(), Failed> {
        let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let manifests = vec![self.manifest.clone(), pods::range()];
        let play = Play::begin(&self.scenario, manifests, ANYWHERE).map_err(|e| e.to_string())?;
        let cluster = play.cluster().driver().clone();
        let asker = verdict.asker.as_deref().and_then(|pod| play.cluster().pod(pod).address());
        let mut pods = Pods::new(cluster, verdict.asker.clone());
        let mut store = Store::start(play.cluster().dns_addr(), verdict, asker)?;
        pods.follow()?;
        store.ask(&pods)?;
        let (mut answers, mut failure) = (Vec::new(), None);
        play.run(|seen| {
            let Seen::Step(outcome) = seen else { return };
            let moment = format!("{} {}", shown_duration(outcome.at), outcome.what);
            let next = verdict.moments.get(answers.len()).filter(|next| next.at == moment);
            if let Some(next) = next
                && failure.is_none()
            {
                match pods.follow().and_then(|()| store.ask(&pods)) {
                    Ok(words) => answers.push(format!("at {} => {words}", next.at)),
                    Err(error) => failure = Some(error),
                }
            }
        });
        if let Some(failure) = failure {
            return Err(failure.into());
        }
        let expected: Vec<_> =
            verdict.moments.iter().map(|moment| format!("at {} => {}", moment.at, moment.answer)).collect();
        if answers == expected {
            return Ok(());
        }
        Err(format!("expected\n    {}\nanswered\n    {}", expected.join("\n    "), answers.join("\n    "))
            .into())
    }
}

/// Runs the scenario. Returns the results of its steps.
fn play(scenario: &Scenario, manifest: &Manifest) -> Result<Vec<Outcome>, Failed> {
    let mut outcomes = Vec::new();
    let play = Play::begin(scenario, vec![manifest.clone()], ANYWHERE).map_err(|e| e.to_string())?;
    play.run(|seen| {
        if let Seen::Step(outcome) | Seen::Expectation(outcome) = seen {
            outcomes.push(outcome.clone());
        }
    });
    Ok(outcomes)
}
