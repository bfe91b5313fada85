"""Changes of the DNS, and positions in the query log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Mark:
    """A point in time, for queries that arrive after it."""

    serial: int
    """Serial of the SOA record: a client that sees this serial or a later one sees the change."""
    query: int
    """Number of the latest query at that time."""

    @staticmethod
    def of(reply: dict[str, Any]) -> Mark:
        """Read from the reply of a verb."""
        return Mark(reply["serial"], reply["query"])


@dataclass(frozen=True)
class NameChange:
    """A name that was added or removed."""

    added: bool
    name: str
    """The name without the cluster domain and `svc`: `db-0.db.default`."""
    target: str
    """The address, or the target of an alias."""

    def __str__(self) -> str:
        return f"{'+' if self.added else '-'}{self.name}"


@dataclass(frozen=True)
class Change(Mark):
    """A change that is visible in the DNS."""

    names: tuple[NameChange, ...] = ()

    @staticmethod
    def of(reply: dict[str, Any]) -> Change:
        """Read from the reply of a verb."""
        names = tuple(NameChange(name["added"], name["name"], name["target"]) for name in reply["names"])
        return Change(reply["serial"], reply["query"], names)
