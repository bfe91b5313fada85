"""Scenarios: their steps, and the recordings of their outcomes."""

import json
import pathlib

import yaml

from .description import describe_all, describe_events, plain

KINDS = [
    "StatefulSet", "Deployment", "ReplicaSet", "DaemonSet", "Job", "Pod", "PersistentVolumeClaim", "EndpointSlice",
    "Endpoints", "Service", "ControllerRevision",
]

# A namespace has settled when nothing has changed in it for this long, in seconds of its cluster.
QUIET = 1.5
# Maximum time until it has settled, in seconds.
UNREST = 30


def load(path):
    """The scenarios of a file, by name."""
    documents = yaml.safe_load_all(pathlib.Path(path).read_text())
    return {document["name"]: document for document in documents if document}


def show(step):
    """One line for a step: kubectl's arguments, or the word and value of another action."""
    if isinstance(step, list):
        return "; ".join(show(part) for part in step)
    if isinstance(step, str):
        return step
    [(word, value)] = step.items()
    return word if word == "apply" else f"{word} {value}"


class Run:
    """A scenario that runs in a cluster, in its own namespace."""

    def __init__(self, cluster, scenario):
        self.cluster, self.scenario = cluster, scenario
        self.namespace = f"d-{scenario['name']}"
        self.kinds = scenario.get("kinds", KINDS)

    def outcomes(self):
        """Runs the steps. Yields the outcome of each, and at the end the events."""
        self.cluster.run(["delete", "namespace", self.namespace, "--ignore-not-found", "--timeout=60s"], "default")
        self.cluster.run(["create", "namespace", self.namespace], "default")
        self.cluster.pass_time(0.3)
        first = [{"apply": self.scenario["objects"]}] if self.scenario.get("objects") else []
        for step in first + self.scenario.get("steps", []):
            code, errors = 0, ""
            for action in step if isinstance(step, list) else [step]:
                failed, said = self.act(action)
                code, errors = code or failed, errors + said
            self.settle()
            yield {
                "step": show(step),
                "code": code,
                "stderr": plain(errors.strip()),
                "objects": describe_all(self.objects()),
            }
        yield {"events": describe_events(self.cluster.list("Event", self.namespace))}
        self.cluster.run(["delete", "namespace", self.namespace, "--wait=false"], "default")

    def act(self, action):
        """Runs one action. Returns an exit code and the text of standard error."""
        if isinstance(action, str):
            return self.cluster.run(action.split(), self.namespace)
        [(word, value)] = action.items()
        match word:
            case "apply":
                return self.cluster.run(["apply", "-f", "-"], self.namespace, yaml.safe_dump_all(value))
            case "shell":
                return self.cluster.run(value, self.namespace)
            case "lose-node":
                self.cluster.lose_node(value)
            case "recover-node":
                self.cluster.recover_node(value)
            case "wait":
                self.cluster.pass_time(value)
            case _:
                raise SystemExit(f"{self.scenario['name']}: there is no action {word!r}")
        return 0, ""

    def objects(self):
        every = (obj for kind in self.kinds for obj in self.cluster.list(kind, self.namespace))
        return [obj for obj in every if obj["metadata"]["name"] != "kube-root-ca.crt"]

    def settle(self):
        """Lets time pass until the namespace has settled."""
        known, still, passed, pause = None, 0.0, 0.0, 0.5
        while still < QUIET and passed < UNREST:
            versions = sorted((o["kind"], o["metadata"]["name"], o["metadata"]["resourceVersion"]) for o in self.objects())
            still = still + pause if versions == known else 0.0
            known = versions
            self.cluster.pass_time(pause)
            passed += pause


def write_recording(path, outcomes):
    """Writes the outcomes of a scenario, a line for each object that a step changed, so that a diff of recordings is short."""
    lines, before = [], {}
    for outcome in outcomes:
        if "events" in outcome:
            lines += [json.dumps({"event": event}) for event in outcome["events"]]
            continue
        lines.append(json.dumps({key: value for key, value in outcome.items() if key != "objects"}))
        now = outcome["objects"]
        for key in sorted({*before, *now}):
            if before.get(key) != now.get(key):
                lines.append(json.dumps({key: now.get(key, [])}, sort_keys=True))
        before = now
    path.write_text("\n".join(lines) + "\n")


def read_recording(path):
    """The outcomes of a scenario, as `Run.outcomes` yields them."""
    outcomes, objects, events = [], {}, []
    for line in path.read_text().splitlines():
        record = json.loads(line)
        if "step" in record:
            outcomes.append({**record, "objects": objects})
        elif "event" in record:
            events.append(record["event"])
        else:
            [(key, facts)] = record.items()
            objects = {**objects, key: facts}
            if not facts:
                del objects[key]
            outcomes[-1]["objects"] = objects
    return [*outcomes, {"events": events}]
