"""Access to one side of a comparison: kubectl, lists over HTTP, and the passing of time."""

import http.client
import json
import os
import pathlib
import signal
import ssl
import subprocess
import time
import urllib.parse

import yaml

# Kind: its path in the API.
GROUPS = {
    "StatefulSet": ("apis/apps/v1", "statefulsets"),
    "Deployment": ("apis/apps/v1", "deployments"),
    "ReplicaSet": ("apis/apps/v1", "replicasets"),
    "DaemonSet": ("apis/apps/v1", "daemonsets"),
    "ControllerRevision": ("apis/apps/v1", "controllerrevisions"),
    "Job": ("apis/batch/v1", "jobs"),
    "CronJob": ("apis/batch/v1", "cronjobs"),
    "Pod": ("api/v1", "pods"),
    "ReplicationController": ("api/v1", "replicationcontrollers"),
    "PersistentVolumeClaim": ("api/v1", "persistentvolumeclaims"),
    "Service": ("api/v1", "services"),
    "Endpoints": ("api/v1", "endpoints"),
    "EndpointSlice": ("apis/discovery.k8s.io/v1", "endpointslices"),
    "PodDisruptionBudget": ("apis/policy/v1", "poddisruptionbudgets"),
    "Event": ("api/v1", "events"),
}

# Maximum time that one kubectl command may take, in seconds.
COMMAND_TIMEOUT = 180


class Cluster:
    """A server of the Kubernetes API, as its kubeconfig describes it, on the wall clock."""

    def __init__(self, kubeconfig, kubectl="kubectl"):
        self.kubeconfig = pathlib.Path(kubeconfig).resolve()
        self.kubectl = [kubectl, "--kubeconfig", str(self.kubeconfig)]
        config = yaml.safe_load(self.kubeconfig.read_text())
        self.server = config["clusters"][0]["cluster"]["server"]
        user = (config.get("users") or [{}])[0].get("user") or {}
        self.headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if "token" in user:
            self.headers["Authorization"] = f"Bearer {user['token']}"
        url = urllib.parse.urlsplit(self.server)
        if url.scheme == "https":
            # The control plane signs its own certificate, and only this machine reaches it.
            tls = ssl._create_unverified_context()
            self.connection = http.client.HTTPSConnection(url.netloc, timeout=60, context=tls)
        else:
            self.connection = http.client.HTTPConnection(url.netloc, timeout=60)

    def request(self, method, path, body=None):
        """The parsed reply; None if the path does not exist."""
        data = json.dumps(body) if body is not None else None
        for attempt in range(2):
            try:
                self.connection.request(method, f"/{path}", data, self.headers)
                response = self.connection.getresponse()
                break
            except (http.client.HTTPException, OSError) as error:
                # A server may have closed an idle connection; the next request opens one.
                self.connection.close()
                if attempt:
                    raise SystemExit(f"no reply from {self.server}: {error}")
        content = response.read()
        if response.status == 404:
            return None
        if response.status >= 300:
            raise SystemExit(f"{method} {self.server}/{path}: {response.status} {content[:400].decode(errors='replace')}")
        return json.loads(content)

    def list(self, kind, namespace):
        """The objects of a kind in a namespace, each with its kind; none if the kind is unknown."""
        group, plural = GROUPS[kind]
        reply = self.request("GET", f"{group}/namespaces/{namespace}/{plural}")
        return [{**item, "kind": kind} for item in (reply or {}).get("items", [])]

    def run(self, command, namespace, stdin=None):
        """Runs kubectl with a list of arguments, or a shell command with $KUBECTL: exit code, standard error."""
        kubectl = [*self.kubectl, "-n", namespace]
        environment = {**os.environ, "KUBECTL": " ".join(kubectl), "NS": namespace}
        command = ["bash", "-c", command] if isinstance(command, str) else kubectl + command
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
        )
        started = time.monotonic()
        while True:
            try:
                _, errors = child.communicate(stdin, timeout=self.patience())
                return child.returncode, errors
            except subprocess.TimeoutExpired:
                stdin = None
                if time.monotonic() - started > COMMAND_TIMEOUT:
                    child.kill()
                    child.communicate()
                    return 124, "timed out"
                self.waiting()

    def patience(self):
        """How long a command may take before `waiting` is called."""
        return COMMAND_TIMEOUT

    def waiting(self):
        """Called while a command waits for something."""

    def pass_time(self, seconds):
        time.sleep(seconds)

    def lose_node(self, node):
        raise NotImplementedError

    def recover_node(self, node):
        raise NotImplementedError


class ControlPlane(Cluster):
    """The control plane that `cluster up DIRECTORY` started. A process simulates each node's kubelet."""

    def __init__(self, directory, kubectl="kubectl"):
        self.directory = pathlib.Path(directory)
        super().__init__(self.directory / "kubeconfig", kubectl)

    def signal(self, node, number):
        os.kill(int((self.directory / f"{node}.pid").read_text()), number)

    def lose_node(self, node):
        self.signal(node, signal.SIGSTOP)

    def recover_node(self, node):
        self.signal(node, signal.SIGCONT)


class Clusterlocal(Cluster):
    """A server of clusterlocal on the wall clock."""

    MACHINE = "clusterlocal.dev/machine"

    def lose_node(self, node):
        self.run(["annotate", "node", node, "--overwrite", f"{self.MACHINE}=unreachable"], "default")

    def recover_node(self, node):
        self.run(["annotate", "node", node, f"{self.MACHINE}-"], "default")


class ManualClusterlocal(Clusterlocal):
    """A server of clusterlocal with `--clock manual`: time passes when a step is done, or when a command waits."""

    def patience(self):
        # A command that does not wait for the clock takes less, on a loaded machine as well.
        return 1

    def waiting(self):
        self.pass_time(1)

    def pass_time(self, seconds):
        self.request("POST", "apis/clusterlocal.dev/v1/clocks/cluster/advance", {"by": f"{int(seconds * 1000)}ms"})
