"""Draws objects from the table of the API's types: valid values, and values that an API server refuses."""

import copy
import random
import re

from .values import BYTES, ENUMS, INTEGERS, QUANTITIES, TEXTS, TIMES, WRONG, WRONG_TEXTS

# Fields of metadata that a server sets, or that name what is compared.
SET_BY_SERVER = {"managedFields", "creationTimestamp", "namespace", "name"}
# Maximum depth of a drawn struct; below it only the fields that have to be there.
DEPTH = 6


class Types:
    """The table of types, `crates/core/src/types/kubernetes.txt`: its head describes the format."""

    def __init__(self, path):
        self.kinds, self.lines, package = {}, {}, ""
        for line in path.read_text().splitlines():
            if line.startswith("kind "):
                _, version, kind, name, *_ = line.split()
                self.kinds[version, kind] = name
            elif line.startswith("package "):
                package = line.split()[1]
            elif line and not line.startswith("#"):
                name = re.match(r"\w+", line)[0]
                self.lines[f"{package}.{name}"] = package, line[len(name) :].removeprefix(" +atomic")
        self.parsed = {}

    def shape(self, name):
        """A dictionary of a struct's fields, each with its type and whether it may be left out; or the text of another type."""
        if name not in self.parsed:
            package, line = self.lines[name]
            self.parsed[name] = self.fields(package, line[2:]) if line.startswith(":") else self.full(package, line[3:])
        return self.parsed[name]

    def fields(self, package, text):
        fields = {}
        for field in filter(None, text.strip().split(", ")):
            words = field.split()
            words = words[1:] if words[0].isdigit() else words
            if words[0] == "^":
                fields.update(self.shape(self.full(package, words[1])))
            elif words[0] != "-":
                fields[words[0].split("=")[0]] = self.full(package, words[1]), "?" in words[2:]
        return fields

    def full(self, package, text):
        """A type with the package in its name."""
        begin, name = re.fullmatch(r"((?:\*|\[\]|\{[^}]*\})*)(.*)", text).groups()
        if "." not in name and f"{package}.{name}" in self.lines:
            name = f"{package}.{name}"
        begin = re.sub(r"\{([^}]*)\}", lambda key: "{" + (key[1] and self.full(package, key[1])) + "}", begin)
        return begin + name

    def child(self, kind, step):
        """The type of a field, an item or a value of a type; None if it has none."""
        kind = kind.lstrip("*")
        if kind.startswith("[]"):
            return kind[2:]
        if kind.startswith("{"):
            return kind[kind.index("}") + 1 :]
        shape = self.shape(kind) if kind in self.lines else None
        if isinstance(shape, dict):
            return shape[step][0] if step in shape else None
        return self.child(shape, step) if shape and shape[0] in "[{" else None


