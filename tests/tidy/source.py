"""The tree as the tidy tests see it: which files are ours, and what each imports, defines and calls.

Reads files, never imports them: a module that does not even load is still checked.
"""

from __future__ import annotations

import ast
import functools
import pathlib
from collections.abc import Iterator
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

PRODUCT = ("raftkv", "resource_api", "jepsen_like", "cli/raftctl")
"""What users install."""

EVERYTHING = (*PRODUCT, "tests", "tools")

GENERATED = "raftkv/pb/"
"""Written by `make proto`; held to no rule but its own check."""


@dataclass(frozen=True, slots=True)
class Source:
    """One Python file of ours, parsed."""

    path: str
    """Relative to the checkout, with forward slashes."""

    module: str
    """The name it is imported by."""

    text: str
    tree: ast.Module

    @property
    def is_package(self) -> bool:
        """Whether relative imports start at the module itself."""
        return self.path.endswith("/__init__.py")

    def where(self, node: ast.AST) -> str:
        """`path:line`, as an editor understands it."""
        return f"{self.path}:{getattr(node, 'lineno', 1)}"


@functools.cache
def sources(*folders: str) -> tuple[Source, ...]:
    """Every file of ours below the folders, in path order; generated ones are left out."""
    found = []
    for folder in folders:
        for file in sorted((ROOT / folder).rglob("*.py")):
            path = file.relative_to(ROOT).as_posix()
            if not path.startswith(GENERATED):
                text = file.read_text(encoding="utf-8")
                found.append(Source(path, module_name(path), text, ast.parse(text, path)))
    return tuple(found)


def module_name(path: str) -> str:
    """`cli/raftctl/main.py` -> `raftctl.main`."""
    return path.removeprefix("cli/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imports(source: Source) -> Iterator[tuple[ast.stmt, str]]:
    """Every import statement with the full name of what it brings in, those inside functions and TYPE_CHECKING included."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(source, node)
            for alias in node.names:
                yield node, f"{origin}.{alias.name}"


def _origin(source: Source, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = source.module.split(".")
    parts = parts[: len(parts) - node.level + (1 if source.is_package else 0)]
    return ".".join([*parts, node.module] if node.module else parts)


def under(name: str, *prefixes: str) -> bool:
    """Whether the dotted name is one of the prefixes or inside one."""
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def dotted(node: ast.expr) -> str:
    """`a.b.c` for a chain of names, the empty string for any other expression; a called link is written `f()`."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        head = dotted(node.value)
        return f"{head}.{node.attr}" if head else ""
    if isinstance(node, ast.Call):
        head = dotted(node.func)
        return f"{head}()" if head else ""
    return ""


def report(faults: list[str]) -> str:
    """The faults as an assertion message, one a line."""
    return "\n  " + "\n  ".join(faults)
