"""put, get, del, compaction."""

from __future__ import annotations

import os
import sys
from typing import Any

from raftctl import fault
from raftctl.command import Command
from raftctl.context import Invocation, write
from raftctl.flags import BOOL, INT64, STRING, flag
from raftctl.go_text import GoTextError, parse_int, quote
from raftkv.client import DeleteOp, KeyRange, Order, Prefix, PutOp, RangeOp, Selection, SortBy

SORT_TARGETS = {
    "": SortBy.KEY,
    "KEY": SortBy.KEY,
    "CREATE": SortBy.CREATE,
    "MODIFY": SortBy.MOD,
    "VALUE": SortBy.VALUE,
    "VERSION": SortBy.VERSION,
}
ORDERS = {"": Order.NONE, "ASCEND": Order.ASCEND, "DESCEND": Order.DESCEND}

DELETE_RANGE_DELAY_S = 2.0
"""How long `del KEY RANGE_END` waits for second thoughts, unless --range is given."""


def _bad(text: str) -> fault.Fault:
    return fault.Fault(fault.BAD_ARGUMENTS, text)


def argument_or_stdin(words: list[str], index: int) -> bytes:
    """A word of the command line, else all of standard input.

    Raises:
        Fault: there is neither.
    """
    if index < len(words):
        return os.fsencode(words[index])
    data = sys.stdin.buffer.read()
    if not data:
        raise _bad("no available argument and stdin")
    return data


def parse_lease_id(text: str, what: str = "bad lease ID arg") -> int:
    """A lease id, hexadecimal.

    Raises:
        Fault: it is none.
    """
    try:
        return parse_int(text, 16)
    except GoTextError as exc:
        raise _bad(f"{what} ({exc}), expecting ID in Hex") from exc


def put_operation(words: list[str], *, lease: str, prev_kv: bool, ignore_value: bool, ignore_lease: bool) -> PutOp:
    """What a put's command line asks for.

    Raises:
        Fault: it asks for nothing that can be done.
    """
    lease_id = parse_lease_id(lease, "bad lease ID")
    if not words:
        raise _bad("put command needs 1 argument and input from stdin or 2 arguments")
    if ignore_value and len(words) > 1:
        raise _bad("put command needs only 1 argument when 'ignore-value' is set")
    value = b""
    if not ignore_value:
        try:
            value = argument_or_stdin(words, 1)
        except fault.Fault as exc:
            raise _bad("put command needs 1 argument and input from stdin or 2 arguments") from exc
    return PutOp(os.fsencode(words[0]), value, lease_id, prev_kv, ignore_value, ignore_lease)


def _selection(words: list[str], *, prefix: bool, from_key: bool) -> Selection:
    if prefix and from_key:
        raise _bad("`--prefix` and `--from-key` cannot be set at the same time, choose one")
    key = os.fsencode(words[0])
    if len(words) > 1:
        if prefix or from_key:
            raise _bad("too many arguments, only accept one argument when `--prefix` or `--from-key` is set")
        return KeyRange(key, os.fsencode(words[1]))
    if prefix:
        return Prefix(key)
    return KeyRange(key) if from_key else key


def get_operation(words: list[str], **flags: Any) -> RangeOp:
    """What a get's command line asks for.

    Raises:
        Fault: it asks for nothing that can be done.
    """
    if not words:
        raise _bad("get command needs one argument as key and an optional argument as range_end")
    if flags["prefix"] and flags["from_key"]:
        raise _bad("`--prefix` and `--from-key` cannot be set at the same time, choose one")
    if flags["keys_only"] and flags["count_only"]:
        raise _bad("`--keys-only` and `--count-only` cannot be set at the same time, choose one")
    if flags["consistency"] not in ("l", "s"):
        raise fault.Fault(fault.BAD_FEATURE, f"unknown consistency flag {quote(os.fsencode(flags['consistency']))}")
    selection = _selection(words, prefix=flags["prefix"], from_key=flags["from_key"])
    order = ORDERS.get(flags["order"].upper())
    if order is None:
        raise fault.Fault(fault.BAD_FEATURE, f"bad sort order {flags['order']}")
    sort_by = SORT_TARGETS.get(flags["sort_by"].upper())
    if sort_by is None:
        raise fault.Fault(fault.BAD_FEATURE, f"bad sort target {flags['sort_by']}")
    return RangeOp(
        selection,
        limit=flags["limit"],
        revision=max(0, flags["rev"]),
        order=order,
        sort_by=sort_by,
        serializable=flags["consistency"] == "s",
        keys_only=flags["keys_only"],
        count_only=flags["count_only"],
        min_mod_revision=flags["min_mod_rev"],
        max_mod_revision=flags["max_mod_rev"],
        min_create_revision=flags["min_create_rev"],
        max_create_revision=flags["max_create_rev"],
    )


def delete_operation(words: list[str], *, prefix: bool, from_key: bool, prev_kv: bool) -> DeleteOp:
    """What a del's command line asks for.

    Raises:
        Fault: it asks for nothing that can be done.
    """
    if prefix and from_key:
        raise _bad("`--prefix` and `--from-key` cannot be set at the same time, choose one")
    if not 1 <= len(words) <= 2:
        raise _bad("del command needs one argument as key and an optional argument as range_end")
    return DeleteOp(_selection(words, prefix=prefix, from_key=from_key), prev_kv)


