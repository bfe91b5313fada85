"""The queries that a cluster received: selecting, counting and waiting for them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from .api import Api, span
from .errors import ClusterError, QueryError
from .marks import Mark

_PATH = "/apis/clusterlocal.dev/v1/queries"


@dataclass(frozen=True)
class Query:
    """A query and its answer."""

    number: int
    name: str
    """The name in the question, with its final dot."""
    type: str
    client: str
    """Address and port of the client."""
    pod: str | None
    """The pod that has or had the client's address: `default/db-1`."""
    transport: str
    rcode: str | None
    """Response code; None if there was no reply."""
    fault: str | None
    """Name of the fault that hit the query."""
    serial: int
    """Serial of the zone that the answer is from."""
    answers: tuple[str, ...]
    """Records of the answer section: `TYPE DATA`."""
    line: str
    """The query in the format of CoreDNS's log."""

    def __str__(self) -> str:
        return self.line

    @staticmethod
    def of(item: dict[str, Any]) -> Query:
        """Read from an object of the API."""
        answers = (item.get("reply") or {}).get("answers", [])
        return Query(
            int(item["metadata"]["name"]),
            item["name"],
            item["type"],
            item["client"],
            item.get("pod"),
            item["transport"],
            item.get("rcode"),
            item.get("fault"),
            item["serial"],
            tuple(f"{record['type']} {record['data']}" for record in answers),
            item["line"],
        )


class Queries:
    """A selection of the queries that a cluster received."""

    def __init__(self, api: Api, fields: dict[str, str | None], after: Mark | None) -> None:
        self._api = api
        self._query: dict[str, Any] = {}
        selector = ",".join(f"{field}={value}" for field, value in fields.items() if value is not None)
        if selector:
            self._query["fieldSelector"] = selector
        if after is not None:
            self._query.update(sinceSerial=after.serial, sinceQuery=after.query)

    def _ask(self, wait: float = 0.0, **expected: Any) -> list[Query]:  # noqa: ANN401
        try:
            reply = self._api.call("GET", _PATH, query={**self._query, **expected}, wait=wait)
        except ClusterError as error:
            if error.reason == "ExpectationFailed":
                raise QueryError(str(error)) from None
            raise
        return [Query.of(item) for item in reply["items"]]

    def all(self) -> list[Query]:
        """Return the queries so far, oldest first."""
        return self._ask()

    def count(self) -> int:
        """Return the number of queries so far."""
        return len(self.all())

    def wait_for(self, count: int, within: float = 10.0) -> list[Query]:
        """Wait until there are at least `count` queries, at most `within` seconds, and return them.

        Raises QueryError if there are fewer by then, with the latest queries of any kind.
        """
        return self._ask(within, atLeast=count, within=span(within))

    async def wait_for_async(self, count: int, within: float = 10.0) -> list[Query]:
        """Wait as `wait_for`, while the event loop runs on."""
        return await asyncio.to_thread(self.wait_for, count, within)

    def assert_none(self) -> None:
        """Raise QueryError if there is a query, and list them."""
        self._ask(atMost=0)
