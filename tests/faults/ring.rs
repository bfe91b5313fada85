//! A set of three pods on a manual clock, served in this process, and the changes that a test makes to it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use clusterlocal::serve::{Listeners, Options, View};
use clusterlocal_core::answer::Order;
use clusterlocal_core::store::{Objects, Time};
use clusterlocal_core::{Clock, ControlPlane, Driver, Settings, manifest};
use tokio::runtime::Runtime;

/// A served cluster. Dropping it ends it.
pub struct Ring {
    pub address: SocketAddr,
    driver: Driver,
    replicas: u32,
    fault: String,
    runtime: Runtime,
}

impl Ring {
    /// Three pods, `cassandra-0` at 127.244.0.1 and so on, and the fault `f` with this spec, in YAML's flow style.
    pub fn with(fault: &str) -> Self {
        let begin = Time::from_unix_millis(1_700_000_000_000);
        Ring::on(Clock::paused_at(begin), fault)
    }

    /// The same on a clock that runs at `speed` times real time.
    pub fn running(fault: &str, speed: f64) -> Self {
        let ring = Ring::on(Clock::real().at_speed(speed), fault);
        let driver = ring.driver.clone();
        ring.runtime.spawn(async move { driver.run().await });
        ring
    }

    fn on(clock: Clock, fault: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let driver = Driver::new(ControlPlane::new(Settings::default()), clock);
        let mut options = Options::default();
        options.order = Order::Stable;
        let listeners = runtime.block_on(Listeners::bind(&options)).expect("a free port");
        let address = listeners.addresses()[0];
        runtime.spawn(listeners.serve(View::from(&driver), std::future::pending()));
        let mut ring = Ring { address, driver, replicas: 3, fault: String::new(), runtime };
        ring.apply();
        ring.fault = format!(
            "---\napiVersion: clusterlocal.dev/v1\nkind: Fault\nmetadata: {{name: f}}\nspec: {{{fault}}}\n"
        );
        ring.apply();
        ring
    }

    /// The view of the cluster.
    pub fn view(&self) -> View {
        View::from(&self.driver)
    }

    /// Scales the set, and waits for its pods.
    pub fn scale(&mut self, replicas: u32) {
        self.replicas = replicas;
        self.apply();
        // Second by second: `cache` and `stale` faults keep answers of intermediate states.
        (0..30).for_each(|_| self.advance(1));
    }

    /// Advances the clock.
    pub fn advance(&self, seconds: u64) {
        self.driver.set_clock(|clock| clock.advance(Duration::from_secs(seconds)));
    }

    /// Deletes the fault.
    pub fn remove_fault(&mut self) {
        self.fault.clear();
        self.apply();
    }

    fn apply(&mut self) {
        let addresses: Vec<String> =
            (0..self.replicas).map(|n| format!("cassandra-{n}: 127.244.0.{}", n + 1)).collect();
        let text = format!(
            "apiVersion: clusterlocal.dev/v1\nkind: Topology\nsets:\n  cassandra:\n    replicas: {}\n    ports: {{cql: \
             9042}}\n    addresses: {{{}}}\n{}",
            self.replicas,
            addresses.join(", "),
            self.fault
        );
        let manifest = manifest::read_bytes("ring.yaml", text.into());
        let problems: Vec<String> = manifest.problems.iter().map(ToString::to_string).collect();
        assert_eq!(problems, Vec::<String>::new());
        let objects: Objects = manifest
            .objects
            .into_iter()
            .map(|read| (read.object.key(), read.object))
            .collect::<BTreeMap<_, _>>();
        self.driver.write(|cluster| cluster.apply(&objects));
    }
}
