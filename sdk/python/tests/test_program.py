"""The program: found, refused, ended."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clusterlocal import Cluster, ClusterError, __version__
from clusterlocal.program import find

TOPOLOGY = "sets: {db: {replicas: 3, ports: {peer: 7000}}}"


def _script(path: Path, lines: str) -> Path:
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(0o755)
    return path


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie of another parent is not alive.
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def _wait_until(condition, within: float = 10.0):
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_argument_precedes_variable_and_path(monkeypatch, tmp_path):
    own = _script(tmp_path / "clusterlocal", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CLUSTERLOCAL_BIN", "/of/the/variable")
    assert find("/given") == "/given"
    assert find(None) == "/of/the/variable"
    monkeypatch.delenv("CLUSTERLOCAL_BIN")
    assert Path(find(None)) in (own, Path(sys.prefix, "bin", "clusterlocal"))


@pytest.mark.parametrize(
    "lines",
    [
        '[ "$1" = --version ] && echo clusterlocal 0.0.9 || { echo "unexpected argument --output" >&2; exit 2; }',
        """echo '{"version": "0.0.9"}'; exec sleep 60""",
    ],
    ids=["before the protocol", "with the protocol"],
)
def test_older_program_is_refused_with_both_versions(tmp_path, lines):
    with pytest.raises(ClusterError) as refused:
        Cluster(program=_script(tmp_path / "clusterlocal", lines))
    assert "clusterlocal 0.0.9" in str(refused.value)
    assert __version__ in str(refused.value)


def test_invalid_manifests_are_the_error():
    with pytest.raises(ClusterError, match="kind"):
        Cluster(manifests="apiVersion: v1")


def test_variables_of_other_servers_have_no_effect(monkeypatch):
    monkeypatch.setenv("CLUSTERLOCAL_DOMAIN", "example.org")
    with Cluster() as cluster:
        assert cluster.domain == "cluster.local"


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, None], ids=["killed", "terminated", "exits"])
def test_no_server_outlives_its_runner(end):
    runner = textwrap.dedent("""
        import sys, time
        from clusterlocal import Cluster
        print(Cluster(topology="sets: {db: {replicas: 1}}").pid, flush=True)
        sys.stdin.read()
    """)
    with subprocess.Popen([sys.executable, "-c", runner], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        pid = int(process.stdout.readline())
        assert _is_alive(pid)
        if end:
            process.send_signal(end)
        process.stdin.close()
        process.wait()
    _wait_until(lambda: not _is_alive(pid))


def test_fifty_clusters_run_in_parallel():
    with ThreadPoolExecutor(50) as pool:
        clusters = list(pool.map(lambda _: Cluster(topology=TOPOLOGY), range(50)))
        try:
            changes = pool.map(lambda cluster: cluster.scale("db", 4), clusters)
            assert [len(change.names) for change in changes] == [1] * 50
        finally:
            list(pool.map(Cluster.stop, clusters))
    assert not any(_is_alive(cluster.pid) for cluster in clusters)
