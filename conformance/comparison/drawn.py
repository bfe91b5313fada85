"""What is drawn for a comparison: new objects, changes of valid ones, and other statuses of them."""

import json
import pathlib

from .drawing import Drawer, Types

TYPES = pathlib.Path(__file__).resolve().parents[2] / "crates/core/src/types/kubernetes.txt"


def drawn(objects, kinds, seed, count):
    """Objects of the kinds, drawn by the seed: new ones, and the given ones with changes. Those of one base follow each other."""
    types, cases = Types(TYPES), []
    # A name of its own: what an earlier run created may not be deleted yet.
    bases = [with_account(named(obj, f"{obj['metadata']['name']}-{seed}")) for obj in objects]
    begun = [kind for obj in objects if (kind := (obj["apiVersion"], obj["kind"])) in kinds] or kinds
    for index in range(count):
        drawer = Drawer(types, f"{seed}-{index}")
        # Most are of kinds with a valid object to begin with: more of it is validated.
        version, kind = drawer.pick(kinds if drawer.chance(0.4) else begun)
        known = [at for at, obj in enumerate(bases) if (obj["apiVersion"], obj["kind"]) == (version, kind)]
        name = drawer.text("name") if drawer.chance(0.03) else f"drawn-{seed}-{index}"
        if not known or drawer.chance(0.25):
            obj = drawer.new(version, kind, name)
            cases.append((-1, index, "create", obj, obj))
        elif drawer.chance(0.5):
            obj = drawer.changed(named(bases[known[0]], name))
            cases.append((-1, index, "create", obj, obj))
        else:
            at = drawer.random.choice(known)
            cases.append((at, index, "replace", bases[at], drawer.changed(bases[at])))
    yield from in_order(cases, seed)


def drawn_statuses(objects, kinds, seed, count):
    """Objects of the kinds with another status."""
    types, cases = Types(TYPES), []
    wanted = [obj for obj in objects if (obj["apiVersion"], obj["kind"]) in kinds]
    bases = [with_account(named(obj, f"{obj['metadata']['name']}-{seed}")) for obj in wanted]
    for index in range(count):
        drawer = Drawer(types, f"{seed}-{index}")
        at = drawer.random.randrange(len(bases))
        obj = drawer.changed({"status": {}, **bases[at]}, "status")
        if drawer.chance(0.1):
            obj = drawer.changed(obj, "metadata")
        cases.append((at, index, "status", bases[at], obj))
    yield from in_order(cases, seed)


def in_order(cases, seed):
    for _, index, verb, base, obj in sorted(cases, key=lambda case: case[:2]):
        # Clients write keys in order, and the first value that cannot be decoded is reported.
        obj = json.loads(json.dumps(with_account(obj), sort_keys=True))
        yield f"{base['kind']}/{seed}-{index} {verb}", verb, base, obj


def with_account(obj):
    """A Pod with the service account that admission gives it: the control plane does without."""
    spec = obj.get("spec")
    if obj["kind"] != "Pod" or not isinstance(spec, dict):
        return obj
    return {**obj, "spec": {"serviceAccountName": "default", **spec}}


def named(obj, name):
    return {**obj, "metadata": {**obj["metadata"], "name": name}}


def is_plain(obj, base):
    """Whether nothing in the metadata is decided before the object is validated: who it is, and its deletion."""
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict) or not metadata.get("name") or metadata["name"] != base["metadata"]["name"]:
        return False
    owners = metadata.get("ownerReferences")
    is_unique = not isinstance(owners, list) or all(owner not in owners[:at] for at, owner in enumerate(owners))
    others = {"generateName", "namespace", "resourceVersion", "uid", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds"}
    return is_unique and not others & metadata.keys()
