"""Whether a record read from a file has the fields and the shapes its kind promises.

Owns the checks only; the records and the table of shapes they follow are in `history`. A file may come from an older
run, another tool or an editor, so that every fault is said with the field's name before a checker stumbles over it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

_INTEGERS = ("process", "invoke_ns", "complete_ns", "opened_ns", "time_ns", "start_ns", "end_ns")
_COUNTS = ("revision", "lease", "watch", "start_revision", "compact_revision", "create_revision", "mod_revision", "version")
_TEXTS = ("f", "key", "value", "outcome", "member", "error", "range_end", "reason", "kind")
_FLAGS = ("prev_kv", "created", "cancelled", "fragment")

_FIELDS: Mapping[str, type] = {
    **dict.fromkeys(_INTEGERS + _COUNTS, int),
    **dict.fromkeys(_TEXTS, str),
    **dict.fromkeys(_FLAGS, bool),
}
_NEVER_NEGATIVE = frozenset(_COUNTS)
_OF_ELEMENTS = frozenset((int, str))
"""What sets and lists hold: what is equal is then the same, and can be told by a hash."""

_WORDS = {int: "an integer", str: "a text", bool: "true or false"}


def frozen(value: Any) -> Any:
    """JSON's lists as tuples, at every depth."""
    if isinstance(value, list):
        return tuple(frozen(item) for item in value)
    return value


def check(names: Sequence[str], record: Sequence[Any]) -> None:
    """Raise ValueError for the first field, of those named in order, whose type is not the promised one, or that cannot be below zero."""
    for name, value in zip(names, record, strict=True):
        wanted = _FIELDS.get(name)
        if wanted is None:
            continue
        if type(value) is not wanted:
            raise ValueError(f"{name} must be {_WORDS[wanted]}, not {_short(value)}")
        if name in _NEVER_NEGATIVE and isinstance(value, int) and value < 0:
            raise ValueError(f"{name} must not be below zero, but is {value}")


def check_call(f: str, argument: Any, result: Any, *, completed: bool) -> None:
    """Raise ValueError when the operation's argument, or its result if it completed, has not the shape `f` promises.

    An `f` that is not in the table is taken as it is: a workload may record calls that only its own checker reads.
    """
    promised = CALLS.get(f)
    if promised is None:
        return
    if not promised[0].holds(argument):
        raise ValueError(f"the argument of {f} must be {promised[0].says}, not {_short(argument)}")
    if not completed:
        return
    if not promised[1].holds(result):
        raise ValueError(f"the result of {f} must be {promised[1].says}, not {_short(result)}")
    if f == "txn":
        _check_responses(argument[1] if result[0] else argument[2], result[1])
    if f == "append" and not (len(result) == len(argument) and all(map(_is_read, argument, result))):
        raise ValueError(f"the result of append must be the elements read for each r and null for each append, not {_short(result)}")


def check_mark(kind: str, detail: Any) -> None:
    """Raise ValueError when a mark that is read again has not the detail of its kind; marks of other kinds may hold anything."""
    promised = ({}, NOTES) if kind == "note" and isinstance(detail, dict) else MARKS.get(kind)
    if promised is None:
        return
    must, may = promised
    if not isinstance(detail, dict):
        raise ValueError(f"the detail of a {kind} mark must be an object with {' and '.join(must)}, not {_short(detail)}")
    for name, shape in must.items():
        if name not in detail:
            raise ValueError(f"the detail of a {kind} mark must have {name}, {shape.says}; it is {_short(detail)}")
    for name, shape in (*must.items(), *may.items()):
        if name in detail and not shape.holds(detail[name]):
            raise ValueError(f"{name} of a {kind} mark must be {shape.says}, not {_short(detail[name])}")


def texts(value: Any, among: Sequence[str], name: str) -> tuple[str, ...]:
    """A list of some of these words as a tuple; ValueError for anything else."""
    if not isinstance(value, list | tuple) or not all(one in among for one in value):
        raise ValueError(f"{name} must be a list of {' or '.join(among)}, not {_short(value)}")
    return tuple(value)


