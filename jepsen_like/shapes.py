"""Whether a record read from a file has the fields and the shapes its kind promises.

Owns the checks only; the records and the table of shapes they follow are in `history`. A file may come from an older
run, another tool or an editor, so that every fault is said with the field's name before a checker stumbles over it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_INTEGERS = ("process", "invoke_ns", "complete_ns", "revision", "lease", "watch", "start_revision", "opened_ns", "time_ns",
             "compact_revision", "start_ns", "end_ns", "create_revision", "mod_revision", "version")  # fmt: skip
_TEXTS = ("f", "key", "outcome", "member", "error", "range_end", "reason", "kind")
_FLAGS = ("prev_kv", "created", "cancelled", "fragment")

_FIELDS: Mapping[str, type] = {
    **dict.fromkeys(_INTEGERS, int),
    **dict.fromkeys(_TEXTS, str),
    **dict.fromkeys(_FLAGS, bool),
}


def frozen(value: Any) -> Any:
    """JSON's lists as tuples, at every depth."""
    if isinstance(value, list):
        return tuple(frozen(item) for item in value)
    return value


def check(names: tuple[str, ...], record: tuple[Any, ...]) -> None:
    """Raise ValueError for the first field, of those named in order, whose type is not the promised one."""
    for name, value in zip(names, record, strict=True):
        wanted = _FIELDS.get(name)
        if wanted is not None and type(value) is not wanted:
            raise ValueError(f"{name} must be {wanted.__name__}, not {value!r}")


def check_call(f: str, argument: Any, result: Any, *, completed: bool) -> None:
    """Raise ValueError when the operation's argument, or its result if it completed, has not the shape `f` promises.

    An `f` that is not in the table is taken as it is: a workload may record calls that only its own checker reads.
    """
    promised = CALLS.get(f)
    if promised is None:
        return
    if not promised[0](argument):
        raise ValueError(f"{f}: not an argument: {argument!r}")
    if completed and not promised[1](result):
        raise ValueError(f"{f}: not a result: {result!r}")


def _integer(value: object) -> bool:
    return type(value) is int


def _text(value: object) -> bool:
    return isinstance(value, str)


def _nothing(value: object) -> bool:
    return value is None


def _any(_value: object) -> bool:
    return True


def _record_or_none(value: object) -> bool:
    return value is None or (isinstance(value, tuple) and len(value) == 6)


def _records(value: object) -> bool:
    return isinstance(value, tuple) and all(_record_or_none(item) for item in value)


def _cas_argument(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and (value[0] is None or _text(value[0])) and _text(value[1])


def _cas_result(value: object) -> bool:
    return isinstance(value, tuple) and len(value) in (1, 2) and type(value[0]) is bool and _records(value[1:])


def _range_argument(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 4 and _text(value[0]) and _integer(value[1]) and _integer(value[2])


def _range_result(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 3 and _records(value[0]) and _integer(value[1])


def _txn_argument(value: object) -> bool:
    if not (isinstance(value, tuple) and len(value) == 3 and all(isinstance(part, tuple) for part in value)):
        return False
    compares, success, failure = value
    if not all(len(one) == 4 and one[1] in TARGETS and one[2] in SIGNS for one in compares):
        return False
    return all(len(step) == STEPS.get(step[0]) and all(map(_text, step)) for step in success + failure)


def _txn_result(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and type(value[0]) is bool and isinstance(value[1], tuple)


def _append_argument(value: object) -> bool:
    if not isinstance(value, tuple):
        return False
    return all(isinstance(step, tuple) and (step[0], len(step)) in (("r", 2), ("append", 3)) for step in value)


def _tuple(value: object) -> bool:
    return isinstance(value, tuple)


def _pair(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2


TARGETS = ("value", "mod", "create", "version", "lease")
SIGNS = ("=", "!", "<", ">")
STEPS: Mapping[str, int] = {"put": 3, "get": 2, "delete": 3, "range": 3}
"""The steps of a transaction and how many texts each has."""

Check = Callable[[object], bool]

CALLS: Mapping[str, tuple[Check, Check]] = {
    "put": (_text, _records),
    "get": (_integer, _record_or_none),
    "range": (_range_argument, _range_result),
    "delete": (_text, _integer),
    "cas": (_cas_argument, _cas_result),
    "txn": (_txn_argument, _txn_result),
    "compact": (_integer, _nothing),
    "append": (_append_argument, _tuple),
    "add": (_any, _nothing),
    "members": (_nothing, _tuple),
    "grant": (_integer, _integer),
    "keepalive": (_integer, _integer),
    "lease-ttl": (_integer, _integer),
    "revoke": (_integer, _nothing),
    "acquire": (_integer, _integer),
    "release": (_integer, _nothing),
    "guarded": (_integer, _nothing),
    "observe": (_integer, _pair),
    "hashkv": (_integer, _pair),
}
