"""What does not appear in this tree, with the reason beside each rule."""

from __future__ import annotations

import ast
import pathlib
import re
from collections.abc import Callable

import pytest

from tests.tidy.source import EVERYTHING, PRODUCT, Source, dotted, report, sources

CLOCK_READERS = ("raftkv/clock.py",)
"""The only modules that read a clock or make randomness; everybody else is handed both."""

PROCESS_MAKERS = ("jepsen_like/sim/cluster.py", "jepsen_like/sim/runs.py")
"""Stand in for machines, on which processes and clients start and are killed without an owner."""

VAGUE_NAMES = ("utils", "util", "common", "helpers", "helper", "base", "manager", "misc")

CLOCK_MODULES = ("time", "random", "secrets", "uuid")

IMPURE_CALLS = re.compile(
    r"^(time\.(?!struct_time|sleep)\w+|random\.\w+|secrets\.\w+|uuid\.(uuid[14]|getnode)|os\.(urandom|getrandom|times|getloadavg)"
    r"|(datetime\.)?(datetime|date)\.(now|utcnow|today)|_thread\.start_new(_thread)?)$"
)

UNOWNED_TASK = re.compile(
    r"(^asyncio\.(create_task|ensure_future|gather|async)|(^|[._])(loop|get_running_loop\(\)|get_event_loop\(\))\.create_task)$"
)