def _check_responses(steps: Sequence[Sequence[str]], responses: Sequence[Any]) -> None:
    if len(steps) != len(responses):
        raise ValueError(f"the result of txn must answer each of its {len(steps)} steps, not {len(responses)}")
    for step, response in zip(steps, responses, strict=True):
        shape = RESPONSES[step[0]]
        if not shape.holds(response):
            raise ValueError(f"the result of txn must hold {shape.says} for a {step[0]}, not {_short(response)}")


def _is_read(step: Sequence[str], result: object) -> bool:
    return _elements(result) if step[0] == "r" else result is None


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else text[:119] + "…"


def _integer(value: object) -> bool:
    return type(value) is int


def _count(value: object) -> bool:
    return type(value) is int and value >= 0


def _number(value: object) -> bool:
    return type(value) in (int, float)


def _flag(value: object) -> bool:
    return type(value) is bool


def _text(value: object) -> bool:
    return isinstance(value, str)


def _nothing(value: object) -> bool:
    return value is None


def _list_of_texts(value: object) -> bool:
    return isinstance(value, list | tuple) and all(map(_text, value))


def _record(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 6 and _text(value[0]) and _text(value[1]) and all(map(_count, value[2:]))


def _record_or_none(value: object) -> bool:
    return value is None or _record(value)


def _previous(value: object) -> bool:
    return isinstance(value, tuple) and len(value) <= 1 and all(map(_record_or_none, value))


def _cas_argument(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and (value[0] is None or _text(value[0])) and _text(value[1])


def _cas_result(value: object) -> bool:
    return isinstance(value, tuple) and len(value) in (1, 2) and _flag(value[0]) and all(map(_record_or_none, value[1:]))


def _range_argument(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 4 and _text(value[0]) and _count(value[1]) and _count(value[2]) and _flag(value[3])


def _range_result(value: object) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) == 3
        and isinstance(value[0], tuple)
        and all(map(_record, value[0]))
        and _count(value[1])
        and _flag(value[2])
    )


def _compare(value: object) -> bool:
    if not (isinstance(value, tuple) and len(value) == 4 and _text(value[0]) and value[1] in TARGETS and value[2] in SIGNS):
        return False
    return _text(value[3]) if value[1] == "value" else _integer(value[3])


def _step(value: object) -> bool:
    return isinstance(value, tuple) and len(value) > 0 and all(map(_text, value)) and len(value) == STEPS.get(value[0])


def _txn_argument(value: object) -> bool:
    if not (isinstance(value, tuple) and len(value) == 3 and all(isinstance(part, tuple) for part in value)):
        return False
    return all(map(_compare, value[0])) and all(map(_step, value[1] + value[2]))


def _txn_result(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and _flag(value[0]) and isinstance(value[1], tuple)


def _append_argument(value: object) -> bool:
    return isinstance(value, tuple) and all(map(_append_step, value))


def _append_step(value: object) -> bool:
    if not isinstance(value, tuple) or value[:1] not in (("r",), ("append",)) or len(value) != (2 if value[0] == "r" else 3):
        return False
    return _text(value[1]) and all(map(_element, value[2:]))


def _element(value: object) -> bool:
    return type(value) in _OF_ELEMENTS


def _elements(value: object) -> bool:
    return isinstance(value, tuple) and _OF_ELEMENTS.issuperset(map(type, value))


def _tuple(value: object) -> bool:
    return isinstance(value, tuple)


def _observed(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and _text(value[0]) and _count(value[1])


def _hash(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and _integer(value[0]) and _integer(value[1])


def _cache(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(one, tuple) and len(one) == 2 and _text(one[0]) and _count(one[1]) for one in value)


def _added(value: object) -> bool:
    return isinstance(value, tuple) and len(value) > 0 and _count(value[0])


def _listed(value: object) -> bool:
    return isinstance(value, tuple) and all(map(_member, value))


def _member(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 3 and _count(value[0]) and _text(value[1]) and _flag(value[2])


def _integers(value: object) -> bool:
    return isinstance(value, (list, tuple)) and all(map(_integer, value))


def _awaited(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, list) and len(one) == 2 and all(map(_integer, one)) for one in value)


TARGETS = ("value", "mod", "create", "version", "lease")
SIGNS = ("=", "!", "<", ">")
STEPS: Mapping[str, int] = {"put": 3, "get": 2, "delete": 3, "range": 3}
"""The steps of a transaction and how many texts each has."""

_KV = "[key, value, create revision, mod revision, version, lease]"


class Shape(NamedTuple):
    """What a value must be, and the words for it."""

    says: str
    holds: Callable[[object], bool]


INTEGER = Shape("an integer", _integer)
COUNT = Shape("an integer of 0 or more", _count)
NUMBER = Shape("a number", _number)
FLAG = Shape("true or false", _flag)
TEXT = Shape("a text", _text)
TEXTS = Shape("a list of texts", _list_of_texts)
NOTHING = Shape("null", _nothing)
ELEMENT = Shape("an integer or a text", _element)
ELEMENTS = Shape("a list of integers or texts", _elements)
LIST = Shape("a list", _tuple)
RECORD = Shape(f"{_KV} or null", _record_or_none)
RANGE = Shape(f"[list of {_KV}, total, more]", _range_result)

RESPONSES: Mapping[str, Shape] = {"put": Shape("[]", lambda value: value == ()), "get": RECORD, "delete": COUNT, "range": RANGE}
"""Of the steps of a transaction."""

CALLS: Mapping[str, tuple[Shape, Shape]] = {
    "put": (TEXT, Shape(f"[] or [{_KV} or null]", _previous)),
    "get": (COUNT, RECORD),
    "range": (Shape("[range end, limit, revision, serializable]", _range_argument), RANGE),
    "delete": (TEXT, COUNT),
    "cas": (Shape("[expected text or null, new text]", _cas_argument), Shape(f"[true], [false] or [false, {_KV} or null]", _cas_result)),
    "txn": (Shape("[compares, steps, steps]", _txn_argument), Shape("[succeeded, responses]", _txn_result)),
    "compact": (COUNT, NOTHING),
    "append": (Shape('[["r", key] or ["append", key, integer or text], ...]', _append_argument), LIST),
    "add": (ELEMENT, NOTHING),
    "members": (NOTHING, ELEMENTS),
    "grant": (INTEGER, INTEGER),
    "keepalive": (INTEGER, INTEGER),
    "lease-ttl": (INTEGER, INTEGER),
    "revoke": (INTEGER, NOTHING),
    "acquire": (INTEGER, COUNT),
    "release": (COUNT, NOTHING),
    "guarded": (COUNT, NOTHING),
    "observe": (INTEGER, Shape("[leader, fencing token]", _observed)),
    "hashkv": (COUNT, Shape("[hash, compact revision]", _hash)),
    "cache": (COUNT, Shape("a list of [key, mod revision]", _cache)),
    "member-list": (NOTHING, Shape("a list of [member, address, whether it is a learner]", _listed)),
    "member-add": (TEXT, Shape("[member]", _added)),
    "member-promote": (COUNT, NOTHING),
    "member-update": (COUNT, NOTHING),
    "member-remove": (COUNT, NOTHING),
}
"""What each call's argument and result must be."""

Details = Mapping[str, Shape]

MARKS: Mapping[str, tuple[Details, Details]] = {
    "fault": (
        {"name": TEXT},
        {"targets": TEXTS, **dict.fromkeys(("requested", "effect", "skipped", "family"), TEXT), "verified": FLAG},
    ),
    "phase": ({"name": TEXT}, {}),
    "leader": ({"member": TEXT, "term": COUNT}, {}),
    "member": ({"member": TEXT, "state": TEXT}, {}),
    "clock": ({"member": TEXT, "offset_s": NUMBER}, {}),
    "reached": ({"name": TEXT, "count": COUNT}, {}),
}
"""By kind, what a mark's detail must have and what it may have."""

NOTES: Details = {
    "base revision": COUNT,
    "awaited watches": Shape("a list of [watch, revision]", _awaited),
    "kept watches": Shape("a list of watches", _integers),
    "leases listed": Shape("a list of leases", _integers),
    "hashes asked of": TEXTS,
    "hash not offered": TEXT,
}
"""What a note may have, where it is an object at all."""
