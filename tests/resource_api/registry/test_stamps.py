"""Names and uids that the server makes: from the clock's randomness alone."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from resource_api.registry.stamps import SUFFIX_ALPHABET, generated_name, new_uid
from tests.resource_api.world import WorldClock


def clock(seed: int = 1) -> WorldClock:
    """Of a loop that never runs."""
    loop = asyncio.new_event_loop()
    loop.close()
    return WorldClock(loop, seed)


@pytest.mark.parametrize(("base", "kept"), [("web-", "web-"), ("", ""), ("x" * 58, "x" * 58), ("x" * 59, "x" * 58), ("x" * 300, "x" * 58)])
def test_generated_name_is_a_label(base: str, kept: str):
    """63 characters at most, five of them drawn, none a vowel or a look-alike."""
    name = generated_name(base, clock())
    assert (name[:-5], len(name) <= 63) == (kept, True)
    assert set(name[-5:]) <= set(SUFFIX_ALPHABET)
    assert not set(SUFFIX_ALPHABET) & set("aeiou013")


def test_stamps_are_the_clocks():
    """One seed gives one sequence; in it nothing comes twice."""
    one, same, other = clock(), clock(), clock(2)
    uids = [new_uid(one) for _ in range(100)]
    assert [new_uid(same) for _ in range(100)] == uids
    assert len(set(uids) | {new_uid(other)}) == 101
    assert all(uuid.UUID(text).version == 4 and str(uuid.UUID(text)) == text for text in uids)
