"""Stored values that are no objects of their kind, as clients meet them: named, and left alone (spec E.6)."""

from __future__ import annotations

import json

import pytest

from resource_api.errors import Object
from tests.resource_api.http.serving import config_map, face

MAPS = "/api/v1/namespaces/default/configmaps"
KEY = "configmaps/default/a"
GOOD = {"metadata": {"name": "a", "namespace": "default"}, "data": {"a": "b"}, "apiVersion": "v1", "kind": "ConfigMap"}
DAMAGED = [
    {**GOOD, "data": {"a": 5}},
    {**GOOD, "metadata": {"name": "a", "namespace": "default", "labels": [1]}},
    {**GOOD, "apiVersion": "v9", "kind": "Wow"},
]
"""In the order in which values of ours stand, which are answered as they are stored."""
ACCEPTED = ("application/json", "application/yaml", "application/json;as=Table;v=v1;g=meta.k8s.io", "application/vnd.kubernetes.protobuf")

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("value", DAMAGED)
async def test_damaged_value_is_neither_shown_nor_changed(value: Object):
    """By no verb, in no form; other objects are served as before."""
    async with face() as api:
        await api.ask("POST", MAPS, config_map("b"))
        revision = api.store.put(KEY, json.dumps(value, separators=(",", ":")).encode())
        merge = {"Content-Type": "application/merge-patch+json"}
        asked = [
            *(("GET", path, None, {"Accept": accepted}) for path in (f"{MAPS}/a", MAPS) for accepted in ACCEPTED),
            ("GET", f"{MAPS}?labelSelector=a%3Db", None, {}),
            ("PUT", f"{MAPS}/a", json.dumps(config_map("a")).encode(), {"Content-Type": "application/json"}),
            ("PATCH", f"{MAPS}/a", b'{"data":{"a":"c"}}', merge),
            ("DELETE", f"{MAPS}/a", None, {}),
            ("DELETE", MAPS, None, {}),
        ]
        for method, path, body, headers in asked:
            async with api.session.request(method, api.url + path, data=body, headers=headers) as answer:
                text = await answer.read()
                assert answer.status == 500, (method, path, headers)
                assert f"{KEY} (revision {revision}) cannot be decoded".encode() in text
        status, said = await api.ask("POST", MAPS, config_map("a"))
        assert (status, said["reason"]) == (409, "AlreadyExists")
        assert (await api.store.get(KEY)).revision == revision
        assert (await api.ask("GET", f"{MAPS}/b"))[0] == 200
        assert api.server.counters.faults == 0


async def test_watch_that_comes_to_a_damaged_value_tells_it():
    """As an ERROR event; nothing of the value is shown."""
    async with face() as api:
        _, listed = await api.ask("GET", MAPS)
        assert isinstance(listed, dict)
        version = listed["metadata"]["resourceVersion"]
        async with api.session.get(f"{api.url}{MAPS}?watch=1&resourceVersion={version}&timeoutSeconds=5") as answer:
            api.store.put(KEY, json.dumps(DAMAGED[0], separators=(",", ":")).encode())
            event = json.loads(await answer.content.readline())
            assert (event["type"], event["object"]["code"]) == ("ERROR", 500)
            assert KEY in event["object"]["message"]
