//! Outcomes of Scenarios as JUnit XML: a suite for each Scenario, a case for each step and expectation.

use std::path::Path;
use std::time::Duration;

use clusterlocal::play::Outcome;
use clusterlocal::play::Scenario;
use clusterlocal_core::manifest::harmless;
use clusterlocal_core::output_file::OutputFile;
use clusterlocal_core::store::shown_duration;
use quick_junit::{NonSuccessKind, Report as Xml, TestCase, TestCaseStatus, TestSuite};

use crate::cli::failure::Failure;

/// The report at `path`, not yet written.
pub fn file(path: &Path) -> OutputFile {
    const MARK: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"clusterlocal\"";
    OutputFile::new(path, MARK, false)
}

/// The contents of the report.
pub struct Report(Xml);

/// The outcome of the command under test.
pub struct Commanded<'c> {
    /// The program.
    pub program: &'c str,
    /// Running time.
    pub ran: Duration,
    /// Reason of its failure.
    pub failure: Option<String>,
}

impl Report {
    pub fn new() -> Self {
        Report(Xml::new("clusterlocal"))
    }

    /// Checks that a report can be written to `path` and replaces no file of the user.
    pub fn check(path: &Path) -> Result<(), Failure> {
        let failed =
            |error| Failure::Input(format!("cannot write the JUnit report {}: {error}", path.display()));
        file(path).check().map(drop).map_err(failed)
    }

    /// Adds the outcomes of `scenario` and of the command under test.
    pub fn add(
        &mut self,
        scenario: &Scenario,
        outcomes: &[Outcome],
        command: Option<Commanded<'_>>,
        took: Duration,
    ) {
        let mut suite = TestSuite::new(harmless(&scenario.name));
        suite.set_time(took);
        for outcome in outcomes {
            let status = match &outcome.failure {
                None => TestCaseStatus::success(),
                Some(failure) => {
                    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                    status.set_message(harmless(failure));
                    let place = format!("{}:{}", scenario.place.file(), outcome.line);
                    status.set_description(harmless(&format!("{place}\n{}", outcome.seen.join("\n"))));
                    status
                }
            };
            let mut case =
                TestCase::new(harmless(&format!("{} {}", shown_duration(outcome.at), outcome.what)), status);
            case.set_classname(harmless(&scenario.name));
            case.set_time(outcome.took);
            suite.add_test_case(case);
        }
        if let Some(Commanded { program, ran, failure }) = command {
            let status = match &failure {
                None => TestCaseStatus::success(),
                Some(why) => {
                    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                    status.set_message(why.as_str());
                    status
                }
            };
            let mut case = TestCase::new(format!("command {program}"), status);
            case.set_classname(scenario.name.as_str());
            case.set_time(ran);
            suite.add_test_case(case);
        }
        self.0.add_test_suite(suite);
    }

    pub fn write(&self, path: &Path) -> Result<(), Failure> {
        let failed = |error: &dyn std::fmt::Display| {
            Failure::Input(format!("cannot write the JUnit report {}: {error}", path.display()))
        };
        let xml = self.0.to_string().map_err(|error| failed(&error))?;
        // `testsuites` has no attribute `skipped` in the schema of Jenkins' xUnit plugin (junit-10.xsd). It is the first one.
        let xml = xml.replacen(" skipped=\"0\"", "", 1);
        file(path).write(&xml).map_err(|error| failed(&error))
    }
}
