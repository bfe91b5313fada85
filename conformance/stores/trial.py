#!/usr/bin/env python3
"""Forms the clusters of examples/stores, disturbs them, and prints how long each took and what it asked the DNS.

    conformance/stores/trial.py [--program target/debug/clusterlocal] [STORE ...]
"""

import argparse
import collections
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

from cluster import Cluster, Failed
from stores import STORES

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Time over which the questions of a store at rest are counted, in seconds.
REST_SECONDS = 20

STEPS = ["form", "member", "leader", "scale up", "scale down"]


class Trial:
    """One store with its disturbances, and the seconds that each took."""

    def __init__(self, store, cluster):
        self.store, self.cluster, self.seconds = store, cluster, {}

    def run(self):
        store, more = self.store, self.store.replicas + 1
        self.step("form", lambda: None, store.replicas)
        self.write("first", "1")
        asked = len(self.questions())
        time.sleep(REST_SECONDS)
        self.at_rest = (len(self.questions()) - asked) * 60 // REST_SECONDS
        leader = store.leader()
        self.replace("member", next(pod for pod in store.pods() if pod != leader))
        self.check("first", "1")
        self.write("second", "2")
        self.replace("leader", store.leader())
        self.check("second", "2")

        def add():
            self.cluster.scale(store.set, more)
            added = store.pods(more)[-1]
            self.cluster.wait(f"pod {added}", store.deadline, lambda: self.cluster.pod(added))
            store.join(added)

        def remove():
            # A store may refuse it for some seconds after another change.
            left = lambda: store.leave(store.pods(more)[-1]) or True
            self.cluster.wait("leave", store.deadline, left)
            self.cluster.scale(store.set, store.replicas)

        self.step("scale up", add, more)
        self.step("scale down", remove, store.replicas)
        self.check("first", "1")
        self.check("second", "2")

    def step(self, name, act, replicas):
        """Acts, and measures until all pods are ready and the store has this number of members again."""
        begun = time.monotonic()
        act()
        for pod in self.store.pods(replicas):
            self.cluster.wait(f"ready pod {pod} ({name})", self.store.deadline, lambda: self.cluster.is_ready(pod))
        formed = lambda: self.store.is_formed(replicas)
        self.cluster.wait(f"cluster of {replicas} ({name})", self.store.deadline, formed)
        self.seconds[name] = time.monotonic() - begun
        print(f"  {name}: {self.seconds[name]:.1f} s", flush=True)

    def replace(self, name, pod):
        """Deletes a pod: another one takes its name and its data, at another address."""
        address = self.cluster.pod(pod)["status"]["podIP"]
        self.step(name, lambda: self.cluster.delete_pod(pod), self.store.replicas)
        if self.cluster.pod(pod)["status"]["podIP"] == address:
            raise Failed(f"{pod} has the address of the pod before it")

    def write(self, key, value):
        def written():
            self.store.write(key, value)
            return True

        self.cluster.wait(f"write of {key}", self.store.deadline, written)

    def check(self, key, value):
        found = self.cluster.wait(f"answer for {key}", self.store.deadline, lambda: self.store.read(key))
        if found.strip() != value:
            raise Failed(f"{key} is {found!r}, {value!r} was written")

    def questions(self):
        """The questions of the store's own pods."""
        asks = f"default/{self.store.asks or self.store.set}-"
        return [query for query in self.cluster.queries() if (query["pod"] or "").startswith(asks)]

    def shapes(self):
        """How often each shape of question was asked: type, name without ordinals and domain, answer."""
        counts = collections.Counter()
        for question in self.questions():
            name = re.sub(r"-\d+(?=\.)", "-N", question["name"]).removesuffix(".default.svc.cluster.local.")
            counts[f"{question['type']} `{name}` {question['rcode']}"] += 1
        return counts.most_common()


def attempt(kind, program, logs):
    """The trial of a store, or `None` if it failed: its logs are kept."""
    version = subprocess.run(kind.version, shell=True, capture_output=True, text=True)
    version = re.search(r"\d+\.\d+[\w.+:~-]*", version.stdout + version.stderr)
    print(f"{kind.name} {version[0] if version else '(not installed)'}", flush=True)
    # Where an ordinary user may read, whatever the folder of this repository allows.
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{kind.name}-"))
    folder.chmod(0o755)
    try:
        if not version:
            raise Failed(f"{kind.version!r} prints no version")
        program = shutil.copy(program, folder / "clusterlocal")
        manifests = [ROOT / "examples/stores" / name / f"{name}.yaml" for name in kind.manifests or [kind.name]]
        manifests = [shutil.copy(manifest, folder) for manifest in manifests]
        with Cluster(program, manifests, folder) as cluster:
            trial = Trial(kind(cluster), cluster)
            trial.run()
            trial.version, trial.asked = version[0], trial.shapes()
        return trial
    except Failed as error:
        kept = logs / kind.name
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(folder, kept, ignore=shutil.ignore_patterns("clusterlocal", "claims"), symlinks=True)
        print(f"  failed: {error}\n  logs: {kept}", flush=True)
        return None
    finally:
        shutil.rmtree(folder)


def tables(trials):
    """The tables of docs/stores.md."""
    yield "| store | version | " + " | ".join(STEPS) + " | questions a minute at rest |"
    yield "|---" * (len(STEPS) + 3) + "|"
    for trial in trials:
        seconds = " | ".join(f"{trial.seconds[step]:.1f}" for step in STEPS)
        yield f"| {trial.store.name} | {trial.version} | {seconds} | {trial.at_rest} |"
    yield ""
    yield "| store | asks the DNS for, and how often in the whole trial |"
    yield "|---|---|"
    for trial in trials:
        shown = "; ".join(f"{shape} × {count}" for shape, count in trial.asked[:6])
        yield f"| {trial.store.name} | {shown or 'nothing'} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=ROOT / "target/debug/clusterlocal")
    parser.add_argument("--logs", type=pathlib.Path, default=ROOT / "target/stores")
    parser.add_argument("stores", nargs="*", metavar="STORE", help=", ".join(kind.name for kind in STORES))
    arguments = parser.parse_args()
    unknown = set(arguments.stores) - {kind.name for kind in STORES}
    if unknown:
        parser.error(f"no such store: {', '.join(unknown)}")
    chosen = [kind for kind in STORES if not arguments.stores or kind.name in arguments.stores]
    trials = [attempt(kind, arguments.program, arguments.logs) for kind in chosen]
    print("\n" + "\n".join(tables([trial for trial in trials if trial])))
    sys.exit(any(trial is None for trial in trials))


main()
