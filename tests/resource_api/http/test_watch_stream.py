"""Watches on the wire: frames, bookmarks, errors, ends (spec B.8)."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest

from resource_api.registry.objects import encode_stored
from resource_api.schema.protobuf.envelope import decode_envelope
from tests.resource_api.http.serving import config_map, face
from tests.support.memory_store import MemoryStore

MAPS = "/api/v1/namespaces/default/configmaps"
TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
PROTOBUF = {"Accept": "application/vnd.kubernetes.protobuf,application/json"}
MERGE = {"Content-Type": "application/merge-patch+json"}

pytestmark = pytest.mark.asyncio


async def _events(answer: aiohttp.ClientResponse, count: int) -> list[dict]:
    return [json.loads(await answer.content.readline()) for _ in range(count)]


async def test_watch_tells_changes_and_ends_cleanly_at_its_timeout():
    """Lines of JSON, then the end of the stream and no error."""
    async with face() as api:
        _, listed = await api.ask("GET", MAPS)
        version = listed["metadata"]["resourceVersion"]
        async with api.session.get(f"{api.url}{MAPS}?watch=1&resourceVersion={version}&timeoutSeconds=1") as answer:
            assert answer.headers["Content-Type"] == "application/json"
            await api.ask("POST", MAPS, config_map("a", x="1"))
            await api.ask("PATCH", f"{MAPS}/a", b'{"data":{"x":"2"}}', headers=MERGE)
            await api.ask("DELETE", f"{MAPS}/a")
            events = await _events(answer, 3)
            assert [(event["type"], event["object"]["data"]) for event in events] == [
                ("ADDED", {"x": "1"}),
                ("MODIFIED", {"x": "2"}),
                ("DELETED", {"x": "2"}),
            ]
            versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
            assert versions == sorted(set(versions))
            assert await answer.content.read() == b""


async def test_streaming_list_ends_with_its_bookmark():
    """ADDED for each, then the bookmark that says these were all."""
    async with face() as api:
        for name in "ab":
            await api.ask("POST", MAPS, config_map(name))
        query = "watch=true&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=5"
        async with api.session.get(f"{api.url}{MAPS}?{query}") as answer:
            events = await _events(answer, 3)
        assert [event["type"] for event in events] == ["ADDED", "ADDED", "BOOKMARK"]
        metadata = events[2]["object"]["metadata"]
        assert metadata["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert (events[2]["object"]["kind"], metadata["creationTimestamp"]) == ("ConfigMap", None)


async def test_watch_of_tables_has_columns_in_the_first_event_only():
    """As kubectl get -w reads it."""
    async with face() as api:
        for name in "ab":
            await api.ask("POST", MAPS, config_map(name))
        async with api.session.get(f"{api.url}{MAPS}?watch=1&resourceVersion=0&timeoutSeconds=5", headers=TABLE) as answer:
            first, second = await _events(answer, 2)
        assert first["object"]["columnDefinitions"][0]["name"] == "Name"
        assert second["object"]["columnDefinitions"] is None
        assert [event["object"]["rows"][0]["cells"][0] for event in (first, second)] == ["a", "b"]


async def test_watch_in_protobuf_is_framed():
    """A length before each event, an envelope in it."""
    async with face() as api:
        await api.ask("POST", MAPS, config_map("a", x="1"))
        async with api.session.get(f"{api.url}{MAPS}?watch=1&timeoutSeconds=5", headers=PROTOBUF) as answer:
            assert answer.headers["Content-Type"] == "application/vnd.kubernetes.protobuf;stream=watch"
            size = int.from_bytes(await answer.content.readexactly(4), "big")
            frame = await answer.content.readexactly(size)
        assert frame.startswith(b"\x0a\x05ADDED\x12")
        assert decode_envelope(frame[frame.index(b"k8s\0") :])["data"] == {"x": "1"}


async def test_watch_from_a_version_that_is_gone_is_an_error_event():
    """200, one ERROR with a Status 410, and the end."""
    store = MemoryStore()
    for name in "abc":
        await store.create(f"configmaps/default/{name}", encode_stored(config_map(name)))
    store.forget(3)
    async with face(store=store) as api, api.session.get(f"{api.url}{MAPS}?watch=1&resourceVersion=2&timeoutSeconds=5") as answer:
        assert answer.status == 200
        (event,) = await _events(answer, 1)
        assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
        assert await answer.content.read() == b""


async def test_watch_of_the_obsolete_prefix_follows_one_object():
    """`/watch/…/NAME`."""
    async with face() as api:
        await api.ask("POST", MAPS, config_map("a"))
        await api.ask("POST", MAPS, config_map("b"))
        async with api.session.get(f"{api.url}/api/v1/watch/namespaces/default/configmaps/b?timeoutSeconds=1") as answer:
            (event,) = await _events(answer, 1)
            assert event["object"]["metadata"]["name"] == "b"
            assert await answer.content.read() == b""


async def test_a_stop_ends_watches_cleanly():
    """The stream has its end, and readiness had failed before."""
    async with face() as api:
        await api.ask("POST", MAPS, config_map("a"))
        async with api.session.get(f"{api.url}{MAPS}?watch=1") as answer:
            await _events(answer, 1)
            await api.server.stop()
            assert await answer.content.read() == b""
        assert await api.server.health.ready["shutdown"]() != ""


async def test_a_watcher_that_goes_is_forgotten():
    """Its subscription ends with its connection."""
    async with face() as api:
        await api.ask("POST", MAPS, config_map("a"))
        async with api.session.get(f"{api.url}{MAPS}?watch=1") as answer:
            await _events(answer, 1)
            assert api.server.counters.long_running == {("watch", "", "configmaps"): 1}
            answer.close()
        for _ in range(100):
            if not api.server.counters.long_running[("watch", "", "configmaps")]:
                break
            await asyncio.sleep(0.01)
        assert api.server.counters.long_running == {("watch", "", "configmaps"): 0}
