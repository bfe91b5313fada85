use std::time::Duration;

use clusterlocal::{Cluster, Error, Fault, RecordType, Transport};

use crate::discovery::Discovery;

const DB: &str = include_str!("db.yaml"); // a StatefulSet of three pods, and its headless Service

async fn start() -> Result<(Cluster, Discovery), Error> {
    let cluster = Cluster::builder().manifests(DB).start().await?;
    let discovery = Discovery::new(cluster.resolver("default"), "_peer._tcp.db.default.svc.cluster.local.");
    Ok((cluster, discovery))
}

#[tokio::test]
async fn no_peers_are_found_at_first_and_then_all() -> Result<(), Box<dyn std::error::Error>> {
    let (cluster, mut discovery) = start().await?;
    cluster.scale("db", 0).await?;
    assert!(discovery.refresh().await?.is_empty());
    let waiting = tokio::spawn(async move { discovery.quorum(3, Duration::from_millis(10)).await.len() });
    cluster.queries().qtype(RecordType::SRV).wait_for(2, Duration::from_secs(10)).await?; // it asks again
    cluster.scale("db", 3).await?;
    assert_eq!(waiting.await?, 3);
    Ok(())
}

#[tokio::test]
async fn a_partial_answer_does_not_make_a_quorum() -> Result<(), Box<dyn std::error::Error>> {
    let (cluster, mut discovery) = start().await?;
    let _partial = cluster.fault(Fault::on("_peer._tcp.*").does("keep 2").times(1));
    assert_eq!(discovery.quorum(3, Duration::ZERO).await.len(), 3);
    assert_eq!(cluster.queries().qtype(RecordType::SRV).count(), 2);
    Ok(())
}

#[tokio::test]
async fn a_replaced_pod_is_found_at_its_new_address() -> Result<(), Box<dyn std::error::Error>> {
    let (cluster, mut discovery) = start().await?;
    let before = discovery.refresh().await?.clone();
    let change = cluster.pod("db-1").restart().await?;
    let after = discovery.refresh().await?;
    assert_eq!(after.difference(&before).count(), 1, "db-1 is elsewhere, the others are where they were");
    assert!(after.iter().any(|peer| Some(peer.address.ip()) == cluster.pod("db-1").address()));
    cluster.queries().name("db-1.*").after(&change).wait_for(1, Duration::from_secs(10)).await?;
    Ok(())
}

#[tokio::test]
async fn a_truncated_answer_is_repeated_over_tcp() -> Result<(), Box<dyn std::error::Error>> {
    let (cluster, mut discovery) = start().await?;
    let truncated = cluster.fault(Fault::on("_peer._tcp.*").transport(Transport::Udp).truncate());
    assert_eq!(discovery.refresh().await?.len(), 3);
    assert_eq!(truncated.hits(), 1);
    assert_eq!(cluster.queries().qtype(RecordType::SRV).transport(Transport::Tcp).count(), 1);
    Ok(())
}

#[tokio::test]
async fn known_peers_survive_an_outage() -> Result<(), Box<dyn std::error::Error>> {
    let (cluster, mut discovery) = start().await?;
    discovery.refresh().await?;
    for fault in [Fault::on("*").servfail(), Fault::on("*").silence()] {
        let outage = cluster.fault(fault);
        assert!(discovery.refresh().await.is_err());
        assert_eq!(discovery.peers().len(), 3, "who was known stays known");
        drop(outage);
        assert_eq!(discovery.refresh().await?.len(), 3);
    }
    Ok(())
}
