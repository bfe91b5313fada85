"""`socket.getaddrinfo` of this process, led to a DNS server. Must not depend on clusters."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from . import dns_client

_NDOTS = 5
"""Dots from which on a name is tried as it is first, as in a pod."""

_replacing = threading.Lock()
"""A process has one resolver: two clusters cannot replace it at the same time."""


@contextmanager
def replaced(server: tuple[str, int], search: list[str]) -> Iterator[None]:
    """Let `getaddrinfo`, `gethostbyname` and `gethostbyname_ex` ask `server`, with these search domains."""
    if not _replacing.acquire(blocking=False):
        raise RuntimeError("getaddrinfo of this process is led to a cluster already")
    original = socket.getaddrinfo, socket.gethostbyname, socket.gethostbyname_ex

    def getaddrinfo(
        host: Any,  # noqa: ANN401
        port: Any,  # noqa: ANN401
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:
        name = host.decode() if isinstance(host, bytes) else host
        if name is None or name == "localhost" or _is_address(name) or flags & socket.AI_NUMERICHOST:
            return original[0](host, port, family, type, proto, flags)
        addresses = _addresses(server, search, name, family)
        # The service is looked up, and socket types are filled in, by the original.
        return [entry for address in addresses for entry in original[0](address, port, family, type, proto, flags)]

    def gethostbyname(host: str) -> str:
        first: str = getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)[0][4][0]
        return first

    def gethostbyname_ex(host: str) -> tuple[str, list[str], list[str]]:
        return host, [], [entry[4][0] for entry in getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)]

    try:
        socket.getaddrinfo, socket.gethostbyname, socket.gethostbyname_ex = (
            getaddrinfo,
            gethostbyname,
            gethostbyname_ex,
        )
        yield
    finally:
        socket.getaddrinfo, socket.gethostbyname, socket.gethostbyname_ex = original
        _replacing.release()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True


def _addresses(server: tuple[str, int], search: list[str], name: str, family: int) -> list[str]:
    types = [kind for kind, of in (("A", socket.AF_INET), ("AAAA", socket.AF_INET6)) if family in (0, of)]
    tried = [name]
    if not name.endswith("."):
        completed = [f"{name}.{domain}" for domain in search]
        tried = [name, *completed] if name.count(".") >= _NDOTS else [*completed, name]
    for candidate in tried:
        replies = [_ask(server, candidate, kind) for kind in types]
        found = [address for reply in replies if reply for address in reply.records]
        if found:
            return found
        # A server that fails hides whether the name exists: the search ends (resolv.conf(5), glibc's res_search).
        if None in replies:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def _ask(server: tuple[str, int], name: str, kind: str) -> dns_client.Reply | None:
    try:
        return dns_client.ask(server, name, kind)
    except (dns_client.Failed, UnicodeError):
        return None
