"""Known ways to be wrong, put into the product one at a time: what a mutant is, where they stand, and the import hook.

A mutant is one edit of one module, applied while that module is imported, in this process only; the sources are never
touched. The edits themselves are tests (`tests/mutants/NN_name.py`, NN as in the list of known ways to be wrong) and are
not installed with the package: `directory` finds them beside a checkout. This module imports nothing of raftkv, because
what is imported before `install` cannot be changed by it.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import pathlib
import re
import runpy
import sys
from collections.abc import Sequence
from enum import Enum
from types import CodeType, ModuleType
from typing import NamedTuple

_FILE = re.compile(r"(\d\d+)([a-z]?)_(\w+)\.py")


class Level(Enum):
    """The cheapest thing that notices a mutant."""

    CORE = "core simulation"
    SERVER = "server simulation"
    UNIT = "unit test"
    POWER_CUT = "power cut of real processes"


class Mutant(NamedTuple):
    """One edit of one module."""

    module: str
    old: str
    """Text that stands in the module exactly once."""

    new: str
    rule: str
    """What it breaks."""

    level: Level
    tests: tuple[str, ...] = ()
    """Tests (as pytest names them) that notice it, where simulations cannot."""

    name: str = ""
    """The file's, without its ending: `05_older_term_committed_by_count`."""

    @property
    def number(self) -> int:
        """Of the way to be wrong; several mutants may have one number."""
        return int(re.match(r"\d+", self.name)[0])  # type: ignore[index]  # every loaded name begins with its number


class StaleMutantError(Exception):
    """The module has changed: the old text does not stand in it exactly once."""


class MutantsMissingError(Exception):
    """There is no such mutant, or no folder of them: they come with a checkout, not with the package."""


class LateMutantError(Exception):
    """The module was imported before the mutant was installed."""


def directory(given: str | pathlib.Path | None = None) -> pathlib.Path:
    """The folder of the mutants: the one given, else the one beside the checkout this runs from. Raises MutantsMissingError."""
    found = pathlib.Path(given) if given is not None else pathlib.Path(__file__).resolve().parents[2] / "tests" / "mutants"
    if not any(_FILE.fullmatch(path.name) for path in found.glob("*.py")):
        raise MutantsMissingError(
            f"there are no mutants in {found}: they stand under tests/mutants of a checkout and are not installed with the package"
        )
    return found


def names(folder: pathlib.Path) -> list[str]:
    """Names of the mutants in a folder, by number."""
    found = [match for path in folder.glob("*.py") if (match := _FILE.fullmatch(path.name))]
    return [match[0].removesuffix(".py") for match in sorted(found, key=lambda match: (int(match[1]), match[2], match[3]))]


def load(folder: pathlib.Path, name: str) -> Mutant:
    """The mutant of that name; its number, or the part behind it, will do when there is one such. Raises MutantsMissingError."""
    every = names(folder)
    found = [one for one in every if name in (one, one.split("_", 1)[0], one.split("_", 1)[1], one.split("_", 1)[1].replace("_", "-"))]
    if len(found) != 1:
        raise MutantsMissingError(f"there are {len(found)} mutants named {name!r} in {folder}; there are: {', '.join(every)}")
    mutant = runpy.run_path(str(folder / f"{found[0]}.py"))["MUTANT"]
    assert isinstance(mutant, Mutant)
    return mutant._replace(name=found[0])


def source_path(module: str) -> str:
    """Path of a module's source. Found without importing the packages it is in: those may import the module."""
    top, *inner = module.split(".")
    spec = importlib.util.find_spec(top)
    assert spec is not None and spec.submodule_search_locations, f"there is no package {top}"
    return str(pathlib.Path(spec.submodule_search_locations[0]).joinpath(*inner)) + ".py"


def mutated(mutant: Mutant, source: str) -> str:
    """The module's source with the change. Raises StaleMutantError."""
    if source.count(mutant.old) != 1:
        raise StaleMutantError(f"{mutant.name}: its text stands {source.count(mutant.old)} times in {mutant.module}, not once")
    if mutant.old == mutant.new:
        raise StaleMutantError(f"{mutant.name} changes nothing")
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
    """Has the mutant imported in its module's place, in this process and those it forks, for as long as they live.

    To be called before anything of raftkv is imported. Raises LateMutantError when the module is already in use, and
    StaleMutantError when the edit does not fit it.
    """
    if mutant.module in sys.modules:
        raise LateMutantError(f"{mutant.module} was imported before the mutant {mutant.name} was put into it")
    path = source_path(mutant.module)
    try:
        with open(path, encoding="utf-8") as file:
            mutated(mutant, file.read())
    except FileNotFoundError as exc:
        raise StaleMutantError(f"{mutant.name}: there is no module {mutant.module} any more") from exc
    sys.meta_path.insert(0, _Finder(mutant, path))
