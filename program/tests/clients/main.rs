//! The program with its clients: DNS clients and servers, kubectl, the recipes of `env`, a tutorial, the traps of peer
//! discovery, and the steps recorded with a Kubernetes control plane.
//!
//! A test whose client is not installed is listed as ignored; `CLUSTERLOCAL_TEST_CLIENTS=all` requires all clients. `cargo
//! test --test clients kubectl` runs the tests of one module.

mod conformance;
mod dns;
mod kubectl;
mod peers;
#[cfg(target_os = "linux")]
mod pods;
mod recipes;
#[path = "../../../tests/common/ring.rs"]
mod ring;
#[path = "../common/server.rs"]
mod server;
mod traps;
mod tutorial;

use libtest_mimic::{Arguments, Failed, Trial};

/// The tests of one module.
type Tests = fn() -> Vec<Test>;

const MODULES: &[(&str, Tests)] = &[
    ("conformance", conformance::tests),
    ("dns", dns::tests),
    ("kubectl", kubectl::tests),
    #[cfg(target_os = "linux")]
    ("pods", pods::tests),
    ("recipes", recipes::tests),
    ("traps", traps::tests),
    ("tutorial", tutorial::tests),
];

fn main() {
    let required = std::env::var("CLUSTERLOCAL_TEST_CLIENTS").is_ok_and(|value| value == "all");
    let trials = MODULES.iter().flat_map(|(module, tests)| {
        tests().into_iter().map(move |test| {
            let trial = Trial::test(format!("{module}::{}", test.name), test.run);
            trial.with_ignored_flag(!test.is_installed && !required)
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}

/// A test, and whether its clients are installed.
struct Test {
    name: String,
    is_installed: bool,
    run: Box<dyn FnOnce() -> Result<(), Failed> + Send>,
}

impl Test {
    /// A test without clients.
    fn new(name: impl Into<String>, run: impl FnOnce() -> Result<(), Failed> + Send + 'static) -> Self {
        Test { name: name.into(), is_installed: true, run: Box::new(run) }
    }

    /// The same test with clients that may be missing.
    fn needs(self, is_installed: bool) -> Self {
        Test { is_installed, ..self }
    }
}
