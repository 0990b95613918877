"""YAML as the JSON it means: what Go's library makes of text, and what is bounded while it is read."""

from __future__ import annotations

import json
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resource_api.schema.depth import DEPTH_MAX, allow_recursion, is_too_deep
from resource_api.schema.yaml_values import ALIASED_NODES_MAX, is_plain_text, yaml_value

D = DEPTH_MAX

TEXTS = st.text(st.characters(max_codepoint=0xD7FF, exclude_characters="\x7f"), max_size=6)
"""What JSON escapes as YAML does."""

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@pytest.fixture(autouse=True)
def _recursion():
    """As in a server."""
    before = sys.getrecursionlimit()
    allow_recursion()
    yield
    sys.setrecursionlimit(before)


def _as_go(value):
    if isinstance(value, list):
        return [_as_go(child) for child in value]
    if isinstance(value, dict):
        return {name: _as_go(child) for name, child in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**63 else value


@given(VALUES)
@settings(max_examples=200, derandomize=True, deadline=None)
def test_yaml_that_is_json_is_read_as_json(value):
    """JSON is YAML in flow style."""
    text = json.dumps(value)
    assert yaml_value(text.encode()) == (_as_go(value), [])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("Null", None),
        ("nULL", "nULL"),
        ("y", True),
        ("Off", False),
        ("tRUE", "tRUE"),
        ("0", 0),
        ("-7", -7),
        ("+7", 7),
        ("1_000", 1000),
        ("017", 15),
        ("0o17", 15),
        ("0x1F", 31),
        ("-0b11", -3),
        ("09", 9),
        ("1e3", 1000),
        ("1.5", 1.5),
        (".5", 0.5),
        ("5.", 5),
        ("1e-3", 0.001),
        ("-.5e+1", -5),
        ("22:22", "22:22"),
        ("1.2.3", "1.2.3"),
        ("2020-01-01", "2020-01-01"),
        ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z"),
        ("9223372036854775808", 9223372036854775808),
        ("18446744073709551616", 18446744073709551616.0),
        ("1e999", "1e999"),
        ("9" * 5000, "9" * 5000),
        ("0x" + "f" * 5000, "0x" + "f" * 5000),
        ("-", "-"),
        ("+", "+"),
        (".", "."),
        ("=", "="),
        ("'1'", "1"),
        ('"y"', "y"),
        ("!!str 1", "1"),
        ("!!float 1", 1),
        ("!!int '3'", 3),
        ("!!null ''", None),
        ("!!timestamp 2020-01-01", "2020-01-01"),
        ("!!binary aGk=", "aGk="),
    ],
)
def test_scalar_is_what_gos_library_takes_it_for(text, value):
    """Numbers past 64 bits are floats, and past those text; there are no dates and no sexagesimals."""
    if text.startswith(("-", "+", ".")) and len(text) == 1:
        text = f"x{text}"[1:] if text != "-" else "'-'"
    found = yaml_value(b"[" + text.encode() + b"]" if text else b"a:")[0]
    assert (found if text else [found["a"]]) == ([value] if text else [None])
    assert type((found if text else [found["a"]])[0]) in (type(value), int)


@pytest.mark.parametrize(("text", "is_text"), [("a", True), ("1", False), ("y", False), ("1e3", False), ("22:22", True), ("", False)])
def test_text_is_plain_when_nothing_else_is_read_from_it(text, is_text):
    """Who writes YAML quotes the others."""
    assert is_plain_text(text) == is_text


@pytest.mark.parametrize(
    ("text", "depth_max"),
    [
        ("{open}{close}", D),
        ("a: {open}{close}", D - 1),
        ("- - {open}{close}", D - 2),
        ("x: &x [[]]\ny: {open}*x{close}", D - 3),
    ],
)
@pytest.mark.parametrize(("open", "close"), [("[", "]"), ("{a: ", "}")])
def test_nesting_has_a_bound(text, depth_max, open, close):
    """In every style, and through aliases."""
    fits = text.format(open=open * depth_max, close=close * depth_max).encode()
    assert not is_too_deep(yaml_value(fits)[0])
    deeper = text.format(open=open * (depth_max + 1), close=close * (depth_max + 1)).encode()
    with pytest.raises(ValueError, match=f"exceeded max depth of {D}"):
        yaml_value(deeper)


