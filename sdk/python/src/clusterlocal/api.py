"""Calls of the HTTP API of a server. Must not depend on what is called."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlencode, urlsplit

from .errors import ClusterError

_TIMEOUT = 60.0
"""Seconds for a call, and for those that wait in addition to their own time."""


class Api:
    """The API at a URL. Threads may share it: each call has a connection of its own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._address = urlsplit(url).netloc

    def call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        query: dict[str, Any] | None = None,
        wait: float = 0.0,
    ) -> dict[str, Any]:
        """Send a request and return the object of the reply; `wait` is how long the server may wait, in seconds.

        Raises ClusterError with the message of the Status that the server returned.
        """
        connection = http.client.HTTPConnection(self._address, timeout=_TIMEOUT + wait)
        given = {name: value for name, value in (query or {}).items() if value is not None}
        media_type = "application/merge-patch+json" if method == "PATCH" else "application/json"
        try:
            connection.request(
                method,
                f"{path}?{urlencode(given)}" if given else path,
                None if body is None else json.dumps(body),
                {} if body is None else {"Content-Type": media_type},
            )
            reply = connection.getresponse()
            text = reply.read()
        except OSError as error:
            raise ClusterError(f"the server at {self.url} does not answer: {error}") from error
        finally:
            connection.close()
        shown: dict[str, Any] = json.loads(text)
        if reply.status >= 400:
            raise ClusterError(shown.get("message", ""), shown.get("reason", ""))
        return shown

    def verb(self, verb: str, wait: float = 0.0, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401
        """Call a verb of the fixture protocol; arguments that are None are left out."""
        given = {name: value for name, value in arguments.items() if value is not None}
        return self.call("POST", f"/fixture/{verb}", given, wait=wait)


def span(seconds: float) -> str:
    """Return a duration as the API reads it."""
    return f"{round(seconds * 1000)}ms"
