"""Sets of fields, in the very form they are stored in: the trie of FieldsV1.

A set is a dict from path elements (`f:name`, `k:{"name":"c"}`, `v:"x"`, `i:0`) to nodes; a node is a set again, in which `.` says that
the path up to here is a member itself. A node without anything is a member without anything below it. Sets are values: no function here
changes one, and results share nodes with arguments, so an encoded set may be put into an object as it is.
Hot path: every write makes and compares some.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from resource_api.errors import Json

Node = dict[str, "Node"]
FieldSet = Node
Path = tuple[str, ...]

SELF = "."
LEAF: Node = {}

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def of_paths(paths: Iterable[Sequence[str]]) -> FieldSet:
    """The set of these paths, each a sequence of path elements (`("f:spec", "f:replicas")`)."""
    result: FieldSet = {}
    for path in paths:
        node: Node = LEAF
        for element in reversed(path):
            node = {element: node}
        result = union(result, node)
    return result


def is_member(node: Node) -> bool:
    """Whether the path that leads to the node belongs to the set."""
    return not node or SELF in node


def below(node: Node) -> FieldSet:
    """What stands below a node, as a set of its own."""
    if SELF not in node:
        return node
    return {element: child for element, child in node.items() if element != SELF}


def made(member: bool, children: FieldSet) -> Node | None:
    """The node for these, None when there is nothing."""
    if not children:
        return LEAF if member else None
    return {SELF: LEAF, **children} if member else children


def union(left: FieldSet, right: FieldSet) -> FieldSet:
    """Paths in either."""
    if not left or left is right:
        return right
    if not right:
        return left
    result = dict(left)
    for element, node in right.items():
        mine = left.get(element)
        result[element] = node if mine is None else mine if mine is node else _joined(mine, node)
    return result


def _joined(left: Node, right: Node) -> Node:
    node = made(is_member(left) or is_member(right), union(below(left), below(right)))
    return LEAF if node is None else node


def difference(left: FieldSet, right: FieldSet) -> FieldSet:
    """Paths of `left` that are not in `right`; what is below a path of `right` stays."""
    return _difference(left, right, recursive=False)


def recursive_difference(left: FieldSet, right: FieldSet) -> FieldSet:
    """Paths of `left` that are neither in `right` nor below one of its paths."""
    return _difference(left, right, recursive=True)


def _difference(left: FieldSet, right: FieldSet, *, recursive: bool) -> FieldSet:
    if not right or not left:
        return left
    result: FieldSet = {}
    for element, node in left.items():
        other = right.get(element)
        if other is None:
            result[element] = node
        elif not (recursive and is_member(other)):
            rest = made(is_member(node) and not is_member(other), _difference(below(node), below(other), recursive=recursive))
            if rest is not None:
                result[element] = rest
    return result


def intersection(left: FieldSet, right: FieldSet) -> FieldSet:
    """Paths in both."""
    result: FieldSet = {}
    for element, node in left.items():
        other = right.get(element)
        if other is None:
            continue
        both = made(is_member(node) and is_member(other), intersection(below(node), below(other)))
        if both is not None:
            result[element] = both
    return result


def paths(fields: FieldSet, prefix: Path = ()) -> Iterator[Path]:
    """Every path, in upstream's order: the members of a level before what is below any of them."""
    elements = sorted((element for element in fields if element != SELF), key=_rank)
    for element in elements:
        if is_member(fields[element]):
            yield (*prefix, element)
    for element in elements:
        children = below(fields[element])
        if children:
            yield from paths(children, (*prefix, element))


def path_text(path: Path) -> str:
    """`.spec.containers[name="c"].image`."""
    return "".join(map(_element_text, path))


def _element_text(element: str) -> str:
    kind, rest = element[:2], element[2:]
    if kind == "f:":
        return "." + rest
    if kind == "k:":
        return "[" + ",".join(f"{name}={_encode(value).decode()}" for name, value in sorted(_decode(rest).items())) + "]"
    return f"[={rest}]" if kind == "v:" else f"[{rest}]"


def ordered(fields: FieldSet) -> FieldSet:
    """The same set with every level in canonical order."""
    if len(fields) < 2:
        return {element: ordered(node) if node else LEAF for element, node in fields.items()}
    names = sorted(fields)
    if names[-1][:2] not in ("f:", SELF):
        names.sort(key=_rank)
    return {element: ordered(node) if (node := fields[element]) else LEAF for element in names}


@functools.lru_cache(maxsize=4096)
def _rank(element: str) -> tuple[int, Json]:
    kind, rest = element[:2], element[2:]
    if kind == "f:":
        return (1, rest)
    if kind == "k:":
        return (2, [(name, _value_rank(value)) for name, value in sorted(_decode(rest).items())])
    if kind == "v:":
        return (3, _value_rank(_decode(rest)))
    return (4, int(rest)) if kind == "i:" else (0, 0)


def _value_rank(value: Json) -> tuple[int, Json]:
    """Numbers, then strings, booleans, and the rest by its text: the order of upstream's values."""
    if isinstance(value, bool):
        return (2, value)
    if isinstance(value, int | float):
        return (0, value)
    return (1, value) if isinstance(value, str) else (3, _encode(value).decode())


def decoded(fields: Json) -> FieldSet:
    """The set of a client's FieldsV1, keys made canonical; elements of unknown sorts are left out as upstream does. Raises ValueError."""
    if not isinstance(fields, dict):
        raise ValueError("fieldsV1 is no object")
    result: FieldSet = {}
    for element, node in fields.items():
        if not isinstance(node, dict):
            raise ValueError(f"the value of {element!r} is no object")
        if element == SELF:
            result[SELF] = LEAF
            continue
        known = _canonical(element)
        if known is not None:
            child = decoded(node)
            if node and not child:
                continue
            result[known] = _joined(result[known], child) if known in result else child
    return LEAF if len(result) == 1 and SELF in result else result


@functools.lru_cache(maxsize=4096)
def _canonical(element: str) -> str | None:
    kind, rest = element[:2], element[2:]
    try:
        if kind == "f:":
            return element
        if kind == "k:":
            keys = _decode(rest)
            if not isinstance(keys, dict):
                raise ValueError(f"bad path element {element!r}")
            return key_element(keys)
        if kind == "v:":
            return "v:" + _encode(_decode(rest)).decode()
        return f"i:{int(rest)}" if kind == "i:" else None
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise ValueError(f"bad path element {element!r}") from error


def key_element(keys: dict[str, Json]) -> str:
    """`k:{"containerPort":80,"protocol":"TCP"}`."""
    return "k:" + _encode(dict(sorted(keys.items()))).decode()


def value_element(value: Json) -> str:
    """`v:"x"`."""
    return "v:" + _encode(value).decode()
