"""One request as both servers answered it, and how the two answers differ, field by field."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, TypeAlias

Tree: TypeAlias = "dict[str, Any]"
"""A message as nested dicts and lists of what is set in it."""

TEXT_MAX = 700
"""Characters of a value that a report shows."""

UNEXPLAINED_MAX = 15
"""After that many the run ends: what follows a first difference in the store is noise."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and, when it is OK, the message in normal form (answers.py)."""

    code: str
    text: str
    body: Tree | None


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request, under its number in the run, and both answers."""

    number: int
    method: str
    request: Any
    etcd: Answer
    raftkv: Answer


@dataclass(frozen=True, slots=True)
class Difference:
    """One place at which the answers are not the same. `status` is the path of code and text; an unset field is None."""

    path: str
    etcd: Any
    raftkv: Any


def differences(exchange: Exchange) -> list[Difference]:
    """Every place; nothing is looked at behind a difference in the status."""
    etcd, raftkv = exchange.etcd, exchange.raftkv
    if (etcd.code, etcd.text) != (raftkv.code, raftkv.text):
        return [Difference("status", (etcd.code, etcd.text), (raftkv.code, raftkv.text))]
    return list(_differences("", etcd.body, raftkv.body))


def _differences(path: str, etcd: Any, raftkv: Any) -> Iterator[Difference]:
    if isinstance(etcd, dict) and isinstance(raftkv, dict):
        for name in sorted(etcd.keys() | raftkv.keys()):
            yield from _differences(f"{path}.{name}" if path else name, etcd.get(name), raftkv.get(name))
    elif isinstance(etcd, list) and isinstance(raftkv, list) and len(etcd) == len(raftkv):
        for index, (one, other) in enumerate(zip(etcd, raftkv, strict=True)):
            yield from _differences(f"{path}[{index}]", one, other)
    elif etcd != raftkv:
        yield Difference(path, etcd, raftkv)


Explains: TypeAlias = Callable[[Exchange, Difference], bool]


@dataclass(frozen=True, slots=True)
class Rule:
    """A difference that is meant to be there: `explains` holds for it and for nothing else."""

    name: str
    section: str
    """The heading in etcd-behaviour.md."""
    row: str
    """How the line below that heading begins."""
    explains: Explains


@dataclass(slots=True)
class Verdict:
    """What a run found. Good when `problems` is empty."""

    rules: Sequence[Rule]
    requests: int = 0
    methods: Counter[str] = field(default_factory=Counter)
    """How often each method was asked."""
    statuses: Counter[str] = field(default_factory=Counter)
    """etcd's answers by code and text."""
    occurred: Counter[str] = field(default_factory=Counter)
    """How many differences each rule explained."""
    unexplained: list[str] = field(default_factory=list)

    @property
    def hopeless(self) -> bool:
        """True when going on would show nothing new."""
        return len(self.unexplained) >= UNEXPLAINED_MAX

    def judge(self, exchange: Exchange) -> None:
        """Counts the exchange, and explains each of its differences or keeps it."""
        self.methods[exchange.method] += 1
        self.statuses[f"{exchange.etcd.code} {exchange.etcd.text}".strip()] += 1
        for found in differences(exchange):
            rule = next((rule for rule in self.rules if rule.explains(exchange, found)), None)
            if rule is not None:
                self.occurred[rule.name] += 1
            else:
                asked = _short(" ".join(str(exchange.request).split()))
                self.unexplained.append(f"#{exchange.number} {exchange.method} {asked}\n    {_described(found)}")

    def problems(self, *, every_rule: bool = True) -> list[str]:
        """Differences nobody listed, and listed ones that did not occur."""
        unused = [rule.name for rule in self.rules if not self.occurred[rule.name]]
        never = [f"known.py lists {name!r}, which never occurred" for name in unused] if every_rule and not self.hopeless else []
        return self.unexplained + never

    def summary(self) -> str:
        """For people."""
        lines = [f"{self.requests} requests to each: " + ", ".join(f"{count} {name}" for name, count in self.methods.most_common())]
        lines += [f"  {count:6} {status}" for status, count in self.statuses.most_common()]
        lines += [f"  rule {rule.name!r}: {self.occurred[rule.name]}" for rule in self.rules]
        return "\n".join(lines)


def _described(found: Difference) -> str:
    """For people; of two long lists only what is between their common beginning and their common end."""
    etcd, raftkv = found.etcd, found.raftkv
    if not isinstance(etcd, list) or not isinstance(raftkv, list):
        return f"{found.path}: etcd {_short(etcd)}, raftkv {_short(raftkv)}"
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(etcd, raftkv, strict=False)))
    etcd, raftkv = etcd[same:], raftkv[same:]
    while etcd and raftkv and etcd[-1] == raftkv[-1]:
        etcd, raftkv = etcd[:-1], raftkv[:-1]
    inner = next(_differences(f"{found.path}[{same}]", etcd[0], raftkv[0])) if etcd and raftkv else None
    left = f"{found.path}, after {same} that are equal: {len(etcd)} of etcd's, {len(raftkv)} of raftkv's"
    return f"{left}; {_described(inner)}" if inner else f"{left}: etcd {_short(etcd)}, raftkv {_short(raftkv)}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) < TEXT_MAX else f"{text[:TEXT_MAX]}…"
