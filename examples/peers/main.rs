//! Peer discovery of a store by SRV records, as a program: waits for a quorum, if one is given, then looks up the peers
//! every second and prints those that came and went.
//!
//! ```sh
//! cargo run --features resolver --example peers -- 127.0.0.1:10053 _http._tcp.migo-svc.default.svc.cluster.local 2
//! ```

mod discovery;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

use discovery::{Discovery, resolver};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(server), Some(service)) = (arguments.next(), arguments.next()) else {
        return Err("which server is to be asked for which service? For example 127.0.0.1:10053 \
                    _http._tcp.migo-svc.default.svc.cluster.local"
            .into());
    };
    let server: SocketAddr = server.parse()?;
    let mut discovery = Discovery::new(resolver(server)?, service);
    let quorum = arguments.next().map_or(Ok(0), |count| count.parse())?;
    let mut before = discovery.quorum(quorum, Duration::from_secs(1)).await.clone();
    before.iter().for_each(|peer| println!("+ {peer}"));
    loop {
        if let Err(error) = discovery.refresh().await {
            println!("? {error}; going on with {} peers", discovery.peers().len());
        }
        let now = discovery.peers().clone();
        before.iter().filter(|peer| !now.contains(*peer)).for_each(|peer| println!("- {peer}"));
        now.iter().filter(|peer| !before.contains(*peer)).for_each(|peer| println!("+ {peer}"));
        before = now;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
