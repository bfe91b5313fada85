"""Starts clusterlocal for a comparison."""

import contextlib
import pathlib
import subprocess
import tempfile


@contextlib.contextmanager
def serving(program, *arguments):
    """A server of an empty cluster on free ports, until the block ends: its kubeconfig."""
    with tempfile.TemporaryDirectory() as folder:
        manifests, kubeconfig = pathlib.Path(folder, "manifests"), pathlib.Path(folder, "kubeconfig")
        manifests.mkdir()
        command = [program, "serve", "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0", "--kubeconfig", kubeconfig]
        server = subprocess.Popen([*command, *arguments, manifests], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            # One line is written when the server is ready.
            if not server.stdout.readline():
                raise SystemExit(f"{program} serve does not start")
            yield kubeconfig
        finally:
            server.kill()
            server.wait()
            server.stdout.close()
