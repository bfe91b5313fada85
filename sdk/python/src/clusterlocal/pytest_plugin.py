"""Fixtures for pytest. A failed test shows the latest queries of its clusters."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any, Callable

import pytest

from .cluster import Cluster
from .errors import ClusterError

_LISTED_QUERIES = 10
"""Maximum of queries that a failed test shows."""

_clusters: pytest.StashKey[list[Cluster]] = pytest.StashKey()


def _factory(node: pytest.Item | pytest.Collector | Any, started: list[Cluster]) -> Callable[..., Cluster]:  # noqa: ANN401
    def start(*paths: Any, **options: Any) -> Cluster:  # noqa: ANN401
        started.append(Cluster(*paths, **options))
        return started[-1]

    node.stash[_clusters] = started
    return start


@pytest.fixture
def clusterlocal_cluster(request: pytest.FixtureRequest) -> Iterator[Callable[..., Cluster]]:
    """Start clusters, with the arguments of `Cluster`, that end with the test."""
    started: list[Cluster] = []
    yield _factory(request.node, started)
    for cluster in started:
        cluster.stop()


@pytest.fixture(scope="session")
def clusterlocal_session(request: pytest.FixtureRequest) -> Iterator[Callable[..., Cluster]]:
    """Start clusters, with the arguments of `Cluster`, that end with the session."""
    started: list[Cluster] = []
    yield _factory(request.session, started)
    for cluster in started:
        cluster.stop()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
    """Add the latest queries to the report of a failed test."""
    outcome = yield
    report = outcome.get_result()
    if call.when != "call" or not report.failed:
        return
    clusters = [*item.stash.get(_clusters, []), *item.session.stash.get(_clusters, [])]
    for number, cluster in enumerate(clusters, 1):
        try:
            latest = cluster.queries().all()[-_LISTED_QUERIES:]
        except ClusterError:
            # A test stopped it.
            continue
        lines = [query.line for query in latest] or ["no query was received"]
        report.sections.append((f"clusterlocal: latest queries of cluster {number}", "\n".join(lines)))
