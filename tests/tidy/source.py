"""The tree as the tidy tests see it: which files are ours, and what each imports, defines and calls.

Reads files, never imports them: a module that does not even load is still checked. Each file is read, parsed and walked once for all
checks: a thousand files are a million nodes, 2 s and 250 MB.
"""

from __future__ import annotations

import ast
import functools
import gc
import pathlib
from collections.abc import Iterator
from dataclasses import dataclass, field

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

    text: str

    module: str = field(init=False)
    """The name it is imported by."""

    nodes: tuple[ast.AST, ...] = field(init=False)
    """Every node of the tree, outer ones first."""

    imports: tuple[tuple[ast.stmt, str], ...] = field(init=False)
    """Every import statement with the full name of what it brings in, those inside functions and TYPE_CHECKING included."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "module", module_name(self.path))
        object.__setattr__(self, "nodes", tuple(ast.walk(ast.parse(self.text, self.path))))
        object.__setattr__(self, "imports", tuple(self._imports()))

    @property
    def is_package(self) -> bool:
        """Whether relative imports start at the module itself."""
        return self.path.endswith("/__init__.py")

    def where(self, node: ast.AST) -> str:
        """`path:line`, as an editor understands it."""
        return f"{self.path}:{getattr(node, 'lineno', 1)}"

    def _imports(self) -> Iterator[tuple[ast.stmt, str]]:
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield node, alias.name
            elif isinstance(node, ast.ImportFrom):
                origin = self._origin(node)
                for alias in node.names:
                    yield node, f"{origin}.{alias.name}"

    def _origin(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self.module.split(".")
        parts = parts[: len(parts) - node.level + (1 if self.is_package else 0)]
        return ".".join([*parts, node.module] if node.module else parts)


def sources(*folders: str) -> tuple[Source, ...]:
    """Every file of ours below the folders, in path order; generated ones are left out."""
    return tuple(source for folder in folders for source in _below(folder))


@functools.cache
def _below(folder: str) -> tuple[Source, ...]:
    outer, _, rest = folder.partition("/")
    if rest and outer in EVERYTHING:
        return tuple(source for source in _below(outer) if source.path.startswith(f"{folder}/"))
    files = ((file.relative_to(ROOT).as_posix(), file) for file in sorted((ROOT / folder).rglob("*.py")))
    # Nothing parsed here is ever garbage: looking for some costs three times the parsing.
    gc.disable()
    try:
        return tuple(Source(path, file.read_text(encoding="utf-8")) for path, file in files if not path.startswith(GENERATED))
    finally:
        gc.enable()


def module_name(path: str) -> str:
    """`cli/raftctl/main.py` -> `raftctl.main`."""
    return path.removeprefix("cli/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")


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
