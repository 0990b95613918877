"""Bodies to objects, and upstream's words for what is none."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resource_api.errors import StatusError
from resource_api.http.body import Bodies, duplicate_fields, json_object
from resource_api.schema.json_fault import describe
from resource_api.schema.kinds import GroupVersionKind
from resource_api.schema.yaml_values import yaml_value

POD = GroupVersionKind("", "v1", "Pod")
DEPLOYMENT = GroupVersionKind("apps", "v1", "Deployment")


def _no_protobuf(body, gvk):
    raise ValueError("truncated")


BODIES = Bodies(_no_protobuf)


def _refusal(body: bytes, media="json", expected=POD) -> str:
    with pytest.raises(StatusError) as caught:
        BODIES.decode(body, media, expected)
    assert (caught.value.code, caught.value.reason) == (400, "BadRequest")
    return caught.value.message


def test_decode_fills_in_what_a_body_does_not_say():
    """Clients may leave out kind and apiVersion."""
    assert BODIES.decode(b'{"metadata":{"name":"x"}}', "json", DEPLOYMENT).obj == {
        "metadata": {"name": "x"},
        "kind": "Deployment",
        "apiVersion": "apps/v1",
    }


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            b"",
            "the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: "
            "unexpected end of JSON input (<empty>)",
        ),
        (
            b"hello",
            "the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: "
            "invalid character 'h' looking for beginning of value (68656c6c6f)",
        ),
        (
            b'{"kind": 5}',
            "the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: "
            'json: cannot unmarshal number into Go struct field .kind of type string ({"kind": 5})',
        ),
        (
            b'{"kind":"Pod","apiVersion":"v1","metadata":{"name":"aaaaaaaaaaaaaa"',
            "the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: "
            'unexpected end of JSON input ({"kind":"Pod","apiVersion":"v1 ...)',
        ),
        (
            b'{"kind":"Pod","spec":{"priority":' + b"9" * 5000 + b"}}",
            f"the object provided is unrecognized (must be of type Pod): json: cannot unmarshal number {'9' * 5000} into Go value of type "
            'float64 ({"kind":"Pod","spec":{"priorit ...)',
        ),
        (
            b'{"kind":"Pod","apiVersion":"a/b/c"}',
            "the object provided is unrecognized (must be of type Pod): unexpected GroupVersion string: a/b/c "
            '({"kind":"Pod","apiVersion":"a/ ...)',
        ),
        (
            b"k8s\x00\n\x0f\n\x02v1\x12\tConfigMap",
            "the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: "
            "invalid character 'k' looking for beginning of value (6b3873000a0f0a0276311209436f6e6669674d6170)",
        ),
    ],
)
def test_decode_of_no_json_tells_in_upstreams_words(body, message):
    """What is wrong, and how the body begins."""
    assert _refusal(body) == message


def test_decode_of_another_kind_or_version_is_refused():
    """The URL says what the body must be."""
    text = "the API version in the data (apps/v2) does not match the expected API version (apps/v1)"
    assert _refusal(b'{"kind":"Deployment","apiVersion":"apps/v2"}', expected=DEPLOYMENT) == text
    assert _refusal(b'{"kind":"Pod","apiVersion":"v1"}', expected=DEPLOYMENT).startswith(
        'Pod in version "v1" cannot be handled as a Deployment: '
    )
    assert "metadata" in _refusal(b'{"metadata":[]}')


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{,}", "invalid character ',' looking for beginning of object key string"),
        ('{"a" 1}', "invalid character '1' after object key"),
        ('{"a":1 "b"}', "invalid character '\"' after object key:value pair"),
        ('{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        ("[1,]", "invalid character ']' looking for beginning of value"),
        ("[1 2]", "invalid character '2' after array element"),
        ("{} x", "invalid character 'x' after top-level value"),
        ("nulk", "invalid character 'k' in literal null (expecting 'l')"),
        ('"a\n"', "invalid character '\\n' in string literal"),
        ('"\\x"', "invalid character 'x' in string escape code"),
        ('"\\u12g4"', "invalid character 'g' in \\u hexadecimal character escape"),
        ("-", "unexpected end of JSON input"),
        ("-a", "invalid character 'a' in numeric literal"),
        ("1.x", "invalid character 'x' after decimal point in numeric literal"),
        ("1ex", "invalid character 'x' in exponent of numeric literal"),
        ("", "unexpected end of JSON input"),
        ('{"a":', "unexpected end of JSON input"),
        ("[" * 20000, "unexpected end of JSON input"),
    ],
)
def test_json_faults_are_told_as_gos_decoder_does(text, sentence):
    """Including texts nested deeper than any stack."""
    assert describe(text.encode(), "?") == sentence


@given(st.text(alphabet='{}[]",:\\ 0123456789.eE+-truefalsn\t"', max_size=20))
@settings(max_examples=400, derandomize=True, deadline=None)
def test_json_faults_are_found_exactly_where_there_are_any(text):
    """The scanner agrees with a real decoder on what is JSON."""
    try:
        json.loads(text, parse_constant=lambda _: 1 / 0)
        valid = True
    except (ValueError, ZeroDivisionError):
        valid = False
    assert (describe(text.encode(), "valid") == "valid") == valid


def test_deep_json_is_refused_not_crashed_on():
    """Nesting has a bound."""
    deep = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    assert "max depth" in _refusal(deep)


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ('{"a":1,"b":{"c":[{"d":1}]}}', []),
        ('{"a":1,"a":2}', ['duplicate field "a"']),
        ('{"spec":{"x":[{"n":1},{"n":1,"n":2}]},"k":"\\":"}', ['duplicate field "spec.x[1].n"']),
        ('{"a" : 1, "a" : 2}', ['duplicate field "a"']),
        ('{"a":"\\\\","a":2}', ['duplicate field "a"']),
    ],
)
def test_duplicate_fields_are_named_with_their_path(text, faults):
    """Whatever strings look like."""
    assert json_object(text.encode()).faults == faults
    assert json_object(text.encode(), strict=False).faults == []


@given(
    st.recursive(
        st.text('":\\ab', max_size=4) | st.integers(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('":\\ab', max_size=3), inner, max_size=3),
    )
)
@settings(max_examples=200, derandomize=True, deadline=None)
def test_duplicate_search_finds_none_in_what_has_none(value):
    """The shortcut by counting never says more than the search."""
    text = json.dumps({"v": value}).encode()
    assert json_object(text).faults == duplicate_fields(text) == []


def test_yaml_is_read_as_the_json_it_means():
    """No dates, keys as text, aliases written out."""
    value, faults = yaml_value(b"a: 2020-01-01\nb: [1, 1.5, yes, null, 0x10]\n1: x\nc: &c {d: e}\nf: *c\n")
    assert value == {"a": "2020-01-01", "b": [1, 1.5, True, None, 16], "1": "x", "c": {"d": "e"}, "f": {"d": "e"}}
    assert value["c"] is not value["f"]
    assert faults == []


def test_yaml_with_a_repeated_key_is_a_fault():
    """With its line."""
    assert yaml_value(b"a: 1\nb: 2\na: 3\n")[1] == ['line 3: key "a" already set in map']


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (b"a: [", "(must be of type"),
        (b"a: &a [*a]", "anchor 'a' value contains itself"),
        (
            b"\n".join(b"l%d: &l%d [%s]" % (i, i, b", ".join([b"*l%d" % (i - 1)] * 10) if i else b"x") for i in range(8)),
            "excessive aliasing",
        ),
        (b"- a", "cannot unmarshal array"),
    ],
)
def test_yaml_that_is_no_object_is_refused(text, part):
    """Bombs included."""
    assert part in _refusal(text, "yaml")


def test_protobuf_without_its_prefix_is_refused():
    """With upstream's text."""
    assert "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]" in _refusal(b"{}", "protobuf")
    assert "truncated" in _refusal(b"k8s\0", "protobuf")
