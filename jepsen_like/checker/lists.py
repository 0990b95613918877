"""What reads of lists say about the order in which they were appended to.

Owns one key's version order (the longest list read; after it what was acknowledged and never read) and the anomalies that
need no cycle. A list that is only appended to shows its whole past, so that every read names the transaction it read from
and the one that overwrote what it read. Source: Elle (Kingsbury & Alvaro 2020) §4; spec/faults.md §4.

Hot path: `gathered` and `KeyOrder.links`, about 5 µs a transaction on CPython 3.11 (`python -m tests.jepsen_like.speed`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from jepsen_like.checker.cycles import RW, WR, WW
from jepsen_like.checker.verdict import Findings
from jepsen_like.history import FAIL, OK, Operation

Element = Hashable
Elements = tuple[Element, ...]
Link = Callable[[int, int, int, Element], None]
"""Takes source, target, label and the element that is the reason."""


class KeyOrder:
    """One key: who appended what, what was read, and in which order it must have been appended."""

    __slots__ = ("_findings", "_operations", "appended", "failed", "key", "known", "longest", "reads", "updates")

    def __init__(self, key: str, operations: Sequence[Operation], findings: Findings) -> None:
        self.key = key
        self._operations = operations
        self._findings = findings
        self.appended: dict[Element, int] = {}
        """Element -> the operation, not failed, that appends it."""
        self.failed: dict[Element, int] = {}
        self.reads: list[tuple[int, Elements]] = []
        """Reads by acknowledged transactions of what others left: (operation, list)."""
        self.updates: list[tuple[int, Elements]] = []
        """Those of them whose transaction then appends."""
        self.longest: Elements = ()
        self.known: list[int] = []
        """Per place of the longest list its writer; -1 when there is none that can have happened."""

    def settle(self) -> None:
        """Infer the order from the reads, and note what is wrong with them."""
        reader = -1
        for number, elements in self.reads:
            if len(elements) > len(self.longest):
                self.longest, reader = elements, number
        longest = self.longest
        get = self.appended.get
        self.known = [get(element, -1) for element in longest]
        if -1 in self.known:
            self._note_unwritten(reader)
        if len(set(longest)) < len(longest):
            text = f"process {self._process(reader)} read an element of {self.key!r} twice: {_listed(longest)}"
            self._note("duplicate-elements", text, reader)
        prefixes: dict[int, Elements] = {}
        for number, elements in self.reads:
            size = len(elements)
            if prefixes.get(size) != elements:
                if elements == longest[:size]:
                    prefixes[size] = elements
                else:
                    self._note_incompatible(number, elements, reader)
        self._check_intermediate(reader)
        self._check_revisions()
        if len(self.updates) > 1:
            self._check_updates()

    def _process(self, number: int) -> int:
        return self._operations[number].process

    def _note(self, kind: str, text: str, *numbers: int) -> None:
        shown = [self._operations[number] for number in dict.fromkeys(numbers) if number >= 0]
        self._findings.add(kind, text, shown, (self.key,))

    def _note_unwritten(self, reader: int) -> None:
        for place, writer in enumerate(self.known):
            if writer >= 0:
                continue
            element = self.longest[place]
            failed = self.failed.get(element)
            who = f"process {self._process(reader)} read {element!r} in {self.key!r}"
            if failed is None:
                self._note("phantom-element", f"{who}, which nobody appended", reader)
                continue
            self._note("G1a", f"{who}, which process {self._process(failed)} appended in a transaction that failed", failed, reader)
            after = next((one for one in self.known[place + 1 :] if one >= 0 and self._operations[one].outcome == OK), -1)
            if after >= 0:
                text = f"process {self._process(after)} appended to {self.key!r} after {element!r}, left there by a failed transaction"
                self._note("dirty-update", text, failed, after, reader)

    def _note_incompatible(self, number: int, elements: Elements, reader: int) -> None:
        bad = [element for element in elements if element not in self.appended]
        text = (
            f"process {self._process(number)} read {_listed(elements)} in {self.key!r} and process "
            f"{self._process(reader)} read {_listed(self.longest)}: neither is the beginning of the other"
        )
        self._note("incompatible-order", text, number, reader)
        for element in bad:
            failed = self.failed.get(element)
            if failed is not None:
                who = f"process {self._process(number)} read {element!r} in {self.key!r}"
                self._note("G1a", f"{who}, which process {self._process(failed)} appended in a transaction that failed", failed, number)

    def _check_intermediate(self, reader: int) -> None:
        """What one transaction appended must be read whole and in its order."""
        own: dict[int, list[Element]] = {}
        for element, writer in self.appended.items():
            own.setdefault(writer, []).append(element)
        if len(own) == len(self.appended):
            return
        for number, elements in self.reads:
            writer = self.appended.get(elements[-1], number) if elements else number
            if writer != number and own[writer][-1] != elements[-1] and elements[-1] in own[writer]:
                text = (
                    f"process {self._process(number)} read {self.key!r} up to {elements[-1]!r}, between two appends of one "
                    f"transaction of process {self._process(writer)}, which ends with {own[writer][-1]!r}"
                )
                self._note("G1b", text, writer, number)
        shown: dict[int, int] = {}
        for element, writer in zip(self.longest, self.known, strict=True):
            if writer < 0:
                continue
            place = shown.get(writer, 0)
            shown[writer] = place + 1
            if place < len(own[writer]) and own[writer][place] != element:
                text = (
                    f"process {self._process(reader)} read {_listed(self.longest)} in {self.key!r}, where one transaction "
                    f"appended {_listed(own[writer])}"
                )
                self._note("incompatible-order", text, writer, reader)
                return

    def _check_revisions(self) -> None:
        """The order read must be that of the revisions, where the answers carry them."""
        highest, holder = 0, -1
        for writer in self.known:
            revision = self._operations[writer].revision if writer >= 0 and writer != holder else 0
            if not revision:
                continue
            if revision <= highest:
                text = (
                    f"{self.key!r} shows what process {self._process(holder)} appended at revision {highest} before what "
                    f"process {self._process(writer)} appended at revision {revision}"
                )
                self._note("incompatible-order", text, holder, writer)
            highest, holder = revision, writer

    def _check_updates(self) -> None:
        """Two transactions that read the same list and both appended to it: one overwrote the other."""
        first: dict[Elements, int] = {}
        for number, elements in self.updates:
            other = first.setdefault(elements, number)
            if other != number:
                text = (
                    f"process {self._process(other)} and process {self._process(number)} both read {_listed(elements)} in "
                    f"{self.key!r} and both appended to it: one of the updates is lost"
                )
                self._note("lost-update", text, other, number)

    def links(self, link: Link, happened: frozenset[int]) -> None:
        """Report every dependency between two transactions, the elements never read included.

        Args:
            link: takes them.
            happened: transactions of unknown outcome of which some effect was read, on whatever key.
        """
        known, longest = self.known, self.longest
        before = -1
        for place, writer in enumerate(known):
            if writer != before and writer >= 0 and before >= 0:
                link(before, writer, WW, longest[place])
            before = writer
        size = len(known)
        after = self._unread(happened)
        get = self.appended.get
        for number, elements in self.reads:
            length = len(elements)
            if length:
                writer = get(elements[-1], number)
                if writer != number:
                    link(writer, number, WR, elements[-1])
            if length < size:
                writer = known[length]
                if writer >= 0 and writer != number:
                    link(number, writer, RW, longest[length])
            elif after:
                for writer, element in after:
                    if writer != number:
                        link(number, writer, RW, element)
        if size and known[-1] >= 0:
            for writer, element in after:
                if writer != known[-1]:
                    link(known[-1], writer, WW, element)

    def _unread(self, happened: frozenset[int]) -> list[tuple[int, Element]]:
        """What was certainly appended and no read shows: it must stand after all that was read."""
        if len(self.appended) == len(self.longest):
            return []
        shown = set(self.longest)
        return [
            (writer, element)
            for element, writer in self.appended.items()
            if element not in shown and (writer in happened or self._operations[writer].outcome == OK)
        ]


def gathered(operations: Sequence[Operation], findings: Findings) -> dict[str, KeyOrder]:
    """The keys of the history with their appends and reads; what one transaction did to itself is checked here."""
    keys: dict[str, KeyOrder] = {}
    for number, operation in enumerate(operations):
        if operation[1] != "append":
            continue
        steps: tuple[tuple[Any, ...], ...] = operation[3]
        outcome = operation[7]
        done = outcome == OK
        results = operation[4] if done else steps
        several = len(steps) > 1 and len({step[1] for step in steps}) < len(steps)
        for step, result in zip(steps, results, strict=True):
            name = step[1]
            key = keys.get(name)
            if key is None:
                key = keys[name] = KeyOrder(name, operations, findings)
            if step[0] == "append":
                kept = key.failed if outcome == FAIL else key.appended
                if kept.setdefault(step[2], number) != number or (several and steps.count(step) > 1):
                    findings.undecided(f"{step[2]!r} is appended to {name!r} more than once: the history does not show whose it is")
            elif done and not several:
                key.reads.append((number, result))
        if several and done:
            _check_itself(number, operation, keys, findings)
    return keys


def _check_itself(number: int, operation: Operation, keys: dict[str, KeyOrder], findings: Findings) -> None:
    """A transaction that touches a key more than once: its later reads follow from its earlier steps."""
    held: dict[str, Elements | None] = {}
    own: dict[str, list[Element]] = {}
    updated: set[str] = set()
    for step, result in zip(operation.argument, operation.result, strict=True):
        name = step[1]
        mine = own.setdefault(name, [])
        if step[0] == "append":
            mine.append(step[2])
            before = held.get(name)
            if before is not None:
                if name not in updated:
                    updated.add(name)
                    keys[name].updates.append((number, before))
                held[name] = (*before, step[2])
            continue
        before = held.get(name)
        later = {one[2] for one in operation.argument if one[0] == "append" and one[1] == name}.difference(mine)
        if later.intersection(result):
            ahead = _listed(sorted(later, key=str))
            text = f"process {operation.process} read {_listed(result)} in {name!r} before it appended {ahead} itself"
            findings.add("future-read", text, (operation,), (name,))
        elif before is not None and result != before:
            text = f"process {operation.process} read {_listed(result)} in {name!r}, where its own earlier steps leave {_listed(before)}"
            findings.add("internal", text, (operation,), (name,))
        elif mine and result[len(result) - len(mine) :] != tuple(mine):
            text = f"process {operation.process} read {_listed(result)} in {name!r} after it had appended {_listed(mine)} itself"
            findings.add("internal", text, (operation,), (name,))
        else:
            keys[name].reads.append((number, result[: len(result) - len(mine)]))
            if mine:
                # The whole list too: it shows where the own elements stand.
                keys[name].reads.append((number, result))
        held[name] = result


def _listed(elements: Sequence[Element]) -> str:
    """A list for a sentence: its end, where the differences are."""
    shown = ", ".join(map(repr, elements[-6:]))
    return f"[… {shown}]" if len(elements) > 6 else f"[{shown}]"
