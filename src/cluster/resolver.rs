//! A hickory-resolver that asks the cluster.

use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;

use super::Cluster;

/// How long the resolver waits for an answer, before it asks once more: the cluster is in the next thread.
const PATIENCE: Duration = Duration::from_millis(500);

impl Cluster {
    /// A resolver such as a pod in `namespace` has: it completes short names, and asks over TCP for what is truncated. It
    /// keeps nothing, so that every change is seen at once, and waits half a second for an answer, twice.
    ///
    /// ```
    /// # use clusterlocal::Cluster;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cluster = Cluster::builder().topology("sets: {db: {replicas: 3, ports: {peer: 7000}}}").start().await?;
    /// let resolver = cluster.resolver("default");
    /// assert_eq!(resolver.srv_lookup("_peer._tcp.db").await?.answers().len(), 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn resolver(&self, namespace: &str) -> TokioResolver {
        let server = self.dns_addr();
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
            connection.port = server.port();
            connection
        });
        let server = NameServerConfig::new(server.ip(), true, connections.into());
        let search =
            self.search(namespace).into_iter().filter_map(|domain| format!("{domain}.").parse().ok());
        let config = ResolverConfig::from_parts(None, search.collect(), vec![server]);
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let options = builder.options_mut();
        options.ndots = 5;
        options.cache_size = 0;
        (options.timeout, options.attempts) = (PATIENCE, 1);
        builder.build().expect("nothing is asked of the system, which alone could say no")
    }
}
