"""The table of resourceVersion, resourceVersionMatch, limit and continue, row by row; tokens."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resource_api.cache.paging import AT_LATEST, Plan, decode_token, encode_token, plan_get, plan_list
from resource_api.errors import StatusError
from resource_api.registry.requests import ListOptions

TOKEN = encode_token("ns/a\x00", 7)

INVALID = None

TABLE = [
    # limit, continue, match → for no version, "0", "5".
    ((0, "", ""), ("latest", "any", "at least")),
    ((0, "", "Exact"), (INVALID, INVALID, "exactly")),
    ((0, "", "NotOlderThan"), (INVALID, "any", "at least")),
    ((9, "", ""), ("latest", "any", "exactly")),
    ((9, "", "Exact"), (INVALID, INVALID, "exactly")),
    ((9, "", "NotOlderThan"), (INVALID, "any", "at least")),
    ((9, TOKEN, ""), ("exactly", "exactly", 400)),
    ((9, TOKEN, "Exact"), (INVALID, INVALID, INVALID)),
    ((9, TOKEN, "NotOlderThan"), (INVALID, INVALID, INVALID)),
]


@pytest.mark.parametrize(("options", "answers"), TABLE)
def test_list_is_planned_by_the_table(options, answers):
    """Nine rows, three columns."""
    limit, token, match = options
    for version, answer in zip(("", "0", "5"), answers, strict=True):
        asked = ListOptions(limit=limit, continue_token=token, resource_version=version, resource_version_match=match)
        if isinstance(answer, str):
            plan = plan_list(asked)
            assert plan.version == answer
            assert plan.revision == (7 if token else 5 if version == "5" else 0)
        else:
            with pytest.raises(StatusError) as error:
                plan_list(asked)
            assert error.value.code == (answer or 422)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"resource_version_match": "Exact"},
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
        ),
        (
            {"resource_version_match": "Exact", "resource_version": "0"},
            'resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
        ),
        (
            {"resource_version_match": "Newest", "resource_version": "1"},
            'resourceVersionMatch: Unsupported value: "Newest": supported values: "Exact", "NotOlderThan", ""',
        ),
        ({"send_initial_events": True}, "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"),
    ],
)
def test_options_that_exclude_each_other_are_invalid(options, message):
    """422 about the ListOptions."""
    with pytest.raises(StatusError) as error:
        plan_list(ListOptions(**options))
    status = error.value.status()
    assert status["message"] == f'ListOptions.meta.k8s.io "" is invalid: {message}'
    assert (status["code"], status["reason"]) == (422, "Invalid")
    assert (status["details"]["group"], status["details"]["kind"]) == ("meta.k8s.io", "ListOptions")


@pytest.mark.parametrize(
    ("text", "why"), [("x", "invalid syntax"), ("-1", "invalid syntax"), ("1.5", "invalid syntax"), ("9" * 30, "value out of range")]
)
def test_version_that_is_no_number_is_a_bad_request(text, why):
    """400, from every verb."""
    for call in (lambda: plan_get(text), lambda: plan_list(ListOptions(resource_version=text))):
        with pytest.raises(StatusError) as error:
            call()
        said = f'invalid resource version: resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": {why}'
        assert (error.value.code, error.value.message) == (400, said)


def test_get_is_planned_by_its_version():
    """None: the latest; 0: any; another: not older."""
    assert [plan_get(text) for text in ("", "0", "5")] == [Plan("latest"), Plan("any"), Plan("at least", 5)]


def test_token_is_upstreams():
    """base64url without padding of a small JSON object."""
    assert base64.urlsafe_b64decode(TOKEN + "=" * (-len(TOKEN) % 4)) == b'{"v":"meta.k8s.io/v1","rv":7,"start":"ns/a\\u0000"}'
    assert "=" not in TOKEN


@given(st.from_regex(r"[a-z0-9.:-]{1,9}(/[a-z0-9:-]{1,9})?", fullmatch=True), st.integers(1, 1 << 62))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_token_comes_back(start, revision):
    """Whatever the key."""
    if {".", ".."} & set(start.split("/")):
        return
    assert decode_token(encode_token(start + "\x00", revision)) == (start + "\x00", revision)
    assert plan_list(ListOptions(continue_token=encode_token(start, AT_LATEST))).version == "latest"


@pytest.mark.parametrize(
    ("token", "text"),
    [
        ("!!", ""),
        ("YQ", ""),
        (base64.urlsafe_b64encode(b"[]").decode().rstrip("="), ""),
        (base64.urlsafe_b64encode(b'{"v":"v9","rv":1,"start":"a"}').decode().rstrip("="), 'does not recognize this encoded version "v9"'),
        (encode_token("a", 0), "incorrect encoded start resourceVersion (version meta.k8s.io/v1)"),
        (encode_token("", 5), "encoded start key empty (version meta.k8s.io/v1)"),
        (encode_token("../secrets/a", 5), "../secrets/a"),
        (encode_token("a//b", 5), "a//b"),
    ],
)
def test_token_with_a_fault_is_a_bad_request(token, text):
    """400; no token leaves its collection."""
    with pytest.raises(StatusError) as error:
        decode_token(token)
    assert error.value.code == 400
    assert error.value.message.startswith("invalid continue token: continue key is not valid")
    assert text in error.value.message
