"""Describes objects by the facts that are the same in each run of the same steps.

Random suffixes and hashes are written as S and H, addresses of pods as the pod's name. Left out is what only a kubelet
writes (the nodes of the control plane have none), which node the scheduler prefers among those that fit, and times.
"""

import collections
import json
import re

# The alphabet of generated names and hashes (k8s.io/apimachinery, pkg/util/rand).
HASH = re.compile(r"\b[bcdfghjklmnpqrstvwxz2456789]{8,10}\b")
SUFFIX = re.compile(r"-[bcdfghjklmnpqrstvwxz2456789]{5}\b")
# The ranges of pods' addresses: of the control plane, of clusterlocal.
POD_ADDRESS = re.compile(r"10\.244\.|127\.24[4-7]\.|fd00:10:244:")
# Allocated addresses of Services, of both.
SERVICE_ADDRESS = re.compile(r"\b(?:10|127)\.96\.\d+\.\d+|fd00:10:96::[0-9a-f:]+")
HASH_LABELS = {
    "pod-template-hash",
    "controller-revision-hash",
    "controller-uid",
    "batch.kubernetes.io/controller-uid",
    "controller.kubernetes.io/hash",
}
VARYING_ANNOTATIONS = {
    "kubectl.kubernetes.io/last-applied-configuration",
    "endpoints.kubernetes.io/last-change-trigger-time",
}
WORKLOADS = ("StatefulSet", "Deployment", "ReplicaSet", "ReplicationController", "DaemonSet", "Job", "CronJob")
# Parts of a workload's status that have a fact of their own, or hold times and hashes.
VARYING_STATUS = {
    "conditions", "currentRevision", "updateRevision", "startTime", "completionTime", "uncountedTerminatedPods",
    "lastScheduleTime", "lastSuccessfulTime",
}
KUBELET_EVENTS = re.compile(r"Normal (Scheduled|Started|Killing|Created|Pulled|Pulling)|Node ")
# Written by races between controllers and by the aggregation of events.
RACE_EVENTS = ("combined from similar", "the object has been modified", "skip schedule deleting pod")


def plain(text):
    """The text with generated suffixes, hashes and addresses of Services replaced."""
    return SUFFIX.sub("-S", HASH.sub("H", SERVICE_ADDRESS.sub("ADDRESS", text)))


def sorted_by_text(values):
    return sorted(values, key=lambda value: json.dumps(value, sort_keys=True))


def name_of(obj):
    """The object's name, with its random part replaced."""
    metadata = obj["metadata"]
    owner = next((owner for owner in metadata.get("ownerReferences", []) if owner.get("controller")), None)
    if owner and owner["kind"] == "StatefulSet":
        return metadata["name"]
    return plain(metadata["name"]) if owner or metadata.get("generateName") else metadata["name"]


def key_of(obj):
    """The key of an object: kind and name. Slices of a Service share a key."""
    kind, metadata = obj["kind"], obj["metadata"]
    if kind == "EndpointSlice":
        return f"{kind} {(metadata.get('labels') or {}).get('kubernetes.io/service-name', '')}"
    if kind == "ControllerRevision":
        return f"{kind} {re.sub('-[^-]*$', '-H', metadata['name'])}"
    return f"{kind} {name_of(obj)}"


def owner_text(owner):
    text = f"{owner['kind']} {plain(owner['name'])}"
    return text + (" controller" if owner.get("controller") else "") + (" blocks" if owner.get("blockOwnerDeletion") else "")


def conditions(status):
    kept = (c for c in status.get("conditions") or [] if c["type"] != "PodReadyToStartContainers")
    return sorted(f"{c['type']}={c['status']}" + (f" {c['reason']}" if c.get("reason") else "") for c in kept)


def describe_metadata(metadata):
    labels = (metadata.get("labels") or {}).items()
    return {
        "owners": [owner_text(owner) for owner in metadata.get("ownerReferences", [])],
        "generateName": plain(metadata.get("generateName") or ""),
        "labels": {key: "H" if key in HASH_LABELS else value for key, value in labels},
        "finalizers": metadata.get("finalizers", []),
        "deleting": "deletionTimestamp" in metadata,
        "annotations": sorted({*(metadata.get("annotations") or {})} - VARYING_ANNOTATIONS),
    }


def describe_pod(obj):
    spec, status = obj["spec"], obj.get("status") or {}
    return {
        "phase": status.get("phase"),
        "reason": status.get("reason"),
        "scheduled": bool(spec.get("nodeName")),
        "hostname": plain(spec.get("hostname") or ""),
        "subdomain": spec.get("subdomain"),
        "conditions": conditions(status),
        "ready": [container.get("ready") for container in status.get("containerStatuses") or []],
        "address": bool(status.get("podIP")),
        "images": [container.get("image") for container in spec.get("containers", [])],
        "tolerations": sorted(
            f"{t.get('key')} {t.get('operator')} {t.get('effect')} {t.get('tolerationSeconds')}"
            for t in spec.get("tolerations") or []
        ),
        "grace": obj["metadata"].get("deletionGracePeriodSeconds"),
    }


