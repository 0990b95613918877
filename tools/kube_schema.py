"""Builds resource_api/schema/data/builtin.bin: the built-in kinds, their types and their protobuf fields, in one compact file.

Types, list keys, merge keys, kinds and prose come from the definitions that the package kubernetes-validate carries (OpenAPI of
Kubernetes 1.37, changed by that package; the changes are undone here); what no package has stands in the tables of tools/kube. Only
definitions that a served resource can reach are kept. Run by `python -m tools.kube_schema`; with --check it proves the committed file to be
what would be written (compared after decompression: compressors differ).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import pathlib
import re
import sys
import zlib
from collections.abc import Iterator
from typing import Any

if __package__ in (None, ""):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from tools.kube_protobuf import message_table

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLES = ROOT / "tools" / "kube"
OUT = ROOT / "resource_api" / "schema" / "data" / "builtin.bin"
RELEASE = "v1.37.0-local"

Node = dict[str, Any]

VERBS = {
    "c": "create",
    "d": "delete",
    "D": "deletecollection",
    "g": "get",
    "l": "list",
    "p": "patch",
    "u": "update",
    "w": "watch",
}
FULL = "cdDglpuw"

META = "io.k8s.apimachinery.pkg.apis.meta.v1."
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
UNTYPED = {"io.k8s.apimachinery.pkg.runtime.RawExtension", META + "FieldsV1"}
ROOTS = tuple(
    META + name
    for name in (
        *("APIGroup", "APIGroupList", "APIResourceList", "APIVersions", "CreateOptions", "DeleteOptions", "GetOptions", "List"),
        *("PartialObjectMetadata", "PartialObjectMetadataList", "Patch", "PatchOptions", "Status", "UpdateOptions", "WatchEvent"),
    )
) + ("io.k8s.apimachinery.pkg.version.Info",)
ZERO = {"string": "", "integer": 0}
KEPT = ("x-kubernetes-list-map-keys", "x-kubernetes-list-type", "x-kubernetes-map-type")
STREAMED = ("AttachOptions", "ExecOptions", "PortForwardOptions", "ProxyOptions")
"""Kinds that are only query parameters and have no definition."""


def rows(table: str) -> Iterator[dict[str, str]]:
    """The rows of a table of tools/kube by column; `-` stands for nothing."""
    lines = [line for line in (TABLES / table).read_text().splitlines() if not line.startswith("#")]
    columns = lines[0].split("\t")
    for line in lines[1:]:
        values = ["" if value == "-" else value for value in line.split("\t")]
        yield dict(zip(columns, values, strict=True))


def load_definitions() -> dict[str, Node]:
    """The package's definitions and our own for what it lacks, by full name."""
    package = importlib.util.find_spec("kubernetes_validate")
    if package is None or package.origin is None:
        sys.exit("kubernetes-validate is not installed")
    folder = pathlib.Path(package.origin).parent / "kubernetes-json-schema" / RELEASE
    found: dict[str, Node] = json.loads((folder / "_definitions.json").read_text())["$defs"]
    own: dict[str, Node] = json.loads((TABLES / "definitions.json").read_text())
    twice = found.keys() & own.keys()
    if twice:
        sys.exit(f"the package has these now, take them out of definitions.json: {sorted(twice)}")
    return {**found, **own}


def split_gvk(text: str) -> tuple[str, str, str]:
    """`apps/v1/Deployment`, `v1/Pod`."""
    *group, version, kind = text.split("/")
    return "/".join(group), version, kind


def _verbs(letters: str) -> list[str]:
    return [VERBS[letter] for letter in (FULL if letters == "full" else letters)]


def _subresource(text: str, row: dict[str, str]) -> tuple[str, list[Any]]:
    head, _, gvk = text.partition("=")
    name, _, letters = head.partition(":")
    kind = split_gvk(gvk) if gvk else (row["group"], row["version"], row["kind"])
    return name, [*kind, _verbs(letters or "gpu")]


def resource_entries() -> list[dict[str, Any]]:
    """Rows of resources.tsv as ResourceType's fields."""
    entries = []
    for row in rows("resources.tsv"):
        path, _, stored_as = row["stored"].partition("=")
        entries.append(
            {
                "group": row["group"],
                "version": row["version"],
                "kind": row["kind"],
                "plural": row["plural"],
                "singular": row["kind"].lower(),
                "namespaced": row["scope"] == "ns",
                "verbs": _verbs(row["verbs"]),
                "short_names": row["short"].split(",") if row["short"] else [],
                "categories": row["categories"].split(",") if row["categories"] else [],
                "subresources": dict(_subresource(text, row) for text in row["subresources"].split()),
                "storage_path": path,
                "stored_as": list(split_gvk(stored_as)) if stored_as else None,
            }
        )
    return entries


