"""Selectors: the grammar and the texts of apimachinery."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resource_api.cache.selectors import (
    NOTHING,
    SelectorError,
    check_label_selector,
    field_value,
    label_selector_of,
    parse_fields,
    parse_labels,
)
from resource_api.errors import StatusError

PATHS = {"metadata.name": ("metadata", "name"), "spec.x": ("spec", "x"), "spec.unschedulable": ("spec", "unschedulable")}


@pytest.mark.parametrize(
    ("text", "selected", "refused"),
    [
        ("", [{}, {"a": "1"}], []),
        (" ", [{}], []),
        ("a", [{"a": ""}, {"a": "1"}], [{}]),
        ("!a", [{}, {"b": ""}], [{"a": ""}]),
        ("! a", [{}], [{"a": ""}]),
        ("a=1", [{"a": "1"}], [{}, {"a": "2"}]),
        ("a == 1", [{"a": "1"}], [{}]),
        ("a=", [{"a": ""}], [{"a": "1"}, {}]),
        ("a!=1", [{}, {"a": "2"}], [{"a": "1"}]),
        ("a!=", [{}, {"a": "1"}], [{"a": ""}]),
        ("a in (1,2)", [{"a": "1"}, {"a": "2"}], [{}, {"a": "3"}]),
        ("a in(,1)", [{"a": ""}, {"a": "1"}], [{}]),
        ("a in (1,)", [{"a": ""}, {"a": "1"}], [{}]),
        ("a notin (1, 2)", [{}, {"a": "3"}], [{"a": "1"}]),
        ("a>5", [{"a": "6"}], [{}, {"a": "5"}, {"a": "x"}]),
        ("a<5,b", [{"a": "-1", "b": ""}], [{"a": "1"}, {"a": "5", "b": ""}]),
        ("in in (in),notin", [{"in": "in", "notin": ""}], [{"in": "in"}]),
        ("x.io/a-b_c.d=v", [{"x.io/a-b_c.d": "v"}], [{}]),
    ],
)
def test_label_selector_selects(text, selected, refused):
    """Every form of a requirement."""
    selector = parse_labels(text)
    assert bool(selector) == bool(text.strip())
    assert all(selector.matches(labels) for labels in selected)
    assert not any(selector.matches(labels) for labels in refused)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a in", "unable to parse requirement: found '' expected: '('"),
        ("a in (", "unable to parse requirement: found '', expected: ',', ')' or identifier"),
        ("a in ()", "unable to parse requirement: values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a in (b c)", "unable to parse requirement: found 'c', expected: ',' or ')'"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a=1 b", "found 'b', expected: ',' or 'end of string'"),
        ("a,", "found '', expected: identifier after ','"),
        ("a,,b", "found ',', expected: identifier after ','"),
        (",a", "found ',', expected: !, identifier, or 'end of string'"),
        ("=a", "found '=', expected: !, identifier, or 'end of string'"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("!a=b", "found '=', expected: ',' or 'end of string'"),
        ("a==b=c", "found '=', expected: ',' or 'end of string'"),
        ("a=(", "unable to parse requirement: found '(', expected: identifier"),
        (
            "a>x",
            "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer",
        ),
        ("a>99999999999999999999", "the value must be an integer"),
        ("a=-b", 'unable to parse requirement: values[0][a]: Invalid value: "-b": a valid label must be an empty string or consist of'),
        ("-a", 'unable to parse requirement: <nil>: Invalid value: "-a": name part must consist of alphanumeric characters'),
    ],
)
def test_label_selector_with_a_fault_says_what_was_expected(text, message):
    """400 with upstream's words."""
    with pytest.raises(StatusError) as error:
        parse_labels(text)
    assert error.value.code == 400
    assert message in error.value.message


@given(st.text(alphabet="ab=!(), <>in/.-1é\t", max_size=24))
@settings(max_examples=400, deadline=None, derandomize=True)
def test_any_text_is_a_selector_or_refused(text):
    """Nothing else comes out of a parser."""
    for parse in (parse_labels, lambda one: parse_fields(one, PATHS)):
        try:
            parse(text)
        except StatusError as error:
            assert error.code == 400


