"""Lists put together from their elements are byte for byte the lists encoded at once."""

from __future__ import annotations

import asyncio

import pytest

from raftkv.clock import SystemClock
from resource_api.cache.item import Item
from resource_api.http.list_bodies import ListBodies
from resource_api.http.negotiation import wanted
from resource_api.http.representation import Representations, wants_pretty
from resource_api.printers.table import Tables
from resource_api.registry.builtin import builtin_models
from resource_api.registry.objects import decode_stored, encode_stored
from resource_api.registry.store import Stored
from resource_api.schema.kinds import ResourceType
from resource_api.schema.printer_columns import PrinterColumns
from resource_api.schema.protobuf.envelope import decode_envelope, encode_envelope
from tests.resource_api.http.support import make_request

PODS = builtin_models()["", "v1", "pods"].type
WIDGETS = ResourceType("example.com", "v1", "Widget", "widgets", "widget", namespaced=True, custom=True, columns=PrinterColumns(None))

ACCEPTED = {
    "json": "application/json",
    "yaml": "application/yaml",
    "protobuf": "application/vnd.kubernetes.protobuf",
    "table": "application/json;as=Table;v=v1;g=meta.k8s.io",
    "table yaml": "application/yaml;as=Table;v=v1;g=meta.k8s.io",
    "partial": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
    "partial yaml": "application/yaml;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
    "partial protobuf": "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
}


def item_of(type: ResourceType, number: int) -> Item:
    """With texts that are awkward in YAML and in a search for the list's end."""
    obj = {
        "apiVersion": type.api_version,
        "kind": type.kind,
        "metadata": {
            "name": f"p{number}",
            "namespace": "default",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "annotations": {"awkward": '"items":[] "rows":[]\n- a: b\n  # not "items": []', "list": "yes", "number": "012"},
        },
        "spec": {"containers": [{"name": "c", "image": "i", "command": ["sh", "-c", "a\n\tb "], "resources": {}}]},
    }
    return Item(Stored(f"{type.storage_path}/default/p{number}", encode_stored(obj), number + 1), decode_stored)


@pytest.mark.parametrize("type", [PODS, WIDGETS], ids=["built-in", "custom"])
@pytest.mark.parametrize("agent", ["", "curl/8"], ids=["plain", "pretty"])
@pytest.mark.parametrize("count", [0, 1, 20])
@pytest.mark.parametrize("accept", ACCEPTED.values(), ids=ACCEPTED)
def test_list_in_slices_is_the_list_at_once(accept, count, agent, type, monkeypatch):
    """In every representation, also one in which the kind has no form, and when every step ends its turn."""
    monkeypatch.setattr("resource_api.turns.TURN_S", 0.0)
    representations = Representations(encode_envelope, Tables(SystemClock().wall_s))
    request = make_request("GET", "/x", Accept=accept, User_Agent=agent)
    metadata = {"resourceVersion": "7", "continue": "abc", "remainingItemCount": 3}
    items = [item_of(type, number) for number in range(count)]
    asked = wanted(request)
    whole = representations.many(type, [item.object() for item in items], metadata, asked, request)
    expected, content_type = representations.encode(whole, asked.media, pretty=wants_pretty(request))
    made = asyncio.run(ListBodies(representations).body(type, items, metadata, asked, request))
    assert made[1] == content_type
    if asked.media == "protobuf" and content_type.endswith("protobuf"):
        # An empty list of elements is written as nothing; fields have no order in protobuf.
        assert decode_envelope(made[0]) == decode_envelope(expected)
    else:
        assert made[0] == expected
