//! `resolv-conf`: the `/etc/resolv.conf` that the kubelet writes for a pod. Its arguments are those of `env`, too.

use std::fmt;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Args;
use clusterlocal_core::wire::DomainName;

use super::failure::Failure;
use super::output::print;
use super::values;

/// The resolver of a pod.
#[derive(Clone, Debug, Args)]
pub struct ResolverArgs {
    /// Namespace of the pod, for the search domains
    #[arg(short, long, default_value = "default", value_name = "NAME", env = "CLUSTERLOCAL_NAMESPACE")]
    #[arg(value_parser = values::namespace)]
    pub namespace: String,
    /// Address of the server
    #[arg(long, value_name = "ADDR:PORT", default_value_t = values::DEFAULT_LISTEN, env = "CLUSTERLOCAL_DNS", value_parser = values::address)]
    pub dns: SocketAddr,
    /// Cluster domain
    #[arg(long, default_value = "cluster.local", value_name = "NAME", env = "CLUSTERLOCAL_DOMAIN", value_parser = values::domain)]
    pub domain: DomainName,
}

impl ResolverArgs {
    /// The cluster domain without the final dot, as in files.
    pub fn domain(&self) -> String {
        self.domain.to_string().trim_end_matches('.').into()
    }
}

pub fn run(args: ResolverArgs) -> Result<ExitCode, Failure> {
    Ok(print(&args.to_string()))
}

/// The file for `dnsPolicy: ClusterFirst`.
impl fmt::Display for ResolverArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ResolverArgs { namespace, dns, domain } = self;
        if dns.port() != 53 {
            writeln!(
                f,
                "# The C library queries port 53 only, and the server is at port {}. Without root, port 53 is free",
                dns.port()
            )?;
            writeln!(f, "# in new namespaces: unshare -U -r -n -m, and in them serve --listen 127.0.0.1:53")?;
        }
        writeln!(f, "search {}", domain.search_domains(namespace).join(" "))?;
        writeln!(f, "nameserver {}", dns.ip())?;
        writeln!(f, "options ndots:5")
    }
}
