"""Strict serializability of list-append transactions, by the cycles of their dependencies, each anomaly with its name.

The order of appends is read from the lists themselves, so that a history is judged without trusting a revision, in time
linear in its size; where every append is acknowledged or read nothing is left open, and a history without a cycle did happen. Of
transactions with unknown outcome those count of which some effect was read. Source: Elle (Kingsbury & Alvaro 2020); Adya
1999; spec/faults.md §4.

Hot path: 60 000 transactions a second and more on CPython 3.11 (`python -m tests.jepsen_like.speed`).
"""

from __future__ import annotations

from collections.abc import Sequence

from jepsen_like.checker.cycles import PROCESS, REALTIME, RW, WR, WW, Cycle, Graph, cycles, knots
from jepsen_like.checker.lists import Element, KeyOrder, gathered
from jepsen_like.checker.verdict import Findings, Verdict
from jepsen_like.history import FAIL, OK, UNKNOWN, Operation

_Reasons = dict[tuple[int, int, int], tuple[str, Element]]


def check(operations: Sequence[Operation]) -> Verdict:
    """Whether the `append` operations, whose elements must be unique for their key, are strictly serializable.

    Each cycle is named by the shortest of its kind: G0, G1c, G-single, G-nonadjacent or G2-item, with `-process` or
    `-realtime` when it needs a client's own order or real time. Without a cycle: G1a, G1b, dirty-update, lost-update,
    incompatible-order, internal, future-read, duplicate-elements, phantom-element.
    """
    findings = Findings()
    keys = gathered(operations, findings)
    for key in keys.values():
        key.settle()
    happened = frozenset(number for key in keys.values() for number in key.known if number >= 0 and operations[number].outcome == UNKNOWN)
    out: list[list[int]] = [[] for _ in operations]

    def link(source: int, target: int, label: int, element: Element) -> None:
        out[source].append(target)

    for key in keys.values():
        key.links(link, happened)
    effective = [number for number, one in enumerate(operations) if one[1] == "append" and one[7] != FAIL]
    _add_order(operations, effective, out)
    for knot in knots(out):
        graph, reasons = _labelled(knot, out, operations, effective, keys, happened)
        for cycle in cycles(graph):
            _note(cycle, reasons, operations, findings)
    return findings.verdict(sum(operation[1] == "append" for operation in operations))


def _add_order(operations: Sequence[Operation], effective: list[int], out: list[list[int]]) -> None:
    """Real time, by instants that each stand for all that was over by then, and each client's own order."""
    ended = sorted((number for number in effective if operations[number][7] == OK), key=lambda number: operations[number][6])
    begun = sorted(effective, key=lambda number: operations[number][5])
    ends = [operations[number][6] for number in ended]
    ends.append(1 << 63)
    last: dict[int, int] = {}
    place = 0
    instant: list[int] = []
    for number in begun:
        operation = operations[number]
        start = operation[5]
        if ends[place] < start:
            fresh = len(out)
            instant.append(fresh)
            instant = []
            out.append(instant)
            while ends[place] < start:
                out[ended[place]].append(fresh)
                place += 1
        instant.append(number)
        before = last.get(operation[0])
        if before is not None and operations[before][6] == start:
            out[before].append(number)
        last[operation[0]] = number


def _labelled(
    knot: list[int],
    out: list[list[int]],
    operations: Sequence[Operation],
    effective: list[int],
    keys: dict[str, KeyOrder],
    happened: frozenset[int],
) -> tuple[Graph, _Reasons]:
    """The knot's edges with their labels, and for each dependency the key and element that show it."""
    size = len(operations)
    inside = set(knot)
    edges: dict[int, dict[int, int]] = {node: {} for node in knot}
    reasons: _Reasons = {}

    def add(source: int, target: int, label: int) -> None:
        if source in inside and target in inside:
            edges[source][target] = edges[source].get(target, 0) | label

    for name, key in keys.items():

        def link(source: int, target: int, label: int, element: Element, name: str = name) -> None:
            add(source, target, label)
            reasons.setdefault((source, target, label), (name, element))

        key.links(link, happened)
    for node in knot:
        for target in out[node]:
            if node >= size or target >= size:
                add(node, target, REALTIME)
    last: dict[int, int] = {}
    for number in sorted(effective, key=lambda one: operations[one].invoke_ns):
        process = operations[number].process
        if process in last:
            add(last[process], number, PROCESS)
        last[process] = number
    return Graph(edges, size), reasons


def _note(cycle: Cycle, reasons: _Reasons, operations: Sequence[Operation], findings: Findings) -> None:
    names = {edge.source: f"T{place}" for place, edge in enumerate(cycle.edges, 1)}
    sentences = []
    keys = []
    for edge in cycle.edges:
        one, other = names[edge.source], names[edge.target]
        name, element = reasons.get((edge.source, edge.target, edge.label), ("", None))
        if name:
            keys.append(name)
        sentences.append(_sentence(edge.label, one, other, name, element))
    shown = [operations[edge.source] for edge in cycle.edges]
    who = ", ".join(f"{names[edge.source]} is of process {operations[edge.source].process}" for edge in cycle.edges)
    text = f"{'; '.join(sentences)}: each must have happened before the next, and the last before the first ({who})"
    findings.add(cycle.kind, text, shown, dict.fromkeys(keys))


def _sentence(label: int, one: str, other: str, key: str, element: Element) -> str:
    if label == WW:
        return f"{other} appended {element!r} to {key!r} after what {one} had appended"
    if label == WR:
        return f"{other} read {element!r} in {key!r}, which {one} had appended"
    if label == RW:
        return f"{one} read {key!r} without {element!r}, which {other} appended"
    if label == PROCESS:
        return f"{one} was the same client's as {other}, and came first"
    return f"{one} was over before {other} began"