def kind_index(definitions: dict[str, Node]) -> dict[str, str]:
    """`apps/v1/Deployment` -> the definition's name."""
    index = {}
    for name, node in definitions.items():
        for gvk in node.get("x-kubernetes-group-version-kind", ()):
            group = gvk["group"] + "/" if gvk["group"] else ""
            index[f"{group}{gvk['version']}/{gvk['kind']}"] = name
    return index


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].rpartition("/")[2]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def reachable(definitions: dict[str, Node], roots: set[str]) -> list[str]:
    """Everything the roots refer to, sorted."""
    seen: set[str] = set()
    todo = sorted(roots)
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo.extend(_references(definitions[name]))
    return sorted(seen)


def served_roots(index: dict[str, str], entries: list[dict[str, Any]]) -> set[str]:
    """The kinds of resources and subresources, their lists, and what the API itself says."""
    roots = set(ROOTS)
    for entry in entries:
        prefix = f"{entry['group']}/" if entry["group"] else ""
        gvk = f"{prefix}{entry['version']}/{entry['kind']}"
        roots.add(index[gvk])
        if "list" in entry["verbs"]:
            roots.add(index[gvk + "List"])
        for group, version, kind, _ in entry["subresources"].values():
            if not kind.endswith(STREAMED):
                roots.add(index["/".join(part for part in (group, version, kind) if part)])
    return roots


def plain_node(node: Node) -> Node:
    """One schema node as Kubernetes publishes it in OpenAPI v3, without prose."""
    if "$ref" in node:
        plain: Node = {"$ref": "#/components/schemas/" + node["$ref"].rpartition("/")[2]}
    else:
        shape = node.get("type")
        shapes = [word for word in shape if word != "null"] if isinstance(shape, list) else [shape] if shape else []
        plain = {"type": shapes[0]} if shapes else {}
        if "format" in node:
            plain["format"] = node["format"]
        if "items" in node:
            plain["items"] = plain_node(node["items"])
        if "additionalProperties" in node:
            plain["additionalProperties"] = plain_node(node["additionalProperties"])
    plain.update({key: node[key] for key in KEPT if key in node})
    if "x-kubernetes-patch-merge-key" in node:
        plain["x-kubernetes-patch-merge-key"] = node["x-kubernetes-patch-merge-key"]
    if "x-kubernetes-patch-strategy" in node:
        plain["x-kubernetes-patch-strategy"] = node["x-kubernetes-patch-strategy"]
    return plain


def plain_definition(name: str, node: Node, served: set[str]) -> Node:
    """A definition without prose."""
    if name == QUANTITY:
        return {"oneOf": [{"type": "string"}, {"type": "number"}]}
    if name == INT_OR_STRING:
        return {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}
    plain = plain_node(node)
    if "properties" in node:
        plain["properties"] = {field: plain_node(value) for field, value in sorted(node["properties"].items())}
    if node.get("required"):
        plain["required"] = sorted(node["required"])
    if name in UNTYPED:
        plain["x-kubernetes-preserve-unknown-fields"] = True
    if "x-kubernetes-unions" in node:
        plain["x-kubernetes-unions"] = node["x-kubernetes-unions"]
    kinds = [
        {"group": gvk["group"], "kind": gvk["kind"], "version": gvk["version"]}
        for gvk in node.get("x-kubernetes-group-version-kind", ())
        if gvk["group"] in ("", "meta.k8s.io") or f"{gvk['group']}/{gvk['version']}" in served
    ]
    if kinds:
        plain["x-kubernetes-group-version-kind"] = kinds
    return plain


def add_key_defaults(types: dict[str, Node], declared: dict[str, dict[str, Any]]) -> None:
    """Sets `default` on the properties that are keys of some list: the declared one, else zero where the key is required."""
    for node in list(types.values()):
        for field in node.get("properties", {}).values():
            keys = field.get("x-kubernetes-list-map-keys", ())
            item = field.get("items", {}).get("$ref", "").rpartition("/")[2]
            for key in keys:
                target = types[item]["properties"][key]
                if key in declared.get(item, {}):
                    target["default"] = declared[item][key]
                elif key in types[item].get("required", ()):
                    target["default"] = ZERO[target["type"]]


def enumerations(types: dict[str, Node]) -> dict[str, dict[str, Node]]:
    """enums.tsv: definition -> property -> what is said of its values, by where they stand: `enum`, `items` or `additionalProperties`."""
    found: dict[str, dict[str, Node]] = {}
    for row in rows("enums.tsv"):
        property = row["property"].rstrip("[]{}")
        if property not in types[row["definition"]]["properties"]:
            sys.exit(f"enums.tsv: {row['definition']} has no {property}")
        texts = [json.loads(f'"{text}"') for text in re.findall(r'"((?:[^"\\\\]|\\\\.)*)"', row["values"])]
        said = dict(zip(texts[::2], texts[1::2], strict=True))
        values = sorted(said)
        entry: Node = {"enum": values}
        if row["property"].endswith("[]"):
            entry = {"items": {"enum": values}}
        elif row["property"].endswith("{}"):
            entry = {"additionalProperties": {"enum": values}}
        else:
            lines = sorted(f' - `"{value}"` {said[value]}' for value in values)
            entry["description"] = "\n\nPossible enum values:\n" + "\n".join(lines)
        found.setdefault(row["definition"], {})[property] = entry
    return found


