import pytest
from discovery import Discovery


@pytest.fixture
def cluster(clusterlocal_cluster):
    return clusterlocal_cluster(topology="sets: {db: {replicas: 3, ports: {peer: 7000}}}")


def test_known_peers_survive_an_outage_and_a_scaled_set_is_found(cluster):
    discovery = Discovery(cluster.resolver(), "_peer._tcp.db")
    known = discovery.refresh()
    with cluster.fault("servfail", on="_peer._tcp.*"):
        assert discovery.refresh() == known
    cluster.scale("db", 5)
    assert len(discovery.refresh()) == 5


def test_a_replaced_pod_is_found_at_its_new_address(cluster):
    change = cluster.pod("db-1").restart()
    assert (cluster.pod("db-1").address(), 7000) in Discovery(cluster.resolver(), "_peer._tcp.db").refresh()
    cluster.queries(name="db-1.*", after=change).wait_for(1)


def test_a_truncated_answer_is_repeated_over_tcp(cluster):
    cluster.fault("truncate", on="_peer._tcp.*", transport="udp")
    assert len(Discovery(cluster.resolver(), "_peer._tcp.db").refresh()) == 3
    assert cluster.queries(type="SRV", transport="tcp").count() == 1