class Drawer:
    """Draws an object. The same seed draws the same object."""

    def __init__(self, types, seed):
        self.types, self.random = types, random.Random(seed)
        # About half of the objects have to be decoded by the server, so that its validation is compared.
        self.mistypes = self.random.random() < 0.25
        self.oddity = self.random.choice([0.02, 0.1, 0.3])

    def chance(self, probability):
        return self.random.random() < probability

    def pick(self, values):
        return copy.deepcopy(self.random.choice(values))

    def value(self, kind, name="", depth=0):
        """A value of a type, for a field of a name."""
        if self.mistypes and self.chance(0.02):
            return self.pick(WRONG)
        kind = kind.lstrip("*")
        if kind == "[]uint8":
            return self.pick(BYTES)
        if kind.startswith("[]"):
            items = [self.value(kind[2:], name, depth) for _ in range(self.random.choice([0, 1, 1, 1, 2, 2, 3]))]
            return items + copy.deepcopy(items[:1]) if self.chance(self.oddity / 2) else items
        if kind.startswith("{"):
            key, item = kind[1:].split("}", 1)
            return {self.key(key, name): self.value(item, name, depth) for _ in range(self.random.choice([0, 1, 1, 2]))}
        enum = ENUMS.get(kind.rsplit(".", 1)[-1])
        if enum and not self.chance(self.oddity):
            return self.pick(enum)
        if kind not in self.types.lines:
            return self.plain(kind, name)
        shape = self.types.shape(kind)
        if isinstance(shape, dict):
            return self.struct(shape, depth)
        return self.own(shape, name) if shape.startswith("@") else self.value(shape, name, depth)

    def struct(self, shape, depth):
        optional = [name for name, (_, may_omit) in shape.items() if may_omit and name not in ("status", "metadata")]
        wanted = self.random.choice([0, 1, 2, 3]) if depth < DEPTH else 0
        chosen = set(self.random.sample(optional, min(wanted, len(optional))))
        return {
            name: self.metadata() if name == "metadata" else self.value(kind, name, depth + 1)
            for name, (kind, may_omit) in shape.items()
            if name in chosen or not may_omit and not self.chance(self.oddity / 2) or name == "spec" and not depth
        }

    def metadata(self):
        """The metadata of a template."""
        labels = {"app": "a"} if not self.chance(self.oddity) else self.value("{}string", "labels")
        return {"labels": labels}

    def key(self, kind, name):
        if name in ("labels", "annotations", "matchLabels", "selector", "nodeSelector"):
            return self.text("labelKey")
        enum = ENUMS.get(kind.rsplit(".", 1)[-1])
        return self.pick(enum) if enum and not self.chance(self.oddity) else self.text("key")

    def own(self, shape, name):
        """A value of a type with a JSON of its own."""
        match shape:
            case "@time" | "@microtime":
                return self.pick(TIMES)
            case "@quantity":
                return self.pick(QUANTITIES)
            case "@intorstring":
                return self.plain("int32", name) if self.chance(0.5) else self.pick(["http", "50%", "25%", "x%", "", "Upper"])
        return self.pick([{}, {"a": 1}, {"apiVersion": "v1", "kind": "Pod"}])

    def plain(self, kind, name):
        match kind:
            case "bool":
                return self.chance(0.5)
            case "float64":
                return self.pick([0, 1.5, -1])
            case "string":
                return self.text(name)
        if kind.startswith(("int", "uint")):
            usual, odd = INTEGERS
            known = next((values for names, values in usual if re.search(names, name)), [0, 1, 2, 5, 30])
            return self.pick(odd if self.chance(self.oddity) else known)
        return self.pick([{}, "x", 1])

    def text(self, name):
        if self.chance(self.oddity):
            return self.pick(WRONG_TEXTS)
        return self.pick(next((values for names, values in TEXTS if re.search(names, name)), ["a", "b", "web"]))

    def new(self, version, kind, name):
        """An object from nothing but its type."""
        shape = self.types.shape(self.types.kinds[version, kind])
        drawn = self.struct({field: of for field, of in shape.items() if field not in ("apiVersion", "kind")}, 0)
        return {**drawn, "apiVersion": version, "kind": kind, "metadata": {"name": name, **self.object_meta()}}

    def object_meta(self):
        if self.chance(0.7):
            return {}
        shape = self.types.shape("meta.ObjectMeta")
        fields = {name: of for name, of in shape.items() if name not in SET_BY_SERVER}
        return self.struct(fields, DEPTH - 1)

    def changed(self, base, part=None):
        """An object with several changes of what its type has, all of them in one part if that is given."""
        obj = copy.deepcopy(base)
        root = self.types.kinds[obj["apiVersion"], obj["kind"]]
        for _ in range(self.random.choice([1, 2, 3, 5, 8])):
            places = [place for place in self.places(obj, root) if self.is_changed(place[2], part)]
            if not places:
                break
            self.change(*self.random.choice(places))
        return obj

    @staticmethod
    def is_changed(path, part):
        if part:
            return path[0] == part
        is_set = path[0] == "metadata" and len(path) > 1 and path[1] in SET_BY_SERVER
        return path[0] not in ("apiVersion", "kind", "status") and not is_set

    def places(self, value, kind, path=()):
        """Where a value of a type stands: what has it, its key there, its path, its type."""
        for step, item in list(value.items()) if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
            of = self.types.child(kind, step)
            if of is not None:
                yield value, step, (*path, step), of
                yield from self.places(item, of, (*path, step))

    def change(self, parent, step, path, kind):
        value, name = parent[step], next((step for step in reversed(path) if isinstance(step, str)), "")
        shape = self.types.lines.get(kind.lstrip("*")) and self.types.shape(kind.lstrip("*"))
        choice = self.random.random()
        if isinstance(shape, dict) and isinstance(value, dict) and choice < 0.8:
            fields = [field for field in shape if field not in value and self.is_changed((*path, field), path[0])]
            fields = [field for field in fields if path != ("metadata",) or field not in SET_BY_SERVER]
            if fields:
                field = self.random.choice(fields)
                value[field] = self.value(shape[field][0], field, 2)
        elif isinstance(value, list) and choice < 0.4:
            value.append(self.value(kind.lstrip("*")[2:], name, 2))
        elif isinstance(value, list) and value and choice < 0.6:
            value.append(copy.deepcopy(self.random.choice(value)))
        elif choice < 0.1:
            parent[step] = None
        elif choice < 0.2:
            del parent[step]
        elif self.mistypes and choice < 0.4:
            parent[step] = self.pick(WRONG)
        else:
            parent[step] = self.value(kind, name, 2)