def prose_of(node: Node, defaults: dict[str, Any], enums: dict[str, Node]) -> Node:
    """What is published beside the type: descriptions, values of enumerations, and defaults that no list's key needs."""
    prose: Node = {"description": node["description"]} if "description" in node else {}
    fields: dict[str, Node] = {}
    for field, value in sorted(node.get("properties", {}).items()):
        entry = {"description": value["description"]} if "description" in value else {}
        if field in defaults:
            entry["default"] = defaults[field]
        for key, said in enums.get(field, {}).items():
            entry[key] = entry.get("description", "") + said if key == "description" else said
        if entry:
            fields[field] = entry
    if fields:
        prose["properties"] = fields
    return prose


def declared_defaults(definitions: dict[str, Node]) -> dict[str, dict[str, Any]]:
    """defaults.tsv by definition and property; a row for something unknown is an error."""
    declared: dict[str, dict[str, Any]] = {}
    for row in rows("defaults.tsv"):
        if row["property"] not in definitions[row["definition"]]["properties"]:
            sys.exit(f"defaults.tsv: {row['definition']} has no {row['property']}")
        declared.setdefault(row["definition"], {})[row["property"]] = json.loads(row["default"])
    return declared


def always_written(types: dict[str, Node]) -> dict[str, dict[str, Any]]:
    """always_written.tsv: definition -> member -> what stands there when nobody set it."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows("always_written.tsv"):
        members = dict(word.split("=", 1) for word in row["members"].split(" "))
        unknown = members.keys() - types.get(row["definition"], {}).get("properties", {}).keys()
        if unknown:
            sys.exit(f"always_written.tsv: {row['definition']} has no {', '.join(sorted(unknown))}")
        found[row["definition"]] = {member: json.loads(zero) for member, zero in members.items()}
    return found


def build() -> dict[str, Any]:
    """Returns part -> content."""
    definitions = load_definitions()
    entries = resource_entries()
    index = kind_index(definitions)
    names = reachable(definitions, served_roots(index, entries))
    served = {f"{entry['group']}/{entry['version']}" for entry in entries}
    types = {name: plain_definition(name, definitions[name], served) for name in names}
    declared = declared_defaults(definitions)
    add_key_defaults(types, declared)
    labels: dict[str, dict[str, list[str]]] = {}
    for row in rows("field_labels.tsv"):
        labels.setdefault(f"{row['group']}/{row['kind']}", {})[row["label"]] = row["path"].split(".")
    enums = enumerations(types)
    prose = {name: prose_of(definitions[name], declared.get(name, {}), enums.get(name, {})) for name in names}
    return {
        "resources": {"types": entries, "labels": labels},
        "kinds": dict(sorted(kind_index(types).items())),
        "types": types,
        "prose": {name: value for name, value in prose.items() if value},
        "protobuf": message_table(types, list(rows("proto_fields.tsv")), list(rows("zeros.tsv"))),
        "written": always_written(types),
    }


def packed(parts: dict[str, Any]) -> bytes:
    """The file: a length, an index of parts as JSON, the parts as compressed JSON."""
    bodies = {name: zlib.compress(json.dumps(value, separators=(",", ":")).encode(), 9) for name, value in parts.items()}
    index, offset = {}, 0
    for name, body in bodies.items():
        index[name] = [offset, len(body)]
        offset += len(body)
    head = json.dumps(index, separators=(",", ":")).encode()
    return len(head).to_bytes(4, "big") + head + b"".join(bodies.values())


def unpacked(data: bytes) -> dict[str, Any]:
    """The inverse of `packed`."""
    start = 4 + int.from_bytes(data[:4], "big")
    index = json.loads(data[4:start])
    return {name: json.loads(zlib.decompress(data[start + offset : start + offset + size])) for name, (offset, size) in index.items()}


def main() -> None:
    """Writes the file, or checks it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the committed file is out of date")
    parser.add_argument(
        "--definitions", action="store_true", help="only print the names of the definitions, for tools/kube/always_written.go"
    )
    arguments = parser.parse_args()
    if arguments.definitions:
        definitions = load_definitions()
        print(*reachable(definitions, served_roots(kind_index(definitions), resource_entries())), sep="\n")
        return
    parts = build()
    if not arguments.check:
        OUT.parent.mkdir(exist_ok=True)
        OUT.write_bytes(packed(parts))
        return
    committed = unpacked(OUT.read_bytes())
    stale = [name for name in parts.keys() | committed.keys() if parts.get(name) != committed.get(name)]
    if stale:
        sys.exit(f"{OUT.relative_to(ROOT)} is out of date in {', '.join(sorted(stale))}: run python -m tools.kube_schema")


if __name__ == "__main__":
    main()
