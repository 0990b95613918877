"""Cycles between transactions, and Adya's name for each.

Owns the graph algorithms; knows no keys and no operations. Nodes are numbers; those from `graph.size` up are instants of real
time: an edge into one is "completed by then", an edge out of one "began after", so that real time costs an edge or two
a transaction instead of one for every pair that does not overlap. Whoever builds a graph keeps it twice: unlabelled for
`knots`, which is all that a history without cycles pays for, and labelled only inside a knot. Source: Adya 1999; Elle
(Kingsbury & Alvaro 2020); spec/faults.md §4.

Hot path: `knots`, about 2 µs a transaction on CPython 3.11 (`python -m tests.jepsen_like.speed`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

WW, WR, RW, PROCESS, REALTIME = 1, 2, 4, 8, 16
"""Labels: overwrote, was read by, was overwritten unread, same client before, completed before."""

DATA = (WW, WR, RW)

WORK_MAX = 60_000
"""States looked at in one knot for one kind of cycle; the shortest found by then is reported, and there is always one."""

READABLE_MAX = 4
"""Edges of a cycle that a person follows."""

LABELS = {WW: "ww", WR: "wr", RW: "rw", PROCESS: "process", REALTIME: "realtime"}


class Edge(NamedTuple):
    """One step of a cycle."""

    source: int
    target: int
    label: int


class Cycle(NamedTuple):
    """Edges that lead back to where they began, and the name of their kind."""

    kind: str
    edges: tuple[Edge, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """Labelled edges inside one knot: node -> node -> labels. Nodes from `size` up are instants."""

    edges: Mapping[int, Mapping[int, int]]
    size: int


def knots(out: Sequence[Sequence[int]]) -> list[list[int]]:
    """The strongly connected components of more than one node, each sorted; self-loops do not count."""
    left = _peeled(out)
    return sorted(sorted(knot) for knot in _components(left, out) if len(knot) > 1) if left else []


def _peeled(out: Sequence[Sequence[int]]) -> list[int]:
    """The nodes left when those that nothing leads to are taken away, again and again: none if there is no cycle."""
    indegree = [0] * len(out)
    for targets in out:
        for target in targets:
            indegree[target] += 1
    ready = [node for node, count in enumerate(indegree) if not count]
    for node in ready:
        for target in out[node]:
            count = indegree[target] - 1
            indegree[target] = count
            if not count:
                ready.append(target)
    return [node for node, count in enumerate(indegree) if count] if len(ready) < len(out) else []


def _components(nodes: Iterable[int], out: Sequence[Sequence[int]] | Mapping[int, Iterable[int]]) -> Iterator[list[int]]:
    """Tarjan's components, without recursion."""
    inside = set(nodes)
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    waiting: list[int] = []
    held: set[int] = set()
    for root in sorted(inside):
        if root in index:
            continue
        index[root] = low[root] = len(index)
        waiting.append(root)
        held.add(root)
        path = [(root, iter(out[root]))]
        while path:
            node, targets = path[-1]
            for target in targets:
                if target not in inside:
                    continue
                if target not in index:
                    index[target] = low[target] = len(index)
                    waiting.append(target)
                    held.add(target)
                    path.append((target, iter(out[target])))
                    break
                if target in held and index[target] < low[node]:
                    low[node] = index[target]
            else:
                path.pop()
                if path and low[node] < low[path[-1][0]]:
                    low[path[-1][0]] = low[node]
                if low[node] == index[node]:
                    knot = _unwound(waiting, node)
                    held.difference_update(knot)
                    yield knot


def _unwound(waiting: list[int], until: int) -> list[int]:
    knot: list[int] = []
    while not knot or knot[-1] != until:
        knot.append(waiting.pop())
    return knot


# What a search remembers of the way so far.
_LAST_RW, _SECOND, _ADJACENT, _ORDERED = 1, 2, 4, 8

Accept = Callable[[int], bool]


class _Kind(NamedTuple):
    name: str
    start: int
    allowed: int
    accept: Accept
    """Of the memory at the end of a cycle whose first edge has the label `start`."""


_KINDS = (
    _Kind("G0", WW, WW, lambda memory: True),
    _Kind("G1c", WR, WW | WR, lambda memory: True),
    _Kind("G-single", RW, WW | WR, lambda memory: True),
    _Kind("G-nonadjacent", RW, WW | WR | RW, lambda memory: bool(memory & _SECOND) and not memory & (_ADJACENT | _LAST_RW)),
    _Kind("G2-item", RW, WW | WR | RW, lambda memory: bool(memory & (_ADJACENT | _LAST_RW))),
)

_VARIANTS = (("", 0), ("-process", PROCESS), ("-realtime", PROCESS | REALTIME))


