"""Differences between two runs of a scenario, and the list of known differences."""

import collections
import dataclasses
import fcntl
import json
import os
import pathlib
import re

# The heading of differences that have no reason yet.
OPEN = "Open: to be examined."
LINE = re.compile(r"(\S+) (events|[\d,]+): (.*)")

INTRODUCTION = """\
Differences between clusterlocal and the recorded control plane, as `conformance/judge compare` finds them: scenario, the
numbers of its steps, and the fact, under the reason. `conformance/judge compare --write` keeps the list current.
"""


@dataclasses.dataclass
class Tally:
    """How much of a scenario is the same. A fact is a field of an object, or the existence of an object."""

    steps: int = 0
    same_steps: int = 0
    facts: int = 0
    same_facts: int = 0
    events: int = 0
    same_events: int = 0

    def __add__(self, other):
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(other))
        return Tally(*(a + b for a, b in pairs))

    def __str__(self):
        return (
            f"{self.same_steps} of {self.steps} steps, {self.same_facts} of {self.facts} facts, "
            f"{self.same_events} of {self.events} events the same"
        )


def text(value):
    return json.dumps(value, sort_keys=True)


def fact_differences(expected, actual):
    """Yields the differences between the facts of two objects."""
    for field in sorted({*expected, *actual}):
        a, b = expected.get(field), actual.get(field)
        if a == b:
            continue
        if isinstance(a, dict) and isinstance(b, dict):
            for key in sorted({*a, *b}):
                if a.get(key) != b.get(key):
                    yield f"{field}.{key}", a.get(key), b.get(key)
        else:
            yield field, a, b


def step_differences(expected, actual):
    """The differences after a step, how many facts were compared, and how many of them are the same."""
    found, facts, same = [], 1, 1
    for field in ("code", "stderr"):
        if expected[field] != actual[field]:
            found.append(f"{field}: real {text(expected[field])} ours {text(actual[field])}")
            same = 0
            break
    a, b = expected["objects"], actual["objects"]
    for key in sorted({*a, *b}):
        x, y = a.get(key, []), b.get(key, [])
        if len(x) != len(y):
            found.append(f"{key}: real {len(x)} ours {len(y)}")
            facts += abs(len(x) - len(y))
            continue
        for p, q in zip(x, y):
            facts += len(p)
            same += sum(p[name] == q.get(name) for name in p)
            found += [f"{key} {name}: real {text(v)} ours {text(w)}" for name, v, w in fact_differences(p, q)]
    return found, facts, same


def compare(name, expected, actual):
    """All differences between two runs as {(scenario, text): [step]}, and the tally."""
    found, tally = collections.defaultdict(list), Tally()
    for number, (a, b) in enumerate(zip(expected, actual, strict=True)):
        if "events" in a:
            real, ours = {*a["events"]}, {*b["events"]}
            tally += Tally(events=len(real | ours), same_events=len(real & ours))
            for event in real ^ ours:
                found[name, f"only {'real' if event in real else 'ours'}: {event}"] = ["events"]
            continue
        here, facts, same = step_differences(a, b)
        tally += Tally(1, not here, facts, same)
        for difference in dict.fromkeys(here):
            found[name, difference].append(str(number))
    return dict(found), tally


class Known:
    """The list of known differences: {reason: {(scenario, text): [step]}}."""

    def __init__(self, path):
        self.path, self.reasons = pathlib.Path(path), {}
        if not self.path.exists():
            return
        reason = None
        for line in self.path.read_text().splitlines():
            if line.startswith("## "):
                reason = self.reasons.setdefault(line[3:], {})
            elif match := reason is not None and LINE.fullmatch(line):
                scenario, steps, difference = match.groups()
                reason[scenario, difference] = steps.split(",")

    def of(self, scenarios):
        """The known differences of these scenarios."""
        every = {key: steps for reason in self.reasons.values() for key, steps in reason.items()}
        return {key: steps for key, steps in every.items() if key[0] in scenarios}

    def deviations(self, scenarios, found):
        """Lines for differences that are not listed, and for listed ones that no longer occur."""
        known = self.of(scenarios)
        for key in sorted({*known, *found}):
            for step in known.get(key, []):
                if step not in found.get(key, []):
                    yield f"no longer: {key[0]} {step}: {key[1]}"
            for step in found.get(key, []):
                if step not in known.get(key, []):
                    yield f"not listed: {key[0]} {step}: {key[1]}"

    @classmethod
    def rewrite(cls, path, scenarios, existing, found):
        """Replaces what the file lists for these scenarios, and for scenarios that no longer exist.

        Reasons are kept, what is new goes under `OPEN`.
        """
        lock = os.open(pathlib.Path(path).parent, os.O_RDONLY)
        try:
            # Scenarios are compared by several processes at the same time.
            fcntl.flock(lock, fcntl.LOCK_EX)
            known, left = cls(path), dict(found)
            for reason in known.reasons.values():
                for key in [key for key in reason if key[0] in scenarios or key[0] not in existing]:
                    if key in left:
                        reason[key] = left.pop(key)
                    else:
                        del reason[key]
            known.reasons.setdefault(OPEN, {}).update(left)
            lines = [INTRODUCTION]
            for heading, differences in known.reasons.items():
                if differences:
                    lines.append(f"## {heading}\n")
                    lines += [f"{s} {','.join(steps)}: {t}" for (s, t), steps in sorted(differences.items())]
                    lines.append("")
            pathlib.Path(path).write_text("\n".join(lines))
        finally:
            os.close(lock)
