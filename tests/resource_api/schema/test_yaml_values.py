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
        ("!!binary aGk=", "hi"),
        ('!!binary "aG\\nk="', "hi"),
        ("!!binary gA==", "\ufffd"),
        ("!foo bar", "bar"),
        ("!Ref 5", "5"),
        ("!!foo yes", "yes"),
        ("!!map x", "x"),
        ("!!timestamp 2001-12-14t21:59:43.10-05:00", "2001-12-14t21:59:43.10-05:00"),
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
    with pytest.raises(ValueError, match=r"(line \d+: exceeded max depth|document contains excessive aliasing)"):
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
        ("a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  z: 3\n", {"x": 1, "true": 2, "z": 3}, []),
        ("a: &a {x: 1, k: 2}\nb:\n  x: 0\n  <<: *a\n", {"x": 1, "k": 2}, ['line 1: key "x" already set in map']),
        ("a: &a {x: 1, k: 2}\nb:\n  <<: *a\n  x: 0\n", {"x": 0, "k": 2}, ['line 4: key "x" already set in map']),
        ("a: [&a {x: 1}, &c {x: 2, w: 3}]\nb:\n  <<: [*a, *c]\n", {"x": 1, "w": 3}, ['line 1: key "x" already set in map']),
        ("b:\n  <<: {x: 1}\n  <<: {x: 2}\n", {"x": 2}, ['line 3: key "x" already set in map']),
        ("a: &a {<<: {x: 1}}\nb: {!!merge <<: *a}\n", {"x": 1}, []),
        ("b: {'<<': 1}\n", {"<<": 1}, []),
        ("b: {k: <<}\n", {"k": "<<"}, []),
    ],
)
def test_merge_keys_set_fields_where_they_stand(text, value, faults):
    """What comes later wins, a merge over an own key as well; in a list of sources the first."""
    found, told = yaml_value(text.encode())
    assert (found["b"], told) == (value, faults)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a: *x", "unknown anchor 'x' referenced"),
        ("a: &a {b: *a}", "anchor 'a' value contains itself"),
        ("<<: 1", "map merge requires map or sequence of maps as the value"),
        ("a: !!int x", "cannot decode !!str `x` as a !!int"),
        ("a: &b [{x: 1}]\nc:\n  <<: *b", "yaml: map merge requires map or sequence of maps as the value"),
        ("a: !!bool 1", "yaml: cannot decode !!int `1` as a !!bool"),
        ("a: !!timestamp 2001-02-30", "cannot decode !!str `2001-02-30` as a !!timestamp"),
        ("a: !!timestamp 2001-02-03 1:2:3Z", "cannot decode !!str `2001-02-03 1:2:3Z` as a !!timestamp"),
        ("a: !!binary '@@@'", "yaml: !!binary value contains invalid base64 data"),
        ("a: !!binary aGk", "yaml: !!binary value contains invalid base64 data"),
        ('a: "x\\/"', "yaml: found unknown escape character"),
        ('\ufeffa: "é"\nb: "x\n  \\\\\\/"', "yaml: line 3: found unknown escape character"),
        ("? [a, 1]\n: b", 'yaml: invalid map key: []interface {}{"a", 1}'),
        ("{~: [~, 1.5]}", "unsupported map key of type: %!s(<nil>), key: <nil>, value: []interface {}{interface {}(nil), 1.5}"),
        ("{18446744073709551615: {b: true}}", 'key: 0xffffffffffffffff, value: map[interface {}]interface {}{"b":true}'),
        ("a: .inf", "json: unsupported value: +Inf"),
    ],
)
def test_yaml_that_means_no_json_is_refused(text, part):
    """In one sentence, and never with a traceback."""
    with pytest.raises(ValueError, match="(?i)yaml|json") as caught:
        yaml_value(text.encode())
    assert part in str(caught.value)


def test_sets_and_ordered_maps_are_what_they_are_written_as():
    """YAML's own kinds of mapping and sequence."""
    assert yaml_value(b"a: !!set {x, z}\nb: !!omap [q: 1]\n")[0] == {"a": {"x": None, "z": None}, "b": [{"q": 1}]}
    assert yaml_value(b"a: !!set [x]\nb: !x {q: 1}\nc: !!str [1]\n")[0] == {"a": ["x"], "b": {"q": 1}, "c": [1]}


@pytest.mark.parametrize("rest", ["---\nb: 2\n", "---\n", "...\n{{{\n", "---\n{{{\n", "...\n%YAML 9\n", "---\nb: *x\n"])
def test_first_document_is_the_value_whatever_follows(rest):
    """A manifest that ends in a separator is one object, and of several the first is meant."""
    assert yaml_value(f"a: 1\n{rest}".encode()) == ({"a": 1}, [])
    assert yaml_value(f"---\n{rest}".encode())[0] is None


def test_number_as_key_is_named_as_go_prints_it():
    """Floats as Go prints those of 32 bits."""
    text = b"{1e3: 1, -0.0: 1, 1.5: 1, 1e6: 1, 1e-5: 1, 1e300: 1, 123456789.5: 1, 1_0: 1, 0x10: 1, .nan: 1, true: 1}"
    names = ["1000", "-0", "1.5", "1e+06", "1e-05", ".inf", "1.2345679e+08", "10", "16", ".nan", "true"]
    assert list(yaml_value(text)[0]) == names


@pytest.mark.parametrize("text", [b'a: "b\\\\/c"', b"a: 'b\\/c'", b"a: b\\/c", b"# \\/\na: 1", b'a: "/\\e"'])
def test_slash_that_is_not_escaped_is_kept(text):
    """A backslash means something in double quotes only, and may itself stand after one."""
    assert yaml_value(text)[0]["a"] in ("b\\/c", 1, "/\x1b")
