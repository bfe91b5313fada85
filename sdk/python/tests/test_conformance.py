"""The cases that all clients share."""

import json
from pathlib import Path

import pytest

from clusterlocal import Change, Cluster, ClusterError, Fault, QueryError
from clusterlocal.dns_client import Failed, ask

CASES = sorted((Path(__file__).parents[2] / "conformance").glob("*.json"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case(path: Path):
    case = json.loads(path.read_text())
    with Cluster(topology=case["topology"], **case.get("options", {})) as cluster:
        named = {}
        for step in case["steps"]:
            _run(cluster, step, named)


def test_all_cases_are_found():
    assert len(CASES) >= 6


def _run(cluster: Cluster, step: dict, named: dict):
    try:
        result = _result(cluster, step, named)
    except (ClusterError, QueryError) as error:
        assert "error" in step, f"{step}: {error}"
        assert step["error"] in str(error), step
        return
    assert "error" not in step, step
    if "as" in step:
        named[step["as"]] = result
    if "names" in step:
        assert isinstance(result, Change)
        assert [str(name) for name in result.names] == step["names"], step


def _result(cluster: Cluster, step: dict, named: dict):
    if "lookup" in step:
        return _look_up(cluster, step)
    if "queries" in step:
        selected = dict(step["queries"])
        if "after" in selected:
            selected["after"] = named[selected["after"]]
        queries = cluster.queries(**selected)
        if "at-least" in step:
            return queries.wait_for(step["at-least"], float(step["within"].removesuffix("ms")) / 1000)
        assert queries.count() == step["count"], step
        return None
    if "hits" in step:
        assert named[step["hits"]].hits() >= step["at-least"], step
        return None
    if "address" in step and "is" in step:
        assert cluster.pod(step["address"]).address() == step["is"]
        return None
    return _do(cluster, step, named)


def _do(cluster: Cluster, step: dict, named: dict):
    verb = step["do"]
    given = {name: value for name, value in step.items() if name not in ("do", "as", "of", "names", "error")}
    kind, _, verb_of_kind = verb.partition("/")
    if verb == "end":
        fault = named[step["of"]]
        assert isinstance(fault, Fault)
        return fault.end()
    if verb == "fault":
        return cluster.fault(given.pop("does"), **given)
    if verb == "wait-for-change":
        return cluster.wait_for_change(named[given["after"]], float(given["within"].removesuffix("s")))
    if verb_of_kind:
        handle = getattr(cluster, kind)(given.pop("name"))
        return getattr(handle, verb_of_kind.replace("-", "_"))(**given)
    return getattr(cluster, verb)(**given)


def _look_up(cluster: Cluster, step: dict):
    try:
        reply = ask(cluster.dns, step["lookup"], step["type"])
    except Failed:
        assert step.get("fails"), step
        return
    assert len(reply.records) == step.get("records", 0), step
