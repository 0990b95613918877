"""How deep values may nest."""

from __future__ import annotations

import sys

import pytest

from resource_api.schema.depth import DEPTH_MAX, RECURSION_LIMIT, allow_recursion, is_too_deep, may_be_too_deep


def _nested(levels: int, kinds: str = "ld"):
    value = 1
    for level in range(levels):
        value = [value] if kinds[level % len(kinds)] == "l" else {"a": value, "b": 2}
    return value


@pytest.mark.parametrize("kinds", ["l", "d", "ld", "lld"])
def test_values_are_too_deep_from_one_level_past_the_bound(kinds):
    """Objects and arrays count alike, and the outermost is the first."""
    assert not is_too_deep(_nested(DEPTH_MAX, kinds))
    assert is_too_deep(_nested(DEPTH_MAX + 1, kinds))
    assert is_too_deep(_nested(50 * DEPTH_MAX, kinds))


def test_depth_is_the_deepest_branch():
    """However many are shallow, and wherever it stands."""
    assert not is_too_deep([[1]] * (DEPTH_MAX * 4))
    assert is_too_deep([[1], {"x": [2, _nested(DEPTH_MAX - 2)]}, 3])
    assert not is_too_deep([[1], {"x": [2, _nested(DEPTH_MAX - 3)]}, 3])
    for flat in ("x", 1, None, True, [], {}):
        assert not is_too_deep(flat)


def test_text_with_few_brackets_is_never_too_deep():
    """The shortcut never says less than the search; in strings it may say more."""
    assert not may_be_too_deep(b"[" * DEPTH_MAX + b"]" * DEPTH_MAX)
    assert may_be_too_deep(b'{"a":[' * (DEPTH_MAX // 2) + b"[")
    assert may_be_too_deep(b'"' + b"[" * 2 * DEPTH_MAX + b'"')


def test_recursion_is_allowed_as_deep_as_values_nest_and_never_less():
    """An embedding program may have allowed more."""
    before = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(RECURSION_LIMIT - 1)
        allow_recursion()
        assert sys.getrecursionlimit() == RECURSION_LIMIT
        sys.setrecursionlimit(RECURSION_LIMIT + 1)
        allow_recursion()
        assert sys.getrecursionlimit() == RECURSION_LIMIT + 1
    finally:
        sys.setrecursionlimit(before)