def cycles(graph: Graph) -> list[Cycle]:
    """The shortest cycle of each kind in one knot, shortest first.

    A kind that needs no process or real-time edge is not reported with them, unless only they make it readable.
    """
    found: list[Cycle] = []
    named: set[str] = set()
    for suffix, extra in _VARIANTS:
        for part in _parts(graph, WW | WR | RW | extra):
            for kind in _KINDS:
                if kind.name in named:
                    continue
                edges = _shortest(part, kind, extra)
                if edges:
                    found.append(Cycle(kind.name + suffix, edges))
        named.update(cycle.kind.removesuffix(suffix) for cycle in found if len(cycle.edges) <= READABLE_MAX)
    if not found:
        found.append(_any_cycle(graph))
    return sorted(found, key=lambda cycle: len(cycle.edges))


def _parts(graph: Graph, allowed: int) -> list[Graph]:
    """The knots that are left when only some labels count."""
    narrowed = {
        node: {target: mask & allowed for target, mask in targets.items() if mask & allowed} for node, targets in graph.edges.items()
    }
    parts = []
    for knot in _components(narrowed, narrowed):
        if len(knot) > 1:
            inside = set(knot)
            edges = {node: {to: mask for to, mask in narrowed[node].items() if to in inside} for node in sorted(knot)}
            parts.append(Graph(edges, graph.size))
    return parts


def _shortest(graph: Graph, kind: _Kind, extra: int) -> tuple[Edge, ...]:
    """The shortest cycle of the kind, within `WORK_MAX`; with `extra` labels it must use one of them. Empty: none found."""
    starts = [(node, to) for node, targets in graph.edges.items() for to, mask in targets.items() if mask & kind.start]
    # Edges that lead far back close cycles which are short once real time counts.
    starts.sort(key=lambda edge: edge[1] - edge[0])
    best: tuple[Edge, ...] = ()
    work = 0
    for source, target in starts:
        edges, cost = _way(graph, Edge(source, target, kind.start), kind, extra, len(best), WORK_MAX - work)
        work += cost
        if edges:
            best = edges
        if len(best) == 2 or work >= WORK_MAX:
            break
    return best


def _way(graph: Graph, first: Edge, kind: _Kind, extra: int, below: int, work_max: int) -> tuple[tuple[Edge, ...], int]:
    """The shortest cycle that begins with `first` and has fewer edges than `below` (0: any), and the states looked at.

    Breadth first; a step between or into instants costs nothing, for it is half an edge.
    """
    size = graph.size
    labels = [label for label in LABELS if label & (kind.allowed | extra)]
    begin = (first.target, _LAST_RW if first.label == RW else 0)
    came: dict[tuple[int, int], tuple[tuple[int, int], int] | None] = {begin: None}
    queue = deque([(begin, 1)])
    looked = 0
    while queue and looked < work_max:
        state, length = queue.popleft()
        looked += 1
        node, memory = state
        if node == first.source:
            if kind.accept(memory) and (not extra or memory & _ORDERED):
                edges = _traced(came, state, first, size)
                # A walk that meets a transaction twice is two cycles, each of which has its own kind.
                if len({edge.source for edge in edges}) == len(edges):
                    return edges, looked
            continue
        if below and length + (node < size) > below:
            break
        for target, mask in graph.edges[node].items():
            for label in labels:
                if not mask & label:
                    continue
                after = (target, _remembered(memory, label, extra))
                if after in came:
                    continue
                came[after] = (state, label)
                if target < size:
                    queue.append((after, length + 1))
                else:
                    queue.appendleft((after, length))
    return (), looked


def _remembered(memory: int, label: int, extra: int) -> int:
    if label == RW:
        return (memory & _ORDERED) | (memory & _ADJACENT) | _SECOND | _LAST_RW | (_ADJACENT if memory & _LAST_RW else 0)
    memory &= ~_LAST_RW
    return memory | _ORDERED if label & extra else memory


def _traced(
    came: Mapping[tuple[int, int], tuple[tuple[int, int], int] | None], state: tuple[int, int], first: Edge, size: int
) -> tuple[Edge, ...]:
    """The edges on the way to `state`, with the instants between two transactions left out."""
    steps: list[Edge] = []
    last = state[0]
    while (before := came[state]) is not None:
        state, label = before
        if state[0] < size:
            steps.append(Edge(state[0], last, label))
            last = state[0]
    return (first, *reversed(steps))


def _any_cycle(graph: Graph) -> Cycle:
    """Some cycle, when the bound on work let no kind be found."""
    kind = _Kind("cycle", 0, sum(LABELS), lambda memory: True)
    for node, targets in graph.edges.items():
        for target, mask in targets.items():
            label = next((label for label in DATA if mask & label), 0)
            if label:
                edges, _looked = _way(graph, Edge(node, target, label), kind, 0, 0, 1 << 62)
                if edges:
                    return Cycle("cycle", edges)
    raise AssertionError("a knot without a cycle")
