"""The fixture: a cluster to start, change, break and ask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .api import Api, span
from .errors import ClusterError
from .faults import Fault
from .marks import Change, Mark
from .program import Program
from .queries import Queries
from .system_resolver import replaced

if TYPE_CHECKING:
    from dns.resolver import Resolver

_EMPTY = "apiVersion: v1\nkind: List\nitems: []\n"
"""A cluster without objects; the program takes empty input for a mistake."""

_TOPOLOGY = "apiVersion: clusterlocal.dev/v1\nkind: Topology\n"


class Cluster:
    """A cluster for tests: its DNS, its API and its pods. `stop`, or the end of a `with` block, ends all of them.

    Objects are named as in kubectl: `db-0` is in the namespace `default`, `ring/db-0` in `ring`. Methods return when
    the DNS shows the change. They raise ClusterError if there is no such object, or after 30 seconds of a rollout.
    """

    def __init__(
        self,
        *paths: str | Path,
        manifests: str | None = None,
        topology: str | None = None,
        program: str | Path | None = None,
        **options: str | int | bool | Sequence[str],
    ) -> None:
        """Start the cluster of the files at `paths`, the YAML in `manifests` and the short form in `topology`.

        `options` are the flags of `clusterlocal serve`: `clock="manual"`, `ready_delay="5s"`, `recursive=True`.
        `program` is the path of the program. Raises ClusterError if it cannot be started or refuses the manifests.
        """
        texts = [text for text in (manifests, topology and _TOPOLOGY + topology) if text]
        arguments = [argument for name, value in options.items() for argument in _flag(name, value)]
        if not texts and not paths:
            texts = [_EMPTY]
        stdin = ["-"] if texts else []
        self._program = Program(program, [*arguments, *map(str, paths), *stdin], "\n---\n".join(texts))
        ready = self._program.ready
        self._api = Api(ready["api"])
        self.dns_addr: str = ready["dns"][0]
        """Address of the DNS, the same for UDP and TCP: `127.0.0.1:36439`."""
        self.api_url: str = ready["api"]
        """URL of the Kubernetes API, for client libraries."""
        self.kubeconfig: str = ready["kubeconfig"]
        """Content of a kubeconfig for the API."""
        self.domain: str = ready["domain"]
        """The cluster domain."""
        self.version: str = ready["version"]
        """Version of the program."""

    @property
    def dns(self) -> tuple[str, int]:
        """Host and port of the DNS."""
        host, port = self.dns_addr.rsplit(":", 1)
        return host.strip("[]"), int(port)

    @property
    def pid(self) -> int:
        """Process ID of the server."""
        return self._program.pid

    def search(self, namespace: str = "default") -> list[str]:
        """Return the search domains of a pod in `namespace`."""
        return [f"{namespace}.svc.{self.domain}", f"svc.{self.domain}", self.domain]

    def resolver(self, namespace: str = "default") -> Resolver:
        """Return a resolver of dnspython, configured as in a pod of `namespace`."""
        import dns.name
        import dns.resolver

        resolver = dns.resolver.Resolver(configure=False)
        host, port = self.dns
        resolver.nameservers, resolver.port = [host], port
        resolver.search = [dns.name.from_text(domain) for domain in self.search(namespace)]
        resolver.use_search_by_default, resolver.ndots = True, 5
        return resolver

    @contextmanager
    def system_resolver(self, namespace: str = "default") -> Iterator[None]:
        """Let `socket.getaddrinfo` of this process, and what builds on it, ask as a pod of `namespace` does."""
        with replaced(self.dns, self.search(namespace)):
            yield

    def scale(self, name: str, replicas: int) -> Change:
        """Set the number of replicas of a StatefulSet, Deployment or ReplicaSet, and wait for its pods."""
        return Change.of(self._api.verb("scale", name=name, replicas=replicas))

    def rollout(self, name: str) -> Change:
        """Wait until a StatefulSet, Deployment or ReplicaSet has all its pods, of its latest template and ready."""
        return Change.of(self._api.verb("rollout", name=name))

    def apply(self, manifests: str) -> Change:
        """Create or update the objects of a YAML stream."""
        return Change.of(self._api.verb("apply", manifests=manifests))

    def delete(self, kind: str, name: str) -> Change:
        """Delete the object of this kind and name."""
        return Change.of(self._api.verb("delete", kind=kind, name=name))

    def advance(self, by: str | float) -> Change:
        """Advance the clock by a duration (`1m30s`) or a number of seconds; everything due by then has happened."""
        return Change.of(self._api.verb("advance", by=by if isinstance(by, str) else span(by)))

    def mark(self) -> Mark:
        """Return the current position, for queries that arrive after it."""
        return Mark.of(self._api.verb("mark"))

    def wait_for_change(self, after: Mark, within: float = 10.0) -> Change:
        """Wait at most `within` seconds for a change of the DNS after a mark, such as a saved file."""
        arguments = {"serial": after.serial, "query": after.query, "within": span(within)}
        return Change.of(self._api.verb("wait-for-change", within, **arguments))

    def pod(self, name: str) -> Pod:
        """Return a handle of the pod `NAME` or `NAMESPACE/NAME`."""
        return Pod(self._api, name)

    def node(self, name: str) -> Node:
        """Return a handle of the node."""
        return Node(self._api, name)

    def fault(
        self,
        does: str,
        *,
        on: str | None = None,
        types: Sequence[str] = (),
        transport: str | None = None,
        clients: Sequence[str] = (),
        every: int | None = None,
        probability: float | None = None,
        times: int | None = None,
        priority: int | None = None,
        after: str | None = None,
        lasting: str | None = None,
        seed: int | None = None,
        name: str | None = None,
    ) -> Fault:
        """Add a fault: `servfail`, `delay 3s, refused`, the preset `dns-outage 30s`, or in turn `ok | drop`.

        `on` is a pattern of names (`_peer._tcp.*`); `after` and `lasting` are durations on the cluster's clock.
        """
        match = {
            "name": on,
            "types": list(types) or None,
            "transport": transport,
            "clients": list(clients) or None,
            "every": every,
            "probability": probability,
        }
        spec = {
            "match": {field: value for field, value in match.items() if value is not None},
            "times": times,
            "priority": priority,
            "after": after,
            "for": lasting,
            "seed": seed,
        }
        given = {field: value for field, value in spec.items() if value is not None}
        return Fault(self._api, self._api.verb("fault", does=does, name=name, spec=given)["name"])

    def queries(
        self,
        *,
        name: str | None = None,
        type: str | None = None,
        client: str | None = None,
        pod: str | None = None,
        transport: str | None = None,
        rcode: str | None = None,
        fault: str | None = None,
        after: Mark | None = None,
    ) -> Queries:
        """Select the queries that the cluster received; `name` is a pattern, `rcode` may be `none`."""
        fields = {"name": name, "type": type, "client": client, "pod": pod, "transport": transport}
        return Queries(self._api, {**fields, "rcode": rcode, "fault": fault}, after)

    def changes(self) -> list[dict[str, Any]]:
        """Return the changes of the DNS, each with its time, serial, cause and names."""
        items: list[dict[str, Any]] = self.request("GET", "/apis/clusterlocal.dev/v1/changes")["items"]
        return items

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send a request to the Kubernetes API; the body of a PATCH is a merge patch."""
        return self._api.call(method, path, body)

    def stop(self) -> None:
        """End the cluster."""
        self._program.stop()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class Pod:
    """A handle of a pod, by its name: it also refers to the pod that replaces it."""

    def __init__(self, api: Api, name: str) -> None:
        self._api = api
        self.name = name

    def _object(self) -> dict[str, Any] | None:
        namespace, _, name = self.name.rpartition("/")
        try:
            return self._api.call("GET", f"/api/v1/namespaces/{namespace or 'default'}/pods/{name}")
        except ClusterError as error:
            if error.reason == "NotFound":
                return None
            raise

    def address(self) -> str | None:
        """Return its current address; None if there is no such pod, or it has no address yet."""
        pod = self._object()
        return pod["status"].get("podIP") if pod else None

    def is_ready(self) -> bool:
        """Return whether the pod is ready."""
        pod = self._object() or {}
        conditions = pod.get("status", {}).get("conditions", [])
        return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)

    def _change(self, verb: str, **arguments: Any) -> Change:  # noqa: ANN401
        return Change.of(self._api.verb(f"pod/{verb}", name=self.name, **arguments))

    def ready(self) -> Change:
        """Make the pod ready until that is changed."""
        return self._change("ready")

    def unready(self) -> Change:
        """Make the pod not ready until that is changed."""
        return self._change("unready")

    def crash(self) -> Change:
        """Crash a container of the pod."""
        return self._change("crash")

    def bind(self, port: str, address: str) -> Change:
        """Let the pod be a socket of the test, `127.0.0.1:41234`: its address, and its port of this name."""
        return self._change("bind", port=port, address=address)

    def delete(self) -> Change:
        """Delete the pod; it stops within its grace period."""
        return self._change("delete")

    def force_delete(self) -> Change:
        """Delete the pod at once."""
        return self._change("force-delete")

    def restart(self, address: str | None = None) -> Change:
        """Delete the pod and wait for the one that replaces it, at this address if there is one."""
        return self._change("restart", address=address)


class Node:
    """A handle of a node."""

    def __init__(self, api: Api, name: str) -> None:
        self._api = api
        self.name = name

    def _change(self, verb: str) -> Change:
        return Change.of(self._api.verb(f"node/{verb}", name=self.name))

    def down(self) -> Change:
        """Cut the node off from the control plane."""
        return self._change("down")

    def off(self) -> Change:
        """Switch the machine off."""
        return self._change("off")

    def up(self) -> Change:
        """Reconnect the node."""
        return self._change("up")

    def reboot(self) -> Change:
        """Boot the machine: its pods stay and get new addresses."""
        return self._change("reboot")


def _flag(name: str, value: str | int | bool | Sequence[str]) -> list[str]:
    """Return the arguments for an option: `ready_delay="5s"` is `--ready-delay 5s`."""
    flag = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return [flag] if value else []
    values = [str(value)] if isinstance(value, (str, int)) else list(value)
    return [argument for each in values for argument in (flag, each)]
