"""Mutants: found by name, put in by import, refused when stale or late."""

from __future__ import annotations

import subprocess
import sys

import pytest

from jepsen_like.sim.mutation import (
    LateMutantError,
    Level,
    Mutant,
    MutantsMissingError,
    StaleMutantError,
    directory,
    install,
    load,
    mutated,
    names,
)

MUTANT = """
from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(module="raftkv.raft.quorum", old="NO_LIMIT = (1 << 64) - 1", new="NO_LIMIT = 7", rule="none", level=Level.UNIT)
"""

CHILD = """
import pathlib, sys
from jepsen_like.sim.mutation import install, load
install(load(pathlib.Path(sys.argv[1]), "02"))
import raftkv.raft.quorum
print(raftkv.raft.quorum.NO_LIMIT)
"""


@pytest.fixture
def folder(tmp_path):
    for name in ("02_limit.py", "1a_too_short.py", "02b_other_limit.py", "runner.py"):
        (tmp_path / name).write_text(MUTANT)
    return tmp_path


def test_mutants_of_a_folder_are_found_in_order_of_their_numbers(folder):
    """Only NN_name.py counts."""
    (folder / "100_last.py").write_text(MUTANT)
    assert names(folder) == ["02_limit", "02b_other_limit", "100_last"]


@pytest.mark.parametrize("name", ["02b_other_limit", "02b", "other_limit", "other-limit"])
def test_mutant_answers_to_its_number_and_its_name(folder, name):
    """People type either."""
    found = load(folder, name)
    assert (found.name, found.number, found.level) == ("02b_other_limit", 2, Level.UNIT)


@pytest.mark.parametrize("name", ["03", "limits", ""])
def test_unknown_mutant_is_refused_with_the_names_there_are(folder, name):
    """A misspelt mutant must not run as none."""
    with pytest.raises(MutantsMissingError, match="02_limit, 02b_other_limit"):
        load(folder, name)


def test_folder_without_mutants_says_where_they_come_from(tmp_path):
    """An installed package has none."""
    with pytest.raises(MutantsMissingError, match="checkout"):
        directory(tmp_path)


def test_installed_mutant_is_what_the_module_imports_as(folder):
    """In a process of its own, from source, whatever is cached."""
    done = subprocess.run([sys.executable, "-c", CHILD, str(folder)], capture_output=True, text=True, check=True)
    assert done.stdout == "7\n"


def test_mutant_of_a_module_that_its_package_imports_is_put_in():
    """Looking for the source must not import the package: the module would be in use before the mutant."""
    code = """
from jepsen_like.sim.mutation import Level, Mutant, install
install(Mutant("raftkv.client.outcome", 'DEADLINE_TEXT = "context', 'DEADLINE_TEXT = "other', "none", Level.UNIT, name="02_text"))
import raftkv.client.outcome
print(raftkv.client.outcome.DEADLINE_TEXT)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "other deadline exceeded\n"


def test_mutant_of_an_imported_module_is_refused():
    """It would change nothing and be counted as unnoticed."""
    import raftkv.raft.quorum

    assert raftkv.raft.quorum.NO_LIMIT > 7
    with pytest.raises(LateMutantError):
        install(Mutant("raftkv.raft.quorum", "NO_LIMIT = (1 << 64) - 1", "NO_LIMIT = 7", "none", Level.UNIT, name="02_limit"))


@pytest.mark.parametrize(("source", "new"), [("a = 1\n", "b"), ("x = 1\nx = 1\n", "b"), ("x = 1\n", "x = 1")])
def test_edit_that_does_not_fit_exactly_once_is_stale(source, new):
    """Neither missing, nor ambiguous, nor empty."""
    with pytest.raises(StaleMutantError):
        mutated(Mutant("m", "x = 1", new, "none", Level.UNIT, name="02_limit"), source)
