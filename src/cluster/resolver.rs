//! A hickory-resolver whose only server is the cluster.

use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;

use super::Cluster;

/// Time-out of one try of the resolver: the cluster answers from a thread of the same process.
const RESOLVER_TIMEOUT: Duration = Duration::from_millis(500);

impl Cluster {
    /// Returns a resolver like that of a pod in `namespace`: it completes short names, and retries truncated answers over
    /// TCP. It has no cache, so that every change is visible at once, and sends a query at most twice, with a time-out of
    /// half a second each.
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
        (options.timeout, options.attempts) = (RESOLVER_TIMEOUT, 1);
        builder.build().expect("only reading the system's configuration can fail")
    }
}
