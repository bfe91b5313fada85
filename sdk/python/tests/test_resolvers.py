"""dnspython, getaddrinfo, asyncio, and the plugin."""

import asyncio
import socket

import pytest

from clusterlocal import Cluster, QueryError

TOPOLOGY = "sets: {db: {replicas: 3, ports: {peer: 7000}}}"
pytest_plugins = ["pytester"]


@pytest.fixture
def cluster(clusterlocal_cluster):
    return clusterlocal_cluster(topology=TOPOLOGY)


def test_dnspython_has_the_search_list(cluster):
    answer = cluster.resolver().resolve("_peer._tcp.db", "SRV")
    assert {str(record.target) for record in answer} == {f"db-{i}.db.default.svc.cluster.local." for i in range(3)}


def test_getaddrinfo_is_led_to_the_cluster_and_back(cluster):
    before = socket.getaddrinfo
    with cluster.system_resolver():
        found = socket.getaddrinfo("db-1.db", 7000, type=socket.SOCK_STREAM)
        assert [entry[4] for entry in found] == [(cluster.pod("db-1").address(), 7000)]
        assert socket.gethostbyname("db-1.db") == cluster.pod("db-1").address()
        assert socket.getaddrinfo("127.0.0.1", 1)[0][4] == ("127.0.0.1", 1)
        with pytest.raises(socket.gaierror) as missing:
            socket.getaddrinfo("db-7.db", 7000)
        assert missing.value.errno == socket.EAI_NONAME
        with cluster.fault("servfail"), pytest.raises(socket.gaierror) as failed:
            socket.getaddrinfo("db-1.db", 7000)
        assert failed.value.errno == socket.EAI_AGAIN
        with cluster.fault("truncate", transport="udp"):
            assert len(socket.getaddrinfo("db", None, type=socket.SOCK_STREAM)) == 3
    assert socket.getaddrinfo is before


def test_asyncio_waits_while_the_loop_runs(cluster):
    async def client():
        loop = asyncio.get_running_loop()
        waiting = asyncio.create_task(cluster.queries(name="db-2.*").wait_for_async(1))
        await asyncio.sleep(0)
        found = await loop.getaddrinfo("db-2.db", 7000, type=socket.SOCK_STREAM)
        return found, await waiting

    with cluster.system_resolver():
        found, queries = asyncio.run(client())
    assert found[0][4][0] == cluster.pod("db-2").address()
    assert queries[0].client.startswith("127.")


def test_unexpected_queries_are_listed(cluster):
    with cluster.system_resolver():
        socket.gethostbyname("db-1.db")
    cluster.queries(type="TXT").assert_none()
    with pytest.raises(QueryError, match=r"db-1\.db\.default"):
        cluster.queries(name="db-1.*").assert_none()


def test_clusters_of_a_session_are_shared(clusterlocal_session):
    with clusterlocal_session(topology=TOPOLOGY) as cluster:
        assert cluster.pod("db-0").is_ready()


def test_failed_test_shows_the_queries(pytester):
    pytester.makepyfile("""
        import socket
        def test_fails(clusterlocal_cluster):
            cluster = clusterlocal_cluster(topology="sets: {db: {replicas: 1}}")
            with cluster.system_resolver():
                socket.gethostbyname("db-0.db")
            assert False
    """)
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*latest queries of cluster 1*", '*"A IN db-0.db.default.svc.cluster.local. udp" NOERROR*']
    )


def test_cluster_without_anything_has_its_own_objects():
    with Cluster() as cluster:
        assert cluster.request("GET", "/api/v1/nodes")["items"]
        assert cluster.changes()
