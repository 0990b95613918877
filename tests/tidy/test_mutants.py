"""Every known way to be wrong has an edit that still fits the product, or a reason for having none."""

from __future__ import annotations

import ast

import pytest

from jepsen_like.sim.mutation import Level, directory, load, mutated, names, source_path
from tests.mutants.absent import ABSENT
from tests.mutants.table import NUMBERS
from tests.tidy.source import PRODUCT, ROOT, report, sources, under

FOLDER = directory()
MUTANTS = [load(FOLDER, name) for name in names(FOLDER)]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_fits_its_module_exactly_once(mutant):
    """An edit that no longer fits tests nothing, silently."""
    with open(source_path(mutant.module), encoding="utf-8") as file:
        ast.parse(mutated(mutant, file.read()))
    missing = [path for path in mutant.tests if not (ROOT / path.split("::")[0]).exists()]
    assert not missing, report(missing)


def test_numbers_of_the_list_are_all_accounted_for():
    """A number has edits or a reason, never neither and never both."""
    numbers = {mutant.number for mutant in MUTANTS}
    assert sorted(set(NUMBERS) - numbers - set(ABSENT)) == []
    assert sorted(numbers & set(ABSENT)) == []


def test_level_of_every_mutant_is_what_the_page_says_notices_it():
    """Whoever runs `sim --mutant` is told by the file's level whether a seed can be waited for."""
    levels = {"core simulation": {Level.CORE}, "server simulation": {Level.SERVER}, "tests": {Level.UNIT, Level.POWER_CUT}}
    rows = [line.split(" | ") for line in (ROOT / "docs" / "MUTANTS.md").read_text(encoding="utf-8").splitlines()]
    noticed = {row[0].removeprefix("| ").partition(" ")[0]: levels[row[2]] for row in rows if len(row) == 6 and row[2] in levels}
    wrong = [one.name for one in MUTANTS if one.level not in noticed.get(one.name.partition("_")[0], set(Level))]
    assert noticed and not wrong, report(wrong)


def test_mutants_differ():
    """Two names for one edit would count it twice."""
    edits = {(mutant.module, mutant.old, mutant.new) for mutant in MUTANTS}
    assert len(edits) == len(MUTANTS)


def test_product_knows_nothing_of_mutants():
    """The only code that knows of mutants is the simulator's and the tests'."""
    faults = [
        f"{source.where(node)}: imports {name}"
        for source in sources(*PRODUCT)
        if not under(source.module, "jepsen_like")
        for node, name in source.imports
        if under(name, "jepsen_like.sim.mutation", "tests")
    ]
    assert not faults, report(faults)