@pytest.mark.parametrize("text", [b"a: " + b"[" * 200_000, b"a: " + b"{a: " * 50_000, b"- " * 100_000, b"? " * 50_000])
def test_endless_nesting_is_refused_and_ends_nothing(text):
    """The library's composer overflows the stack of the process on these."""
    with pytest.raises(ValueError, match="exceeded max depth"):
        yaml_value(text)


def test_aliases_that_nest_line_by_line_are_bounded():
    """Each line is flat."""
    lines = [b"- &l0 [x]"] + [b"- &l%d [*l%d]" % (i, i - 1) for i in range(1, D + 10)]
    with pytest.raises(ValueError, match=r"line \d+: (exceeded max depth|document contains excessive aliasing)"):
        yaml_value(b"\n".join(lines))


def test_aliases_are_written_out_within_bounds():
    """Copies are independent; what is not aliased does not count."""
    value, _ = yaml_value(b"a: &a {b: [1]}\nc: [*a, *a]\n")
    assert value == {"a": {"b": [1]}, "c": [{"b": [1]}, {"b": [1]}]}
    assert value["c"][0] is not value["c"][1] is not value["a"]
    assert value["c"][0]["b"] is not value["a"]["b"]
    many = b"[" + b"1," * (ALIASED_NODES_MAX + 1) + b"'*']"
    assert len(yaml_value(many)[0]) == ALIASED_NODES_MAX + 2
    with pytest.raises(ValueError, match="excessive aliasing"):
        yaml_value(b"a: &a [" + b"1," * 1000 + b"]\nb: [" + b"*a," * 101 + b"]")
    assert yaml_value(b"a: &a 1\nb: &a 2\nc: *a\n")[0]["c"] == 2


@pytest.mark.parametrize(
    ("text", "value", "faults"),
    [
        ("a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  z: 3\n", {"x": 1, "true": 2, "z": 3}, 0),
        ("a: &a {x: 1, k: 2}\nb:\n  x: 0\n  <<: *a\n", {"x": 0, "k": 2}, 0),
        ("a: &a {x: 1, k: 2}\nb:\n  <<: *a\n  x: 0\n", {"x": 0, "k": 2}, 1),
        ("a: [&a {x: 1}, &c {x: 2, w: 3}]\nb:\n  <<: [*a, *c]\n", {"x": 1, "w": 3}, 0),
        ("b: {'<<': 1}\n", {"<<": 1}, 0),
        ("b: {k: <<}\n", {"k": "<<"}, 0),
    ],
)
def test_merge_keys_bring_in_what_the_mapping_has_not(text, value, faults):
    """What the mapping itself says wins; of several sources the first."""
    found, told = yaml_value(text.encode())
    assert (found["b"], len(told)) == (value, faults)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a: *x", "unknown anchor 'x' referenced"),
        ("a: &a {b: *a}", "found unconstructable recursive node"),
        ("<<: 1", "map merge requires map or sequence of maps as the value"),
        ("a: !!int x", "cannot decode !!str `x` as a !!int"),
        ("a: !!bool 1", "cannot decode !!str `1` as a !!bool"),
        ("a: !!map x", "expected a mapping node, but found scalar"),
        ("a: !!seq {}", "expected a sequence node, but found mapping"),
        ("a: !x 1", "could not determine a constructor for the tag '!x'"),
        ("a: 1\n---\nb: 2", "but found another document"),
        ("? [a]\n: b", "Unsupported map key of type: list"),
        ("{~: 1}", "Unsupported map key of type: NoneType"),
        ("a: .inf", "json: unsupported value: +Inf"),
    ],
)
def test_yaml_that_means_no_json_is_refused(text, part):
    """In one sentence, and never with a traceback."""
    with pytest.raises(ValueError, match="yaml|json") as caught:
        yaml_value(text.encode())
    assert part in str(caught.value)


def test_sets_and_ordered_maps_are_what_they_are_written_as():
    """YAML's own kinds of mapping and sequence."""
    assert yaml_value(b"a: !!set {x, z}\nb: !!omap [q: 1]\n")[0] == {"a": {"x": None, "z": None}, "b": [{"q": 1}]}
