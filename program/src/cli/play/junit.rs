//! What came of stories, as JUnit's XML: a suite a story, a case a step or expectation.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use clusterlocal::play::Outcome;
use clusterlocal::play::Scenario;
use clusterlocal_core::manifest::harmless;
use clusterlocal_core::output_file::OutputFile;
use clusterlocal_core::store::shown_duration;

use crate::cli::failure::Failure;

/// The report at `path`, not yet written.
pub fn file(path: &Path) -> OutputFile {
    const MARK: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"clusterlocal\"";
    OutputFile::new(path, MARK, false)
}

/// What is to be written.
#[derive(Default)]
pub struct Report {
    suites: String,
    tests: usize,
    failures: usize,
}

/// What came of the command under test.
pub struct Commanded<'c> {
    /// What was started.
    pub program: &'c str,
    /// How long it ran.
    pub ran: Duration,
    /// Why it failed.
    pub failure: Option<String>,
}

impl Report {
    /// Checks that a report can be written to `path` without replacing what is another's.
    pub fn check(path: &Path) -> Result<(), Failure> {
        let failed =
            |error| Failure::Input(format!("cannot write the JUnit report {}: {error}", path.display()));
        file(path).check().map(drop).map_err(failed)
    }

    /// Adds what came of `scenario`, and of the command under test.
    pub fn add(
        &mut self,
        scenario: &Scenario,
        outcomes: &[Outcome],
        command: Option<Commanded<'_>>,
        took: Duration,
    ) {
        let name = escaped(&scenario.name);
        let (mut cases, mut failures) = (String::new(), 0);
        let mut add = |case: &str, took: Duration, failure: Option<String>| {
            let case = escaped(case);
            let time = took.as_secs_f64();
            _ = write!(cases, "        <testcase name=\"{case}\" classname=\"{name}\" time=\"{time:.3}\"");
            match failure {
                None => cases.push_str("/>\n"),
                Some(failure) => {
                    failures += 1;
                    _ = write!(cases, ">\n            <failure {failure}\n        </testcase>\n");
                }
            }
        };
        for outcome in outcomes {
            let place = || format!("{}:{}\n{}", scenario.place.file(), outcome.line, outcome.seen.join("\n"));
            let failure = outcome
                .failure
                .as_ref()
                .map(|failure| format!("message=\"{}\">{}</failure>", escaped(failure), escaped(&place())));
            add(&format!("{} {}", shown_duration(outcome.at), outcome.what), outcome.took, failure);
        }
        if let Some(Commanded { program, ran, failure }) = &command {
            let failure = failure.as_ref().map(|failure| format!("message=\"{}\"/>", escaped(failure)));
            add(&format!("command {program}"), *ran, failure);
        }
        let tests = outcomes.len() + usize::from(command.is_some());
        _ = write!(
            self.suites,
            "    <testsuite name=\"{name}\" tests=\"{tests}\" skipped=\"0\" errors=\"0\" failures=\"{failures}\" \
             time=\"{:.3}\">\n{cases}    </testsuite>\n",
            took.as_secs_f64()
        );
        self.tests += tests;
        self.failures += failures;
    }

    pub fn write(&self, path: &Path) -> Result<(), Failure> {
        let Report { suites, tests, failures } = self;
        // `testsuites` has no attribute `skipped` in the schema of Jenkins' xUnit plugin (junit-10.xsd).
        let xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"clusterlocal\" tests=\"{tests}\" \
             failures=\"{failures}\" errors=\"0\">\n{suites}</testsuites>\n"
        );
        file(path).write(&xml).map_err(|error| {
            Failure::Input(format!("cannot write the JUnit report {}: {error}", path.display()))
        })
    }
}

/// `text` for an attribute or an element, without control characters.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in harmless(text).chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '\'' => escaped.push_str("&apos;"),
            '"' => escaped.push_str("&quot;"),
            character => escaped.push(character),
        }
    }
    escaped
}
