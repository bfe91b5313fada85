// Rust: a resolver with the package hickory-resolver, to find the addresses that are then connected to.
// Other names: this resolver queries the cluster only. Start the server with --upstream system, which forwards them.
// Requires hickory-resolver = "0.26" and tokio. resolver("127.0.0.1:10053".parse()?)?.lookup_ip("cassandra").await
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;

pub fn resolver(server: std::net::SocketAddr) -> Result<TokioResolver, NetError> {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.port();
        connection
    });
    let server = NameServerConfig::new(server.ip(), true, connections.into());
    let search = ["default.svc.cluster.local.", "svc.cluster.local.", "cluster.local."];
    let search = search.map(|domain| domain.parse().expect("a name"));
    let config = ResolverConfig::from_parts(None, search.into(), vec![server]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    builder.options_mut().ndots = 5;
    builder.options_mut().cache_size = 0; // changes are visible at once
    builder.build()
}
