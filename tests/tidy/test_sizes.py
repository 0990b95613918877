"""How long things may get. Lists of exceptions only shrink: an entry that is no longer needed fails too."""

from __future__ import annotations

import ast

from tests.tidy.source import EVERYTHING, PRODUCT, Source, report, sources

MODULE_LINES_MAX = 700
MODULE_LINES_TO_SPLIT = 500
FUNCTION_LINES_MAX = 70
PUBLIC_METHODS_MAX = 20

MODULES_TO_SPLIT: dict[str, int] = {}
"""Modules past 500 lines -> how long each may be at most. New ones are split instead of listed."""

TABLES: frozenset[str] = frozenset({"raftkv/errors.py"})
"""Modules that are one long table; they have no length."""


def test_module_lengths_stay_under_the_limits():
    """A module is split by its nouns at 500 lines and never passes 700."""
    faults = []
    for source in sources(*EVERYTHING):
        lines = source.text.count("\n")
        limit = MODULES_TO_SPLIT.get(source.path, MODULE_LINES_TO_SPLIT)
        if source.path not in TABLES and lines > min(limit, MODULE_LINES_MAX):
            faults.append(f"{source.path}: {lines} lines, at most {min(limit, MODULE_LINES_MAX)}")
    assert not faults, report(faults)


def test_module_exceptions_are_still_needed():
    """The list of long modules shrinks as they are split."""
    lengths = {source.path: source.text.count("\n") for source in sources(*EVERYTHING)}
    stale = [path for path in MODULES_TO_SPLIT if lengths.get(path, 0) <= MODULE_LINES_TO_SPLIT]
    loose = [path for path, limit in MODULES_TO_SPLIT.items() if path not in stale and lengths[path] < limit]
    assert not stale, "no longer over 500 lines, take out of MODULES_TO_SPLIT:" + report(stale)
    assert not loose, "shorter than listed, lower the number in MODULES_TO_SPLIT:" + report(loose)


def long_functions(source: Source) -> list[str]:
    """Functions over the limit, decorators not counted."""
    functions = (node for node in source.nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    lengths = ((node, (node.end_lineno or node.lineno) - node.lineno + 1) for node in functions)
    return [f"{source.where(node)}: {node.name} has {lines} lines" for node, lines in lengths if lines > FUNCTION_LINES_MAX]


def wide_classes(source: Source) -> list[str]:
    """Classes with more public methods than one reader can hold."""
    faults = []
    for node in source.nodes:
        if isinstance(node, ast.ClassDef):
            methods = [
                item
                for item in node.body
                if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)
                and not item.name.startswith("_")
                and not any(isinstance(mark, ast.Name) and mark.id == "override" for mark in item.decorator_list)
            ]
            if len(methods) > PUBLIC_METHODS_MAX:
                faults.append(f"{source.where(node)}: {node.name} has {len(methods)} public methods")
    return faults


def test_functions_stay_under_seventy_lines():
    """A function longer than a screen is several."""
    faults = [fault for source in sources(*EVERYTHING) for fault in long_functions(source)]
    assert not faults, report(faults)


def test_classes_stay_under_twenty_public_methods():
    """A class past twenty public methods is two classes."""
    faults = [fault for source in sources(*PRODUCT, "tests/support") for fault in wide_classes(source)]
    assert not faults, report(faults)


def test_size_checks_find_what_they_are_for():
    """The checkers themselves, at the limit and one past it."""
    for extra, found in ((0, 0), (1, 1)):
        text = "def f():\n" + "    x = 1\n" * (FUNCTION_LINES_MAX - 1 + extra)
        assert len(long_functions(Source("a.py", text))) == found
        text = "class C:\n" + "".join(f"    def m{i}(self): ...\n" for i in range(PUBLIC_METHODS_MAX + extra))
        assert len(wide_classes(Source("a.py", text))) == found
