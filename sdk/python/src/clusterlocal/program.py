"""The program: where it is, how it is started, and how it ends. Must not depend on the API."""

from __future__ import annotations

import atexit
import json
import os
import re
import shutil
import subprocess
import sysconfig
import tempfile
import threading
import weakref
from pathlib import Path
from typing import Any

from ._version import VERSION
from .errors import ClusterError

_STOP_TIMEOUT = 6.0
"""Seconds from SIGTERM to SIGKILL; the program stops within five."""

_running: weakref.WeakSet[Program] = weakref.WeakSet()


def find(given: str | Path | None) -> str:
    """Return the program: `given`, CLUSTERLOCAL_BIN, that of this package, or that of PATH."""
    if given is not None:
        return str(given)
    if os.environ.get("CLUSTERLOCAL_BIN"):
        return os.environ["CLUSTERLOCAL_BIN"]
    schemes = [sysconfig.get_path("scripts"), sysconfig.get_path("scripts", sysconfig.get_preferred_scheme("user"))]
    own = next((Path(folder, "clusterlocal") for folder in schemes if Path(folder, "clusterlocal").is_file()), None)
    found = str(own) if own else shutil.which("clusterlocal")
    if found is None:
        raise ClusterError(
            "there is no program clusterlocal in this package or in PATH: install it, or set CLUSTERLOCAL_BIN"
        )
    return found


class Program:
    """A running server."""

    def __init__(self, program: str | Path | None, arguments: list[str], manifests: str) -> None:
        self._path = find(program)
        # It is closed by `stop`.
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        command = [self._path, "serve", "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0", "--exit-with-parent"]
        # Variables of servers that are started by hand.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CLUSTERLOCAL_")}
        try:
            self._process = subprocess.Popen(
                [*command, "--output", "json", *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                env=environment,
            )
        except OSError as error:
            self._log.close()
            raise ClusterError(f"cannot start {self._path}: {error}") from error
        _running.add(self)
        self._stopping = threading.Lock()
        try:
            self.ready = self._start(manifests)
        except BaseException:
            self.stop()
            raise

    def _start(self, manifests: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(manifests.encode())
            self._process.stdin.close()
        except BrokenPipeError:
            pass
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._refuse_older(self._version())
            raise ClusterError(f"{self._path} did not start:\n{self.log().strip()}")
        ready: dict[str, Any] = json.loads(line)
        self._refuse_older(ready["version"])
        return ready

    def _version(self) -> str:
        asked = subprocess.run([self._path, "--version"], capture_output=True, text=True, timeout=10, check=False)
        return asked.stdout.split()[-1] if asked.stdout.split() else "0"

    def _refuse_older(self, version: str) -> None:
        if _numbers(version) < _numbers(VERSION):
            raise ClusterError(
                f"{self._path} is clusterlocal {version}, older than this package, {VERSION}: install {VERSION}"
            )

    def log(self) -> str:
        """Return what the server wrote to standard error."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    def stop(self) -> None:
        """End the server, at once if it does not end in time."""
        with self._stopping:
            if self._process.poll() is None:
                self._process.terminate()
                try:
                    self._process.wait(_STOP_TIMEOUT)
                except subprocess.TimeoutExpired:
                    self._process.kill()
                    self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._log.close()
            _running.discard(self)

    @property
    def pid(self) -> int:
        """Process ID of the server."""
        return self._process.pid


def _numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of `1.2.3-rc1+4` as (1, 2, 3)."""
    return tuple(int(number) for number in re.findall(r"\d+", re.split("[-+]", version)[0]))


@atexit.register
def _stop_all() -> None:
    for program in list(_running):
        program.stop()