def describe_workload(obj):
    spec, status = obj.get("spec", {}), obj.get("status") or {}
    facts = {
        "replicas": spec.get("replicas"),
        "generation": obj["metadata"].get("generation"),
        "conditions": conditions(status),
        "status": {key: value for key, value in status.items() if key not in VARYING_STATUS},
    }
    if obj["kind"] == "CronJob" and "active" in status:
        facts["status"]["active"] = sorted(plain(job["name"]) for job in status["active"])
    if obj["kind"] == "StatefulSet":
        facts["revisions"] = 1 if status.get("currentRevision") == status.get("updateRevision") else 2
    return facts


def describe_slice(obj, target):
    endpoints = (
        {
            "addresses": [target(address) for address in endpoint["addresses"]],
            "hostname": plain(endpoint.get("hostname") or ""),
            "conditions": endpoint.get("conditions"),
            "target": bool(endpoint.get("targetRef")),
            "node": bool(endpoint.get("nodeName")),
        }
        for endpoint in obj.get("endpoints") or []
    )
    return {
        "family": obj["addressType"],
        "ports": sorted_by_text(obj.get("ports") or []),
        "endpoints": sorted_by_text(endpoints),
    }


def describe_endpoints(obj, target):
    def addresses(subset, field):
        return sorted([target(a["ip"]), plain(a.get("hostname") or "")] for a in subset.get(field) or [])

    subsets = (
        {
            "ready": addresses(subset, "addresses"),
            "notReady": addresses(subset, "notReadyAddresses"),
            "ports": sorted_by_text(subset.get("ports") or []),
        }
        for subset in obj.get("subsets") or []
    )
    return {"subsets": sorted_by_text(subsets)}


def describe_service(obj):
    spec = obj["spec"]
    address = spec.get("clusterIP")
    return {
        "type": spec.get("type"),
        "address": address if address in (None, "None") else "some",
        "families": spec.get("ipFamilies"),
        "policy": spec.get("ipFamilyPolicy"),
        "ports": [{k: v for k, v in port.items() if k != "nodePort"} for port in spec.get("ports") or []],
    }


def describe_claim(obj):
    spec = obj["spec"]
    return {
        "phase": (obj.get("status") or {}).get("phase"),
        "volume": bool(spec.get("volumeName")),
        "class": spec.get("storageClassName"),
    }


def describe_budget(obj):
    status = obj.get("status") or {}
    return {
        "conditions": conditions(status),
        "status": {key: value for key, value in status.items() if key not in ("conditions", "disruptedPods")},
    }


def describe(obj, target):
    """The facts of an object. `target` returns the name of the object that has an address."""
    kind, facts = obj["kind"], describe_metadata(obj["metadata"])
    if kind == "Pod":
        facts |= describe_pod(obj)
    elif kind in WORKLOADS:
        facts |= describe_workload(obj)
    elif kind == "PersistentVolumeClaim":
        facts |= describe_claim(obj)
    elif kind == "EndpointSlice":
        facts |= describe_slice(obj, target)
    elif kind == "Endpoints":
        facts |= describe_endpoints(obj, target)
    elif kind == "Service":
        facts |= describe_service(obj)
    elif kind == "PodDisruptionBudget":
        facts |= describe_budget(obj)
    elif kind == "ControllerRevision":
        facts["revision"] = obj.get("revision")
    return facts


def describe_all(objects):
    """The facts of all objects of a namespace, by `key_of`."""
    names = {
        address["ip"]: name_of(obj)
        for obj in objects
        if obj["kind"] == "Pod"
        for address in (obj.get("status") or {}).get("podIPs") or []
    }

    def target(address):
        return names.get(address, "gone" if POD_ADDRESS.match(address) else address)

    described = collections.defaultdict(list)
    for obj in objects:
        described[key_of(obj)].append(describe(obj, target))
    return {key: sorted_by_text(facts) for key, facts in sorted(described.items())}


def describe_events(events):
    """What the events of a namespace report, each once, sorted. After the first line a message is a dump of Go structures."""
    texts = {
        plain(f"{e['involvedObject']['kind']} {e['type']} {e['reason']}: {e.get('message', '')}").partition("\n")[0]
        for e in events
    }
    return sorted(t for t in texts if not KUBELET_EVENTS.search(t) and not any(race in t for race in RACE_EVENTS))
