"""Failures of the DNS, in force until they are ended."""

from __future__ import annotations

from types import TracebackType

from .api import Api
from .errors import ClusterError
from .marks import Change


class Fault:
    """A fault in a cluster. The end of a `with` block ends it."""

    def __init__(self, api: Api, name: str) -> None:
        self._api = api
        self.name = name
        """The name of the fault, as in the query log."""

    def hits(self) -> int:
        """Return the number of queries and connections that it has hit."""
        fault = self._api.call("GET", f"/apis/clusterlocal.dev/v1/faults/{self.name}")
        hits: int = fault["status"]["hits"]
        return hits

    def end(self) -> Change:
        """End the fault and return the change, for queries after it."""
        return Change.of(self._api.verb("delete", kind="Fault", name=self.name))

    def __enter__(self) -> Fault:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.end()
        except ClusterError as failure:
            # The test ended it.
            if failure.reason != "NotFound":
                raise