# Written in two pieces so that this file does not find itself.
UNNUMBERED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b(?!\(#\d+\))")
BARE_IGNORE = re.compile(r"#\s*type:\s*ignore" + r"(?!\[)")

Check = Callable[[Source], list[str]]


def unowned_tasks(source: Source) -> list[str]:
    """Tasks live in a TaskGroup owned by a named object: one that nobody owns dies quietly or outlives its member."""
    if source.path in PROCESS_MAKERS:
        return []
    faults = [
        f"{source.where(node)}: {dotted(node.func)}; use a TaskGroup"
        for node in source.nodes
        if isinstance(node, ast.Call) and UNOWNED_TASK.search(dotted(node.func))
    ]
    names = ("asyncio.create_task", "asyncio.ensure_future", "asyncio.gather")
    return faults + [f"{source.where(node)}: {name}; use a TaskGroup" for node, name in source.imports if name in names]


def swallowed_errors(source: Source) -> list[str]:
    """`except Exception: pass` hides the next bug as well as the one it was written for."""
    faults = []
    for node in source.nodes:
        if not isinstance(node, ast.ExceptHandler):
            continue
        broad = node.type is None or dotted(node.type) in ("Exception", "BaseException")
        silent = all(
            isinstance(item, ast.Pass) or (isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant)) for item in node.body
        )
        if broad and silent:
            faults.append(f"{source.where(node)}: a broad except that does nothing")
    return faults


def returns_in_finally(source: Source) -> list[str]:
    """`return` in `finally` swallows the cancellation or error that is on its way."""
    return [
        f"{source.where(inner)}: return in finally"
        for node in source.nodes
        if isinstance(node, ast.Try)
        for statement in node.finalbody
        for inner in ast.walk(statement)
        if isinstance(inner, ast.Return)
    ]


def vague_names(source: Source) -> list[str]:
    """A module called after nothing in particular collects everything."""
    path = pathlib.PurePosixPath(source.path)
    faults = [f"{source.path}: say what {part!r} holds" for part in (*path.parts[:-1], path.stem) if part in VAGUE_NAMES]
    for node in source.nodes:
        if isinstance(node, ast.ClassDef) and re.search(r"(Manager|Helper|Utils?)$", node.name):
            faults.append(f"{source.where(node)}: say what {node.name} is")
    return faults


def impure_reads(source: Source) -> list[str]:
    """Only clock.py reads a clock or makes randomness, so that the simulator can hand out both."""
    if source.path in CLOCK_READERS:
        return []
    names = _other_names(source)
    faults = [
        f"{source.where(node)}: {dotted(node.func)}; take a Clock"
        for node in source.nodes
        if isinstance(node, ast.Call) and IMPURE_CALLS.match(_in_full(dotted(node.func), names))
    ]
    members = (
        f"{source.where(node)}: from {node.module} import ...; take a Clock"
        for node in source.nodes
        if isinstance(node, ast.ImportFrom) and node.module in CLOCK_MODULES and not node.level
    )
    return [*faults, *(fault for fault in members if "random import" not in fault or not _only_the_type(source))]


def _other_names(source: Source) -> dict[str, str]:
    """What a module calls otherwise than its owner: `import datetime as dt`, `from datetime import datetime as Moment`."""
    return {
        alias.asname: f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
        for node in source.nodes
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if alias.asname
    }


def _in_full(name: str, names: dict[str, str]) -> str:
    head, dot, rest = name.partition(".")
    return f"{names.get(head, head)}{dot}{rest}"


def _only_the_type(source: Source) -> bool:
    names = [alias.name for node in source.nodes if isinstance(node, ast.ImportFrom) and node.module == "random" for alias in node.names]
    calls = {dotted(node.func) for node in source.nodes if isinstance(node, ast.Call)}
    return names == ["Random"] and "Random" not in calls


def unnumbered_notes(source: Source) -> list[str]:
    """A note to do something later carries the number of the issue that will."""
    return [f"{source.path}:{number}: {line.strip()}" for number, line in enumerate(source.text.splitlines(), 1) if UNNUMBERED.search(line)]


def bare_ignores(source: Source) -> list[str]:
    """An ignored type error names the error, or it hides others."""
    return [
        f"{source.path}:{number}: {line.strip()}" for number, line in enumerate(source.text.splitlines(), 1) if BARE_IGNORE.search(line)
    ]


RULES: list[tuple[Check, tuple[str, ...]]] = [
    (unowned_tasks, (*PRODUCT, "tests/support")),
    (swallowed_errors, EVERYTHING),
    (returns_in_finally, EVERYTHING),
    (vague_names, EVERYTHING),
    (impure_reads, ("raftkv", "resource_api", "cli/raftctl")),
    (unnumbered_notes, EVERYTHING),
    (bare_ignores, EVERYTHING),
]


@pytest.mark.parametrize(("check", "folders"), RULES, ids=lambda value: getattr(value, "__name__", ""))
def test_tree_is_free_of(check, folders):
    """Each rule gives its reason in its docstring."""
    faults = [fault for source in sources(*folders) for fault in check(source)]
    assert not faults, f"{check.__doc__}{report(faults)}"


@pytest.mark.parametrize(
    ("check", "text", "found"),
    [
        (unowned_tasks, "asyncio.create_task(f())", True),
        (unowned_tasks, "self._loop.create_task(f())", True),
        (unowned_tasks, "asyncio.get_running_loop().create_task(f())", True),
        (unowned_tasks, "from asyncio import gather", True),
        (unowned_tasks, "group.create_task(f())", False),
        (swallowed_errors, "try:\n  f()\nexcept Exception:\n  pass", True),
        (swallowed_errors, "try:\n  f()\nexcept:\n  ...", True),
        (swallowed_errors, "try:\n  f()\nexcept OSError:\n  pass", False),
        (returns_in_finally, "def f():\n  try:\n    g()\n  finally:\n    return 1", True),
        (vague_names, "class LeaseManager: ...", True),
        (vague_names, "class Lessor: ...", False),
        (impure_reads, "time.monotonic()", True),
        (impure_reads, "random.Random(7)", True),
        (impure_reads, "datetime.datetime.now()", True),
        (impure_reads, "import datetime as dt\ndt.datetime.now(dt.UTC)", True),
        (impure_reads, "from datetime import datetime as Moment\nMoment.utcnow()", True),
        (impure_reads, "from datetime import date\ndate.today()", True),
        (impure_reads, "import time as clock\nclock.localtime()", True),
        (impure_reads, "datetime.datetime.fromtimestamp(now_s)", False),
        (impure_reads, "os.times()", True),
        (impure_reads, "_thread.start_new_thread(f, ())", True),
        (impure_reads, "from time import time", True),
        (impure_reads, "from random import Random\ndef f(r: Random): ...", False),
        (impure_reads, "import random\ndef f(r: random.Random): ...", False),
        (impure_reads, "os.urandom(8)", True),
        (unnumbered_notes, "# TO" + "DO later", True),
        (unnumbered_notes, "# TO" + "DO(#12) later", False),
        (bare_ignores, "x = 1  # type:" + " ignore", True),
        (bare_ignores, "x = 1  # type:" + " ignore[assignment]", False),
    ],
)
def test_banned_check_finds_what_it_is_for(check, text, found):
    """The checkers themselves."""
    assert bool(check(Source("raftkv/x.py", text))) is found