def test_selector_object_is_matched():
    """matchLabels and matchExpressions must all hold; none is nothing, an empty one everything."""
    selector = label_selector_of(
        {
            "matchLabels": {"a": "1"},
            "matchExpressions": [
                {"key": "b", "operator": "In", "values": ["x", "y"]},
                {"key": "c", "operator": "DoesNotExist"},
                {"key": "d", "operator": "Exists"},
                {"key": "e", "operator": "NotIn", "values": ["z"]},
            ],
        }
    )
    assert selector.matches({"a": "1", "b": "y", "d": ""})
    for labels in ({"a": "1", "b": "z", "d": ""}, {"a": "1", "b": "x", "c": "", "d": ""}, {"a": "1", "b": "x"}, {}):
        assert not selector.matches(labels)
    assert label_selector_of({}).matches(None)
    assert label_selector_of(None) is NOTHING
    assert not NOTHING.matches({"a": "1"})


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ({"key": "a", "operator": "Near"}, '"Near" is not a valid label selector operator'),
        ({"key": "a", "operator": "In"}, "for 'in', 'notin' operators, values set can't be empty"),
        ({"key": "a", "operator": "Exists", "values": ["x"]}, "values set must be empty for exists and does not exist"),
        ({"key": "-", "operator": "Exists"}, "name part must consist of"),
    ],
)
def test_selector_object_with_a_fault_is_refused(expression, text):
    """By those that use it and by those that check it."""
    with pytest.raises(SelectorError) as error:
        label_selector_of({"matchExpressions": [expression]})
    assert text in str(error.value)
    assert check_label_selector({"matchExpressions": [expression]}, "spec.selector")


@pytest.mark.parametrize(
    ("text", "obj", "matches"),
    [
        ("", {}, True),
        ("metadata.name=a", {"metadata": {"name": "a"}}, True),
        ("metadata.name==a,spec.x!=1", {"metadata": {"name": "a"}}, True),
        ("metadata.name=a,spec.x!=1", {"metadata": {"name": "a"}, "spec": {"x": 1}}, False),
        ("spec.x=", {}, True),
        (r"spec.x=a\,b\=c\\d", {"spec": {"x": r"a,b=c\d"}}, True),
        ("spec.unschedulable=false", {}, True),
        ("spec.unschedulable=true", {"spec": {"unschedulable": True}}, True),
        ("spec.x=a,,", {"spec": {"x": "a"}}, True),
    ],
)
def test_field_selector_selects(text, obj, matches):
    """Escapes, operators, and what fields hold that the object leaves out."""
    assert parse_fields(text, PATHS).matches(obj) is matches


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a=1", "field label not supported: a"),
        ("spec.x", "invalid selector: 'spec.x'; can't understand 'spec.x'"),
        ("metadata.name=a,b", "invalid selector: 'metadata.name=a,b'; can't understand 'b'"),
        ("spec.x=a=b", "invalid field selector: unescaped character in value: 61"),
        (r"spec.x=\a", r"invalid field selector: invalid escape sequence: \a"),
        ("spec.x=a\\", "invalid field selector: invalid escape sequence: \\"),
    ],
)
def test_field_selector_with_a_fault_is_refused(text, message):
    """400 with upstream's words."""
    with pytest.raises(StatusError) as error:
        parse_fields(text, PATHS)
    assert (error.value.code, error.value.message) == (400, message)


def test_field_that_is_a_list_is_its_first_item():
    """As pods' addresses are."""
    path = ("status", "podIPs")
    assert field_value({"status": {"podIPs": [{"ip": "10.0.0.1"}, {"ip": "::1"}]}}, "status.podIPs", path) == "10.0.0.1"
    assert field_value({"status": {"podIPs": []}}, "status.podIPs", path) == ""
