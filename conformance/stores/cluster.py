"""A cluster whose pods run as processes: starts `clusterlocal run`, and is its client through the Kubernetes API."""

import itertools
import json
import os
import pathlib
import subprocess
import time
import urllib.error
import urllib.request

# An ordinary user, as whom root runs the cluster: PostgreSQL and others refuse to run as root.
NOBODY = 65534

# Time that a command of a client may take, in seconds.
COMMAND_SECONDS = 30


class Failed(Exception):
    """A condition did not come true in time, or a command failed."""


class Cluster:
    """A running cluster with the objects of a manifest. Ends with the `with` block."""

    def __init__(self, program, manifests, folder):
        self.folder = folder
        self.numbers = itertools.count(1)
        self.log = open(folder / "clusterlocal.log", "w")
        # A day of questions of a busy store.
        flags = ["--query-log", str(64 << 20), "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0", "--exit-with-parent"]
        command = [program, "run", "--data", folder / "data", *flags, *manifests]
        user = {}
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
            user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        environment = {**os.environ, "HOME": str(folder)}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self.log, text=True, env=environment, **user
        )
        self.output = []
        ready = self.process.stdout.readline()
        if not ready.startswith("ready "):
            raise Failed(f"clusterlocal does not start: {(folder / 'clusterlocal.log').read_text()}")
        fields = dict(field.split("=") for field in ready.split()[1:])
        self.api = f"http://{fields['api']}"
        # Lines of containers.
        self.printer = subprocess.Popen(["cat"], stdin=self.process.stdout, stdout=open(folder / "containers.log", "w"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.printer.wait()
        self.log.close()

    # The API.

    def request(self, method, path, body=None, kind="application/json"):
        """The JSON of an answer; `None` if there is no such object."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.api + path, data, {"Content-Type": kind}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise Failed(f"{method} {path}: {error.read().decode()}") from None

    def pod(self, name):
        return self.request("GET", f"/api/v1/namespaces/default/pods/{name}")

    def is_ready(self, name):
        pod = self.pod(name)
        conditions = (pod or {}).get("status", {}).get("conditions", [])
        return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

    def delete_pod(self, name):
        """Deletes a pod and waits until another one has its name."""
        before = self.pod(name)["metadata"]["uid"]
        self.request("DELETE", f"/api/v1/namespaces/default/pods/{name}")
        self.wait(f"another pod {name}", 60, lambda: (self.pod(name) or {}).get("metadata", {}).get("uid", before) != before)

    def scale(self, name, replicas):
        path = f"/apis/apps/v1/namespaces/default/statefulsets/{name}/scale"
        self.request("PATCH", path, {"spec": {"replicas": replicas}}, "application/merge-patch+json")

    def queries(self):
        """The DNS questions so far."""
        return self.request("GET", "/apis/clusterlocal.dev/v1/queries")["items"]

    # Conditions.

    def wait(self, what, seconds, condition):
        """Waits until `condition` returns a true value, and returns it."""
        end, failure = time.monotonic() + seconds, None
        while True:
            try:
                if result := condition():
                    return result
            except Failed as error:
                failure = error
            if time.monotonic() > end:
                raise Failed(f"no {what} within {seconds} s" + (f": {failure}" if failure else ""))
            if self.process.poll() is not None:
                raise Failed("clusterlocal has ended")
            time.sleep(0.2)

    # Clients.

    def run(self, command, environment=(), service_account="default"):
        """The output of a shell command that runs in a pod of its own. Raises `Failed` if its exit code is not 0."""
        name = f"client-{next(self.numbers)}"
        container = {
            "name": "client",
            "image": "client",
            "command": ["sh", "-c", f"{{ {command}\n}} 2>&1"],
            "env": [{"name": key, "value": value} for key, value in environment],
        }
        spec = {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "serviceAccountName": service_account,
            "containers": [container],
        }
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        path = "/api/v1/namespaces/default/pods"
        uid = self.request("POST", path, body)["metadata"]["uid"]
        ended = lambda: self.pod(name)["status"].get("phase") in ("Succeeded", "Failed")
        try:
            self.wait(f"end of {command!r}", COMMAND_SECONDS, ended)
            phase = self.pod(name)["status"]["phase"]
            output = self.logged(uid, "client")
        finally:
            self.request("DELETE", f"{path}/{name}?gracePeriodSeconds=0")
        if phase != "Succeeded":
            raise Failed(f"{command!r} failed: {output}")
        return output

    def logged(self, uid, container):
        """What the first run of a container has written."""
        log = pathlib.Path(self.folder / "data" / "pods" / uid / "logs" / container / "0.log")
        lines = log.read_text().splitlines() if log.exists() else []
        # As CRI has it: time, stream, F for the end of a line or P for a part of it, the text.
        fields = [line.split(" ", 3) for line in lines]
        return "".join(text + ("\n" if tag == "F" else "") for _, _, tag, text in fields).removesuffix("\n")
