"""The documentation's table of faults is what the faults themselves say."""

from __future__ import annotations

import pytest

from jepsen_like.nemesis import FAULTS, GROUPS, UnknownFaultError, chosen, prepared
from jepsen_like.nemesis.rows import ROWS
from jepsen_like.nemesis.table import render
from jepsen_like.sim.core.nemesis import Nemesis as CoreNemesis
from tests.tidy.source import ROOT


def test_page_of_faults_is_what_the_registry_says():
    """Rewrite it by `python -m jepsen_like.nemesis.table > docs/FAULTS.md`."""
    assert (ROOT / "docs" / "FAULTS.md").read_text(encoding="utf-8") == render()


def test_faults_are_of_rows_that_exist_and_say_how_they_are_seen():
    for fault in FAULTS.values():
        assert 1 <= fault.row <= len(ROWS), fault
        assert fault.verified_by, fault
        assert fault.hold_s[0] <= fault.hold_s[1], fault


def test_simulated_acts_of_the_rows_exist():
    """The SIM column names nothing that the simulator does not have."""
    acts = pytest.importorskip("jepsen_like.sim.faults.acts")
    assert {name for row in ROWS for name in row.server} <= set(acts.ACTS)
    source = CoreNemesis.__init__.__code__.co_consts
    kinds = {text for const in source for text in (const if isinstance(const, tuple) else (const,)) if isinstance(text, str)}
    assert {kind for row in ROWS for kind in row.core if not kind.startswith("(")} <= kinds


def test_unknown_fault_is_refused_by_name():
    with pytest.raises(UnknownFaultError, match="no fault 'flood'; there are kill"):
        chosen(["kill", "flood"])


def test_group_stands_for_its_faults_and_all_for_every_one():
    assert [fault.name for fault in chosen(["power", "power-cut"])] == list(GROUPS["power"])
    assert len(chosen(["all"])) == len(FAULTS)


def test_preparation_is_what_the_faults_need():
    """Without it a cluster would skip them."""
    assert prepared(["kill"], "PX").instruments == frozenset()
    assert prepared(["clock", "disk-full"], "PX").instruments == {"clock", "files"}
    assert prepared(["power-cut"], "PX").instruments == {"trace", "failpoints"}
    assert any("snapshot-count" in flag for flag in prepared(["snapshot-install"], "PX").flags)


def test_every_fault_is_done_to_a_real_cluster_by_some_test():
    """A fault in the table without a test that saw it work is a claim."""
    text = "".join((ROOT / "tests" / "jepsen_like" / "nemesis" / name).read_text(encoding="utf-8") for name in ("test_px.py", "test_ns.py"))
    assert not [name for name in FAULTS if f'"{name}"' not in text]
