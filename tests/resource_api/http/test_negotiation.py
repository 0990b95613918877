"""Accept and Content-Type by upstream's rules."""

from __future__ import annotations

import pytest

from resource_api.errors import StatusError
from resource_api.http.negotiation import Wanted, body_media, clauses, patch_type, wanted, wanted_of_error, wanted_stream
from tests.resource_api.http.support import make_request

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"


@pytest.mark.parametrize(
    ("accept", "found"),
    [
        ("", Wanted("json")),
        ("*/*", Wanted("json")),
        ("application/*", Wanted("json")),
        ("application/json, */*", Wanted("json")),
        ("application/yaml", Wanted("yaml")),
        ("application/vnd.kubernetes.protobuf,application/json", Wanted("protobuf")),
        ("application/json;q=0.5,application/yaml", Wanted("yaml")),
        ("text/html,application/xhtml+xml,*/*;q=0.8", Wanted("json")),
        (TABLE, Wanted("json", "Table", "v1")),
        ("application/json;as=Table;v=v1beta1;g=meta.k8s.io", Wanted("json", "Table", "v1beta1")),
        ("application/yaml;as=Table;v=v1;g=meta.k8s.io", Wanted("yaml", "Table", "v1")),
        ("application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/json", Wanted("json")),
        (
            "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json",
            Wanted("protobuf", "PartialObjectMetadataList", "v1"),
        ),
        ("application/json;as=Table;v=v2;g=meta.k8s.io,application/json", Wanted("json")),
        ("application/json; charset=utf-8", Wanted("json")),
    ],
)
def test_accept_is_answered_with_the_first_type_there_is(accept, found):
    """By quality, then exactness, then order."""
    assert wanted(make_request(Accept=accept)) == found


@pytest.mark.parametrize("accept", ["text/html", "image/png", "application/xml;q=1", "application/json;as=Table;v=v3;g=meta.k8s.io"])
def test_accept_of_nothing_we_have_is_not_acceptable(accept):
    """406 with upstream's list."""
    with pytest.raises(StatusError) as caught:
        wanted(make_request(Accept=accept))
    text = "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf"
    assert (caught.value.code, caught.value.message) == (406, text)
    assert wanted_of_error(make_request(Accept=accept)).media == "json"


def test_accept_of_a_stream_has_no_yaml():
    """406 naming the streams there are."""
    asked = "application/vnd.kubernetes.protobuf;stream=watch,application/json"
    assert wanted_stream(make_request(Accept=asked)) == Wanted("protobuf")
    assert wanted(make_request(Accept=asked)) == Wanted("json")
    with pytest.raises(StatusError, match="application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"):
        wanted_stream(make_request(Accept="application/yaml"))


def test_clauses_keep_parameters_and_drop_nonsense():
    """As discovery needs them."""
    found = clauses("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList, ;,x")
    assert [(one.type, one.subtype, one.parameters) for one in found] == [
        ("application", "json", {"g": "apidiscovery.k8s.io", "v": "v2", "as": "APIGroupDiscoveryList"})
    ]


@pytest.mark.parametrize(
    ("header", "media"),
    [("", "json"), ("application/json", "json"), ("application/json; charset=UTF-8", "json"), ("Application/YAML", "yaml")],
)
def test_body_media_is_the_content_type_or_json(header, media):
    """No header means JSON."""
    assert body_media(make_request(Content_Type=header)) == media


def test_body_media_unknown_is_unsupported():
    """415 with upstream's text."""
    with pytest.raises(StatusError) as caught:
        body_media(make_request(Content_Type="text/plain"))
    text = (
        "the body of the request was in an unknown format - accepted media types include: "
        "application/json, application/yaml, application/vnd.kubernetes.protobuf"
    )
    assert (caught.value.code, caught.value.message) == (415, text)


def test_patch_type_needs_one_of_the_patches():
    """A strategic patch only where there is a schema for it; parameters do not count."""
    assert (
        patch_type(make_request(Content_Type="application/merge-patch+json; charset=utf-8"), strategic=False)
        == "application/merge-patch+json"
    )
    for header, strategic in (("application/json", True), ("", True), ("application/strategic-merge-patch+json", False)):
        with pytest.raises(StatusError) as caught:
            patch_type(make_request(Content_Type=header), strategic=strategic)
        assert caught.value.code == 415
        assert ("strategic" in caught.value.message) == strategic
