"""Peer discovery by the SRV records of a headless Service; the peers that are known survive an outage of the DNS."""

from __future__ import annotations

import dns.exception
import dns.resolver


class Discovery:
    """The peers of one service, as (address, port)."""

    def __init__(self, resolver: dns.resolver.Resolver, service: str) -> None:
        self._resolver, self._service = resolver, service
        self.peers: set[tuple[str, int]] = set()

    def refresh(self) -> set[tuple[str, int]]:
        """Look up all peers again. No such name means no peer; no answer means nothing."""
        try:
            found = self._resolver.resolve(self._service, "SRV")
            self.peers = {(self._address(record.target), record.port) for record in found}
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            self.peers = set()
        except dns.exception.DNSException:
            pass
        return self.peers

    def _address(self, name: dns.name.Name) -> str:
        return self._resolver.resolve(name, "A")[0].address
