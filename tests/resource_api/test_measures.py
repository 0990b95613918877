"""What is measured around the store, and what readiness is made of."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from raftkv.clock import SystemClock
from resource_api.controllers.object_index import ObjectIndex
from resource_api.errors import bad_request
from resource_api.histograms import Histogram
from resource_api.http.counters import RequestCounters
from resource_api.http.health import Health
from resource_api.measures import Measures
from resource_api.readiness import Readiness
from resource_api.registry.api import Api
from resource_api.registry.measured_store import storage_path_of
from resource_api.registry.store import KeyExistsError, StoreUnavailableError
from tests.resource_api.security.cluster import request
from tests.support.memory_store import MemoryStore

MAP = b'{"metadata":{"name":"a","namespace":"x","uid":"1"},"apiVersion":"v1","kind":"ConfigMap"}'


class Plugin:
    """Refuses what is not called good."""

    name = "Plugin"

    def handles(self, request) -> bool:
        return True

    async def admit(self, request) -> None:
        if request.name != "good":
            raise bad_request("no")

    async def validate(self, request) -> None:
        pass


def test_histogram_counts_below_every_bound():
    """Buckets are cumulative, a value at a bound belongs to it, what is above all is in +Inf; label values are escaped."""
    histogram = Histogram("x_seconds", "Of x.", ("who",), (0.1, 1.0))
    for seconds in (0.1, 0.5, 7.0):
        histogram.observe(('a"b',), seconds)
    assert list(histogram.lines())[:6] == [
        "# HELP x_seconds Of x.",
        "# TYPE x_seconds histogram",
        'x_seconds_bucket{who="a\\"b",le="0.1"} 1',
        'x_seconds_bucket{who="a\\"b",le="1.0"} 2',
        'x_seconds_bucket{who="a\\"b",le="+Inf"} 3',
        'x_seconds_sum{who="a\\"b"} 7.6',
    ]


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("pods/default/web", "pods"),
        ("pods/", "pods"),
        ("services/specs/default/web", "services/specs"),
        ("stable.example.com/crontabs/default/a", "stable.example.com/crontabs"),
        ("", ""),
    ],
)
def test_key_tells_where_its_kind_is_kept(key, path):
    """Groups in keys have a dot."""
    assert storage_path_of(key) == path


def test_calls_of_the_store_are_timed_by_operation_and_kind():
    """A refusal is an answer; a store that is gone is an error."""

    async def scenario():
        measures = Measures(MemoryStore(), Api(), SystemClock())
        counters, store = RequestCounters(), measures.store
        measures.install(counters, ObjectIndex(store, Api()))
        await store.create("configmaps/x/a", MAP)
        with pytest.raises(KeyExistsError):
            await store.create("configmaps/x/a", MAP)
        await store.list("configmaps/")
        assert store.durations.count("create", "", "configmaps") == 2
        assert store.durations.count("list", "", "configmaps") == 1
        assert not store.errors
        await store.aclose()
        with pytest.raises(StoreUnavailableError):
            await store.get("configmaps/x/a")
        text = counters.text()
        assert 'etcd_request_duration_seconds_count{operation="create",group="",resource="configmaps"} 2\n' in text
        assert "# TYPE etcd_request_errors_total counter\n" in text
        assert 'etcd_request_errors_total{operation="get",group="",resource="configmaps"} 1\n' in text

    asyncio.run(scenario())


def test_objects_are_counted_as_they_come_and_go():
    """A kind without objects is not named; the size is the store's own word."""

    async def scenario():
        memory = MemoryStore()
        measures = Measures(memory, Api(), SystemClock())
        counters, index = RequestCounters(), ObjectIndex(measures.store, Api())
        measures.install(counters, index)
        memory.put("configmaps/x/a", MAP)
        memory.put("secrets/x/a", MAP)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(index.run()), group.create_task(measures.follow_size())]
            await index.ready.wait()
            memory.put("configmaps/x/b", MAP.replace(b'"a"', b'"b"'))
            memory.put("configmaps/x/b", MAP.replace(b'"a"', b'"b"'))
            memory.remove("secrets/x/a")
            for _ in range(100):
                await asyncio.sleep(0)
            assert index.revision == memory.now
            text = counters.text()
            for task in tasks:
                task.cancel()
        assert 'apiserver_resource_objects{group="",resource="configmaps"} 2\n' in text
        assert 'resource="secrets"} ' not in text.split("apiserver_resource_objects", 1)[1].split("# ", 1)[0]
        assert 'apiserver_storage_size_bytes{storage_cluster_id="etcd-0"} ' in text

    asyncio.run(scenario())


def test_passes_of_admission_are_timed_with_their_outcome():
    """By operation, pass, and whether the write was refused."""

    async def scenario():
        admission = Measures(MemoryStore(), Api(), SystemClock()).admission
        admission.plugins = (Plugin(),)
        good = request("ConfigMap", "configmaps", {"metadata": {"name": "good"}})
        await admission.admit(good)
        await admission.validate(good)
        with pytest.raises(Exception, match="no"):
            await admission.admit(request("ConfigMap", "configmaps", {"metadata": {"name": "bad"}}))
        count = admission.durations.count
        assert (count("CREATE", "false", "admit"), count("CREATE", "true", "admit"), count("CREATE", "false", "validate")) == (1, 1, 1)

    asyncio.run(scenario())


def test_readiness_waits_for_the_store_and_for_what_is_followed():
    """Names of what has not been read are told on the check's own path; the end of the server is asked last."""

    async def scenario():
        store = MemoryStore()
        index, health = ObjectIndex(store, Api()), Health()

        async def stopping() -> str:
            return ""

        health.ready["shutdown"] = stopping
        readiness = Readiness(store, index)
        readiness.install(health)
        assert list(health.ready) == ["ping", "etcd", "informer-sync", "shutdown"]
        assert list(health.alive) == ["ping", "etcd"]
        readiness.caches = {"pods": SimpleNamespace(is_ready=False)}
        assert await health.ready["informer-sync"]() == "2 informers not started yet: ['pods', 'all objects']"
        readiness.caches = {"pods": SimpleNamespace(is_ready=True)}
        index.ready.set()
        assert [await check() for check in health.ready.values()] == ["", "", "", ""]
        store.fail()
        assert await health.ready["etcd"]() == "error getting data from etcd: the store is down"

    asyncio.run(scenario())
