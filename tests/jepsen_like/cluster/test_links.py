"""What is counted of links adds up, and conditions survive their line."""

from __future__ import annotations

from jepsen_like.cluster.links import CUT, OPEN, Conditions, Counters, Tally


def test_conditions_are_read_back_as_they_were_sent():
    for conditions in (OPEN, CUT, Conditions(delay_ms=5.0, jitter_ms=1.0, loss=0.3), Conditions(rate_bytes_s=1024.0)):
        assert Conditions(**conditions.to_json()) == conditions
    assert OPEN.plain and not CUT.plain
    assert str(CUT) == "cut 1" and str(OPEN) == "open"


def test_tally_since_sums_what_was_added_in_the_directions():
    """What happened before a fault, or elsewhere, is not its effect."""
    before = Tally({("a", "b"): Counters(passed=5, cut=1), ("b", "a"): Counters(passed=100)})
    after = Tally({("a", "b"): Counters(passed=7, cut=4), ("b", "a"): Counters(passed=200), ("c", "a"): Counters(cut=2)})
    assert after.since(before, [("a", "b"), ("c", "a")]) == Counters(passed=2, cut=5)


def test_mean_delay_is_of_the_delayed_ones():
    assert Counters(passed=10, delayed=2, delay_ms_total=30.0).delay_ms_mean == 15.0
    assert Counters().delay_ms_mean == 0.0
