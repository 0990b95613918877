"""txn: a transaction read from standard input, three lists of lines each ended by an empty one."""

from __future__ import annotations

import re
import sys
from typing import Any

from raftctl import fault
from raftctl.command import Command
from raftctl.commands import kv
from raftctl.context import Invocation, write
from raftctl.flags import BOOL, flag, parse
from raftctl.go_text import GoTextError, parse_int, split_words, unquote
from raftkv.client import Compare, CompareResult, CompareTarget, Operation, TxnOp

TARGETS = {
    "ver": CompareTarget.VERSION,
    "version": CompareTarget.VERSION,
    "c": CompareTarget.CREATE,
    "create": CompareTarget.CREATE,
    "m": CompareTarget.MOD,
    "mod": CompareTarget.MOD,
    "val": CompareTarget.VALUE,
    "value": CompareTarget.VALUE,
    "lease": CompareTarget.LEASE,
}
RESULTS = {"=": CompareResult.EQUAL, "!=": CompareResult.NOT_EQUAL, ">": CompareResult.GREATER, "<": CompareResult.LESS}

_LITERAL = r'"(?:[^"\\]|\\.)*"'
_COMPARE = re.compile(rf"\s*({_LITERAL})\)\s*(\S+)\s+({_LITERAL})")


def _invalid(text: str) -> fault.Fault:
    return fault.Fault(fault.INVALID_INPUT, text)


def parse_compare(line: str) -> Compare:
    """`mod("key") > "5"` as a condition; spaces around the operator are needed.

    Raises:
        Fault: not a condition.
    """
    target_name, parenthesis, rest = line.partition("(")
    match = _COMPARE.match(rest)
    if not parenthesis or match is None:
        raise _invalid(f"malformed comparison: {line}")
    target = TARGETS.get(target_name)
    if target is None:
        raise _invalid(f"malformed comparison: {line} (unknown target {target_name})")
    key_literal, operator, operand_literal = match.groups()
    result = RESULTS.get(operator)
    if result is None:
        raise _invalid(f"malformed comparison: {line} (unknown operator {operator})")
    try:
        key, operand = unquote(key_literal), unquote(operand_literal)
        if target is CompareTarget.VALUE:
            return Compare(key, target, result, operand)
        number = parse_int(operand.decode("utf-8", "surrogateescape"), 16 if target is CompareTarget.LEASE else 10)
    except GoTextError as exc:
        raise _invalid(f"invalid txn compare request: {line} ({exc})") from exc
    return Compare(key, target, result, number)


def parse_operation(line: str) -> Operation:
    """`put key value`, `get key --prefix`, `del key`: the commands' own syntax.

    Raises:
        Fault: not such a line.
    """
    try:
        words = split_words(line)
    except GoTextError as exc:
        raise _invalid(f"invalid txn request: {line} ({exc})") from exc
    if len(words) < 2:
        raise _invalid(f"invalid txn compare request: {line}")
    name, *rest = words
    commands = {"put": kv.PUT, "get": kv.GET, "del": kv.DEL}
    if name not in commands:
        raise _invalid(f"invalid txn request: {line}")
    options = [param for param in commands[name].params if param.name]
    try:
        parsed = parse(options, rest)  # type: ignore[arg-type]
    except fault.Fault as exc:
        raise _invalid(f"invalid txn request: {line}") from exc
    flags: dict[str, Any] = {str(option.name): option.default for option in options} | parsed.values
    if name == "put":
        return kv.put_operation(parsed.words, **flags)
    if name == "get":
        del flags["print_value_only"], flags["stream"]
        return kv.get_operation(parsed.words, **flags)
    del flags["range"]
    return kv.delete_operation(parsed.words, **flags)


def _lines() -> list[str]:
    """The lines up to the next empty one.

    Raises:
        Fault: the input ends before it.
    """
    lines: list[str] = []
    while True:
        raw = sys.stdin.buffer.readline()
        if not raw.endswith(b"\n"):
            raise _invalid("EOF")
        line = raw.decode("utf-8", "surrogateescape").strip()
        if not line:
            return lines
        lines.append(line)


def run_txn(invocation: Invocation, words: list[str], *, interactive: bool) -> None:
    """`txn`."""
    if words:
        raise fault.Fault(fault.BAD_ARGUMENTS, "txn command does not accept argument")
    printer = invocation.printer

    def prompt(text: str) -> None:
        if interactive:
            write(f"{text}\n".encode())

    prompt("compares:")
    compares = [parse_compare(line) for line in _lines()]
    prompt("success requests (get, put, del):")
    success = [parse_operation(line) for line in _lines()]
    prompt("failure requests (get, put, del):")
    failure = [parse_operation(line) for line in _lines()]
    operation = TxnOp(compares, success, failure)
    printer.txn(invocation.call(lambda client: client.execute(operation)))


TXN = Command(
    "txn",
    run_txn,
    usage="",
    help=(
        "Reads a transaction from standard input and applies it: conditions, an empty line, requests if all of them hold, an empty "
        "line, requests if not, an empty line. Conditions are value, version, create, mod or lease of a key; requests are get, put, del."
    ),
    flags=(flag("interactive", BOOL, False, "Input transaction in interactive mode", short="i"),),
    examples="""
    printf 'mod("greeting") = "0"\\n\\nput greeting hello\\n\\nget greeting\\n\\n' | raftctl txn
    raftctl txn -i
    """,
)
