"""What a mutant is, and how one is put in a module's place while it is imported."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import CodeType, ModuleType
from typing import NamedTuple


class Mutant(NamedTuple):
    """One change of one module."""

    name: str
    module: str
    old: str
    """Text that stands in the module exactly once."""

    new: str
    rule: str
    """What it breaks; numbers are those of design §4."""


class StaleMutantError(Exception):
    """The module has changed: the old text does not stand in it exactly once."""


def source_path(module: str) -> str:
    """Path of a module's source."""
    spec = importlib.util.find_spec(module)
    assert spec is not None and spec.origin is not None
    return spec.origin


def mutated(mutant: Mutant, source: str) -> str:
    """The module's source with the change. Raises StaleMutantError."""
    if source.count(mutant.old) != 1:
        raise StaleMutantError(f"{mutant.name}: {mutant.module} has its text {source.count(mutant.old)} times")
    return source.replace(mutant.old, mutant.new)


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, mutant: Mutant, path: str) -> None:
        super().__init__(mutant.module, path)
        self._mutant = mutant

    def get_code(self, fullname: str) -> CodeType | None:
        """Always from source: a cached module is not the mutant."""
        with open(self.path, encoding="utf-8") as file:
            return compile(mutated(self._mutant, file.read()), self.path, "exec")


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, mutant: Mutant, path: str) -> None:
        self._mutant = mutant
        self._path = path

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The mutant, when its module is asked for."""
        if fullname != self._mutant.module:
            return None
        return importlib.util.spec_from_file_location(fullname, self._path, loader=_Loader(self._mutant, self._path))


def install(mutant: Mutant) -> None:
    """Has the mutant imported in its module's place, in this process. Nothing of the package may have been imported but what leads there."""
    path = source_path(mutant.module)
    for name in [name for name in sys.modules if name == "raftkv" or name.startswith("raftkv.")]:
        del sys.modules[name]
    sys.meta_path.insert(0, _Finder(mutant, path))