def run_put(invocation: Invocation, words: list[str], **flags: Any) -> None:
    """`put`."""
    operation = put_operation(words, **flags)
    printer = invocation.printer
    printer.put(invocation.call(lambda client: client.execute(operation)))


def run_get(invocation: Invocation, words: list[str], *, print_value_only: bool, stream: bool, **flags: Any) -> None:
    """`get`."""
    operation = get_operation(words, **flags)
    printer = invocation.printer
    if operation.count_only and invocation.settings.write_out != "fields":
        raise _bad("--count-only is only for `--write-out=fields`")
    if print_value_only and invocation.settings.write_out != "simple":
        raise _bad("print-value-only is only for `--write-out=simple`")
    printer.get(invocation.call(lambda client: client.execute(operation)), values_only=print_value_only)


def run_del(invocation: Invocation, words: list[str], *, range: bool, **flags: Any) -> None:
    """`del`."""
    operation = delete_operation(words, **flags)
    printer = invocation.printer
    if len(words) > 1 and not range:
        import time

        print(
            f"Warning: Keys between {quote(os.fsencode(words[0]))} and {quote(os.fsencode(words[1]))} will be deleted. "
            f"Please interrupt the command within next {DELETE_RANGE_DELAY_S:.0f} seconds to cancel. "
            "You can provide `--range` flag to avoid the delay.",
            file=sys.stderr,
        )
        time.sleep(DELETE_RANGE_DELAY_S)
    printer.delete(invocation.call(lambda client: client.execute(operation)))


def run_compaction(invocation: Invocation, words: list[str], *, physical: bool) -> None:
    """`compaction`."""
    if len(words) != 1:
        raise _bad("compaction command needs 1 argument")
    try:
        revision = parse_int(words[0], 10)
    except GoTextError as exc:
        raise fault.Fault(fault.ERROR, str(exc)) from exc
    invocation.call(lambda client: client.compact(revision, physical=physical))
    write(f"compacted revision {revision}\n".encode())


PUT = Command(
    "put",
    run_put,
    usage="<key> <value> (<value> can also be given from stdin)",
    help="Puts the given key into the store.",
    flags=(
        flag("lease", STRING, "0", "lease ID (in hexadecimal) to attach to the key", shown='"0"'),
        flag("prev-kv", BOOL, False, "return the previous key-value pair before modification"),
        flag("ignore-value", BOOL, False, "updates the key using its current value"),
        flag("ignore-lease", BOOL, False, "updates the key using its current lease"),
    ),
    examples="""
    raftctl put greeting hello
    raftctl put config <config.json
    raftctl put -- -key-that-starts-with-a-dash value
    raftctl put service/1 up --lease=694d5765fc71500b
    """,
)

GET_FLAGS = (
    flag("consistency", STRING, "l", "Linearizable(l) or Serializable(s)", shown='"l"'),
    flag("order", STRING, "", "Order of results; ASCEND or DESCEND (ASCEND by default)"),
    flag("sort-by", STRING, "", "Sort target; CREATE, KEY, MODIFY, VALUE, or VERSION"),
    flag("limit", INT64, 0, "Maximum number of results (0: all)"),
    flag("prefix", BOOL, False, "Get keys with matching prefix"),
    flag("from-key", BOOL, False, "Get keys that are greater than or equal to the given key using byte compare"),
    flag("rev", INT64, 0, "Specify the kv revision"),
    flag("keys-only", BOOL, False, "Get only the keys"),
    flag("count-only", BOOL, False, "Get only the count"),
    flag("print-value-only", BOOL, False, 'Only write values when using the "simple" output format'),
    flag("min-create-rev", INT64, 0, "Minimum create revision"),
    flag("max-create-rev", INT64, 0, "Maximum create revision"),
    flag("min-mod-rev", INT64, 0, "Minimum modification revision"),
    flag("max-mod-rev", INT64, 0, "Maximum modification revision"),
    flag("stream", BOOL, False, "Accepted for scripts; the result is the same"),
)

GET = Command(
    "get",
    run_get,
    usage="<key> [range_end]",
    help="Gets the key or a range of keys.",
    flags=GET_FLAGS,
    examples="""
    raftctl get greeting
    raftctl get --prefix service/ --keys-only
    raftctl get a d --limit=10 -w json
    raftctl get greeting --rev=4
    raftctl get --from-key '' --count-only -w fields
    """,
)

DEL = Command(
    "del",
    run_del,
    usage="<key> [range_end]",
    help="Removes the specified key or range of keys [key, range_end).",
    flags=(
        flag("prefix", BOOL, False, "delete keys with matching prefix"),
        flag("prev-kv", BOOL, False, "return deleted key-value pairs"),
        flag("from-key", BOOL, False, "delete keys that are greater than or equal to the given key using byte compare"),
        flag("range", BOOL, False, "delete range of keys without delay"),
    ),
    examples="""
    raftctl del greeting
    raftctl del --prefix service/ --prev-kv
    raftctl del a d --range
    """,
)

COMPACTION = Command(
    "compaction",
    run_compaction,
    usage="<revision>",
    help="Compacts the event history: revisions before the given one can no longer be read.",
    flags=(flag("physical", BOOL, False, "'true' to wait for compaction to physically remove all old revisions"),),
    examples="""
    raftctl compaction 1234
    raftctl compaction --physical 1234
    """,
)
