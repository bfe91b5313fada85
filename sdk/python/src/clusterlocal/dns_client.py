"""A small DNS client, so that `getaddrinfo` needs no package: questions over UDP, and over TCP if truncated."""

from __future__ import annotations

import secrets
import socket
import struct
from dataclasses import dataclass
from typing import Any

TYPES = {"A": 1, "AAAA": 28, "SRV": 33}

_TIMEOUT = 5.0
"""Seconds until an answer, as in resolv.conf(5)."""

_ATTEMPTS = 2
"""Times that a question is sent, as in resolv.conf(5)."""

_ALIASES_MAX = 255
"""Maximum of labels and pointers of a name, which ends every loop of pointers."""


class Failed(Exception):
    """There is no answer: the server failed, or did not reply."""


@dataclass(frozen=True)
class Reply:
    """An answer."""

    rcode: int
    records: tuple[Any, ...]
    """Addresses as text; the records of an SRV answer as (target, port)."""


def ask(server: tuple[str, int], name: str, record_type: str, timeout: float = _TIMEOUT) -> Reply:
    """Ask for the records of a name. Raises Failed without a reply, and for SERVFAIL and the like."""
    number = TYPES[record_type]
    labels = b"".join(bytes([len(label)]) + label for label in map(str.encode, name.rstrip(".").split(".")))
    for _ in range(_ATTEMPTS):
        identity = secrets.randbits(16)
        question = struct.pack("!6H", identity, 0x100, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, number, 1)
        try:
            reply = _exchange(server, question, timeout)
        except OSError:
            continue
        identity_of_reply, flags = struct.unpack_from("!HH", reply)
        if identity_of_reply == identity and flags & 0x000F in (0, 3):
            return Reply(flags & 0x000F, tuple(_records(reply, number)))
    raise Failed(f"{name}: no answer from {server[0]}:{server[1]}")


def _exchange(server: tuple[str, int], question: bytes, timeout: float) -> bytes:
    family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(timeout)
        client.connect(server)
        client.send(question)
        reply = client.recv(65535)
    if len(reply) < 12:
        raise OSError("a reply without a header")
    if not reply[2] & 0x02:
        return reply
    with socket.socket(family, socket.SOCK_STREAM) as stream:
        stream.settimeout(timeout)
        stream.connect(server)
        stream.sendall(struct.pack("!H", len(question)) + question)
        with stream.makefile("rb") as replies:
            (length,) = struct.unpack("!H", replies.read(2).ljust(2, b"\0"))
            reply = replies.read(length)
    if len(reply) < max(length, 12):
        raise OSError("the connection was closed within a reply")
    return reply


def _records(reply: bytes, wanted: int) -> list[Any]:
    questions, answers = struct.unpack_from("!HH", reply, 4)
    at = 12
    for _ in range(questions):
        at = _name(reply, at)[1] + 4
    found: list[Any] = []
    for _ in range(answers):
        at = _name(reply, at)[1]
        kind, _, _, length = struct.unpack_from("!HHIH", reply, at)
        at += 10
        if kind == wanted == TYPES["SRV"]:
            (port,) = struct.unpack_from("!H", reply, at + 4)
            found.append((_name(reply, at + 6)[0], port))
        elif kind == wanted:
            family = socket.AF_INET if kind == TYPES["A"] else socket.AF_INET6
            found.append(socket.inet_ntop(family, reply[at : at + length]))
        at += length
    return found


def _name(message: bytes, at: int) -> tuple[str, int]:
    """Return the name at an offset, and the offset behind it."""
    labels, end = [], -1
    for _ in range(_ALIASES_MAX):
        length = message[at]
        if length >= 0xC0:
            end = at + 2 if end < 0 else end
            at = (length & 0x3F) << 8 | message[at + 1]
        elif length:
            labels.append(message[at + 1 : at + 1 + length].decode(errors="replace"))
            at += 1 + length
        else:
            return ".".join(labels), at + 1 if end < 0 else end
    raise OSError("a name without an end")
